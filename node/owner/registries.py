"""What the owner should know of the registries in use: which are silent, refuse, hide, or show what does not hold."""

from collections.abc import Iterable, Mapping

from crypto.identity import short_id
from node.registry.hiding import Tally
from node.views import Problem
from node.wording import counted


def registry_problems(tallies: Mapping[str, Tally]) -> Iterable[Problem]:
    """By registry, what is wrong with it; the most serious first."""
    for address, tally in tallies.items():
        if tally.hidden:
            text = (
                f"registry {address} did not show {tally.hidden} of {counted(tally.compared, 'record')} that the DHT "
                f"had shown long before (the last by {short_id(tally.last_hidden)}): it hides sellers, or they hide "
                "from it"
            )
            yield Problem(text=text, fix="coalesced config show (registry.use)")
        if tally.refused:
            text = f"registry {address} showed {counted(tally.refused, 'record')} that nobody signed so: left out"
            yield Problem(text=text, fix="coalesced config show (registry.use)")
        if tally.problem:
            yield Problem(text=f"registry {address}: {tally.problem}", fix="coalesced doctor")
