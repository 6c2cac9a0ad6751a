"""Every kind of hostile member as a node among nodes: the others agree, and it lives to lie on."""

import asyncio
from pathlib import Path

import pytest

from coalesced.testnet.byzantine.shell import HostileShell, only_on
from coalesced.testnet.byzantine.witness import FILE, Witness
from coalesced.testnet.manifest import LIES, Lie
from node.community.shell import Shell, Surroundings
from node.ledger.chain.genesis import chain_id
from node.ledger.chain.state import State
from node.ledger.pbft.core import Core
from tests.harness.communities import Neighbour, Neighbourhood, community, until


@pytest.mark.parametrize("kind", LIES)
async def test_three_honest_members_agree_beside_one_that_is_a(kind: Lie, tmp_path: Path) -> None:
    witness = Witness(tmp_path / FILE)

    def hostile(core: Core[State], around: Surroundings) -> Shell:
        return only_on(core.replica.chain, kind, witness)(core, around)

    async with community(tmp_path, last_shell=hostile) as four:
        *honest, liar = four.members
        for _ in range(2):
            done = await asyncio.gather(*(one.commit() for one in honest))
        await four.agree(max(one.height for one in done), honest)
        await until(lambda: (tmp_path / FILE).stat().st_size > 0, "the liar has heard votes")
        assert problem(liar) == ""


async def test_peers_that_are_heard_while_a_conduct_works_off_the_loop_do_not_break_it(tmp_path: Path) -> None:
    witness, shells = Witness(tmp_path / FILE), list[HostileShell]()

    def hostile(core: Core[State], around: Surroundings) -> Shell:
        shells.append(HostileShell(core, around, kind="liar", witness=witness))
        return shells[-1]

    async with community(tmp_path, last_shell=hostile) as four:
        links, known = four.members[-1].community.following.links, shells[-1]._conduct.situation.known
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(asyncio.to_thread(lambda: [known() for _ in range(5_000)]))
            while not looking.done():
                for number in range(200):
                    links.heard(number.to_bytes(32, "big"))
                await asyncio.sleep(0)


async def test_nobody_lies_on_another_chain_than_the_permitted_one(tmp_path: Path) -> None:
    made = Neighbourhood(tmp_path, 1)
    node = made.neighbour(0)
    node.make_shell = only_on(chain_id(b"another genesis"), "liar", Witness(tmp_path / FILE))
    try:
        await made.start(node)
        await until(lambda: "is not this testnet's" in problem(node), "the refusal is told")
        assert node.facts is None
    finally:
        await made.end()


def problem(one: Neighbour) -> str:
    standing = one.community.standing
    return standing.problem if standing else ""
