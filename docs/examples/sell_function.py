"""Sell a function of your own: its type hints say what it takes and gives."""

import coalesced
from coalesced.skill import progress, skill


@skill("shorten", price="0.001", caption="The first sentence of a text")
def shorten(text: str) -> str:
    """Keep the first sentence."""
    progress(500_000, "reading")
    return text.split(". ")[0].rstrip(".") + "."


if __name__ == "__main__":  # The node imports this file to run the function, also after this program has ended.
    with coalesced.connect() as node:
        offer = node.sell(shorten)
        print(offer["label"], "is on sale for", offer["price_hint_micro"], "micro-dollars")
        print(node.ask("shorten", "Rain fell. Nobody minded.").text)
