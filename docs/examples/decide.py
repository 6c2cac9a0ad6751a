"""Ask what would be decided, and at which price; nothing is done and nothing is paid."""

import coalesced

with coalesced.connect() as node:
    decision = node.decide("sentiment", "Margins held up well.")
print(decision["choice"], *decision["reasons"], sep="\n  ")
for option in decision["options"]:
    print(f"{option['name']}: {option['total_micro'] / 1e6:.6f} dollars expected")
