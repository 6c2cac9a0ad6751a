"""Find out who sells a skill, at most at so many dollars a work unit."""

import coalesced

with coalesced.connect() as node:
    sellers = node.find("sentiment", max_price=0.01)
print(len(sellers), "sellers")
for seller in sellers:
    print(seller["peer"], seller["price_hint_micro"] / 1e6)
