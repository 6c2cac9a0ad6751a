"""The ways to a chain's peers: what waits there, for whom, and who makes room."""

import asyncio
from typing import Any, cast

from node.community.config import LedgerConfig
from node.community.links import MAX_ANSWERS_BYTES, MAX_LINKS, Link, Links

PAGE = bytes(2**20)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def links(ended: list[Link]) -> Links:
    """Of a member with key 0; nothing that is put into them goes anywhere."""
    nothing = cast("Any", None)

    async def wait(link: Link) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(link)

    return Links(key(0), bytes(32), nothing, nothing, LedgerConfig(), lambda link: asyncio.create_task(wait(link)))


async def test_who_does_not_take_its_pages_is_given_no_more_and_all_together_fill_no_memory() -> None:
    made = links([])
    given = list[int]()
    for number in range(1, 200):
        for _ in range(5):
            if made.may_answer(key(number)):
                made.send(key(number), PAGE)
                given.append(number)
    assert given == [number for number in range(1, 17) for _ in range(2)]
    assert len(given) * len(PAGE) == MAX_ANSWERS_BYTES


async def test_strangers_with_many_keys_end_no_link_to_a_member() -> None:
    ended = list[Link]()
    made = links(ended)
    committee = tuple(map(key, range(4)))
    for member in made.members(committee):
        made.send(member, b"vote")
    await asyncio.sleep(0)
    for number in range(4, MAX_LINKS + 100):
        made.send(key(number), b"block")
    await asyncio.sleep(0)
    assert len(made._links) == MAX_LINKS
    assert set(committee[1:]) <= made._links.keys()
