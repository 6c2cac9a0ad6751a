"""Split work over a graph: two subtasks, each decided by itself, and their results put together with their sources."""

import coalesced

with coalesced.connect() as node:
    answer = node.plan(
        [
            {"name": "north", "skill": "sentiment", "text": "The north did well."},
            {"name": "south", "skill": "sentiment", "text": "The south was a disaster."},
            {"name": "all", "merge": True, "needs": ["north", "south"]},
        ],
        budget=0.05,
        deadline_s=60,
    )
print(answer.text)
print(len(answer.task["subtasks"]), "subtasks")
