"""The same from a program without an event loop."""

import coalesced

with coalesced.connect() as node:
    answer = node.ask("sentiment", "Margins held up well. Sales were awful.", budget="0.01")
print("score:", answer.json()["score"])
print("done by:", answer.task["peer"] or "this node")
