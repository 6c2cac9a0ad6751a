"""Give a goal: the node's own model divides it into steps, and the record says who planned it and what ran where.

The node needs a planner: `coalesced sell --openai URL --model M`, and in its configuration `planner = "llm/M"` below
`[client]`. Without one, or when the model gives no plan that can be run, the rule makes the plan: one step a file.
"""

import tempfile
from pathlib import Path

import coalesced

REVIEWS = {"north.txt": "The north did well.", "south.txt": "The south was a disaster."}

with tempfile.TemporaryDirectory() as folder, coalesced.connect() as node:
    files = [Path(folder) / name for name in REVIEWS]
    for file in files:
        file.write_text(REVIEWS[file.name])
    answer = node.plan("What is the sentiment of each review?", files=files, budget=0.1, deadline_s=60)
assert answer.plan is not None
print("planned by", answer.plan["made_by"], answer.plan["why"])
for step in answer.steps:
    print(step["name"], step["skill"] or "merge", step["state"], step["by"], step["cost_micro"])
for part in answer.json()["parts"]:
    print(part["source"], part["by"], part["result"]["score"])
