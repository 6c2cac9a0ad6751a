"""What attackers of discovery achieve, in virtual time: shares of sellers still found, over so many seeds.

An eclipse: sybils with keys tried until they are nearest to a skill (or spread over its region), each in a /24 of its
own, in before the seller; they name only each other, or answer to nothing but pings, or name nodes that they make up. A
botnet: so many of the nodes lie, with ids as chance gives them. A flood: adverts under one key from 20 /8s. Nothing is
signed, which changes nothing that attackers or nodes here do (`coalesced/sim/dhtfield.py`).
"""

import argparse
import sys
import time
from itertools import product
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from coalesced.sim.dhtfield import Conduct
from coalesced.sim.sieges import HONEST_ADVERTS, Outcome, eclipse, infest, spam
from scripts.bench.report import heading, table
from scripts.bench.swarms import leave_signatures_out

CONDUCTS = get_args(Conduct)
PLACES = ("at the key", "spread")


def row(attack: str, outcomes: list[Outcome]) -> list[str]:
    """One line: the share found over all seeds, and in the worst."""
    found, asked = (sum(column) for column in zip(*outcomes, strict=True))
    worst = min(one / of for one, of in outcomes)
    return [attack, f"{found} of {asked}", f"{100 * found / asked:.1f} %", f"{100 * worst:.0f} %"]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench_lookup siege", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100, help="honest ones; all, in a botnet's network")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sybils", type=int, nargs="*", default=[60, 100, 200])
    parser.add_argument("--conducts", nargs="*", choices=CONDUCTS, default=CONDUCTS)
    parser.add_argument("--places", nargs="*", choices=PLACES, default=PLACES)
    parser.add_argument("--malicious", type=int, nargs="*", default=[40, 60, 80], help="per cent of the nodes")
    parser.add_argument("--spammers", type=int, nargs="*", default=[240])
    given = parser.parse_args()
    leave_signatures_out()
    print(heading("scripts/bench_lookup siege " + " ".join(sys.argv[1:])), flush=True)
    seeds, nodes, rows = range(1, given.seeds + 1), given.nodes, list[list[str]]()
    began = time.process_time()
    for sybils, conduct, place in product(given.sybils, given.conducts, given.places):
        outcomes = [eclipse(seed, nodes, sybils, conduct=conduct, is_spread=place == "spread") for seed in seeds]
        rows.append(row(f"eclipse, {sybils} {conduct} sybils, {place}", outcomes))
        print(rows[-1], flush=True)
    for share in given.malicious:
        for thorough in (True, False):
            outcomes = [infest(seed, nodes, nodes * share // 100, 20, thorough=thorough) for seed in seeds]
            rows.append(row(f"botnet, {share} % of {nodes}{'' if thorough else ', ordinary look-ups'}", outcomes))
            print(rows[-1], flush=True)
    for spammers in given.spammers:
        left = [(spam(seed, 60, spammers * 5 // 6, spammers), HONEST_ADVERTS) for seed in seeds]
        rows.append(row(f"flood, {spammers:,} adverts, {spammers * 5 // 6} fit", left))
    print("\n" + table(["attack", "found", "share", "worst seed"], rows))
    print(f"\n{time.process_time() - began:.0f} s of processor time")


if __name__ == "__main__":
    main()
