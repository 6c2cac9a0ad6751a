"""What a testnet tells a node that is no ordinary daemon: kind of dishonesty, and the few options of `start`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coalesced.config import Source


@dataclass(frozen=True, slots=True)
class Told:
    """The command line of such a node."""

    kind: str
    home: Path
    source: Source


def read_command_line(description: str | None, kinds: Sequence[str]) -> Told:
    """Read `KIND start --home DIR ...` as `runner.start_command` writes it; exits with 2 where it is none."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("command", choices=["start"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--listen", action="append")
    parser.add_argument("--advertise")
    parser.add_argument("--bootstrap", action="append")
    parser.add_argument("--network", required=True)
    parser.add_argument("--genesis")
    parser.add_argument("--no-sell", action="store_true")
    given = parser.parse_args()
    flags = {
        "node.listen": tuple(given.listen) if given.listen else None,
        "node.advertise": given.advertise,
        "node.bootstrap": tuple(given.bootstrap) if given.bootstrap else None,
        "node.network": given.network,
        "ledger.genesis": given.genesis,
        "contractor.sell": False if given.no_sell else None,
    }
    return Told(given.kind, given.home, Source.here(given.home, flags))
