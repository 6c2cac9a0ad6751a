"""What a chain's loop and its callers wait for: messages, time, and what becomes of a transaction."""

import asyncio

import pytest
from msgspec.structs import replace as changed

from coalesced.testnet.byzantine import forge
from crypto.identity import Identity
from node.community.config import LedgerConfig
from node.community.inbox import MAX_BYTES, MAX_PEER_BYTES, MEMBER_BYTES, STRANGERS_BYTES, Inbox, Incoming
from node.community.turn import Heeded, Turn, open_all
from node.community.waiters import NotCommittedError, Waiters
from node.ledger.chain.state import State
from node.ledger.pbft.effects import SendBlocks, SendSnapshot
from node.ledger.pbft.opened import OpenBlocks, OpenVote
from protocol.consensus import Blocks, Status, encode_consensus
from protocol.errors import RemoteProtocolError

ID = bytes(32)


async def test_waiting_ends_when_something_comes() -> None:
    inbox = Inbox(LedgerConfig())
    waiting = asyncio.create_task(inbox.wait(None))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(b"a peer", b"said")
    inbox.put(None, b"mine")
    await waiting
    assert inbox.drain() == [Incoming(b"a peer", b"said"), Incoming(None, b"mine")]


async def test_waiting_ends_at_its_time() -> None:
    inbox = Inbox(LedgerConfig())
    until_s = asyncio.get_running_loop().time() + 0.01
    await inbox.wait(until_s)
    assert asyncio.get_running_loop().time() >= until_s
    assert inbox.drain() == []


async def test_whoever_has_always_something_to_do_lets_others_run() -> None:
    inbox, has_run = Inbox(LedgerConfig()), asyncio.Event()
    asyncio.get_running_loop().call_soon(has_run.set)
    inbox.put(None, b"mine")
    await inbox.wait(None)
    assert has_run.is_set()
    has_run.clear()
    inbox.drain()
    asyncio.get_running_loop().call_soon(has_run.set)
    await inbox.wait(0.0)
    assert has_run.is_set()


async def test_a_wait_that_is_given_up_does_not_spoil_the_next() -> None:
    inbox = Inbox(LedgerConfig())
    waiting = asyncio.create_task(inbox.wait(None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    inbox.put(None, b"mine")
    await inbox.wait(None)
    assert len(inbox) == 1


def test_strangers_with_many_keys_leave_members_half_of_the_room() -> None:
    inbox = Inbox(LedgerConfig(inbox_messages=8, inbox_messages_per_peer=2))
    taken = [inbox.put(bytes([number]), b"said", from_stranger=True) for number in range(8)]
    assert taken == [True] * 4 + [False] * 4
    assert inbox.put(b"a member", b"vote")
    assert [one.sender for one in inbox.drain()] == [b"a member", *(bytes([number]) for number in range(4))]
    large = Inbox(LedgerConfig())
    for number in range(MAX_BYTES // 2 // MAX_PEER_BYTES):
        assert large.put(bytes([number]), bytes(MAX_PEER_BYTES), from_stranger=True)
    assert not large.put(b"another", b"said", from_stranger=True)
    assert large.put(b"a member", bytes(MAX_PEER_BYTES))


def test_members_come_first_and_of_strangers_some_at_a_time() -> None:
    inbox, size = Inbox(LedgerConfig()), STRANGERS_BYTES // 4
    for number in range(10):
        inbox.put(bytes([number]), bytes(size), from_stranger=True)
    inbox.put(b"a stranger", bytes(2 * STRANGERS_BYTES), from_stranger=True)
    inbox.put(b"a member", b"vote")
    assert [len(inbox.drain()) for _ in range(5)] == [5, 4, 2, 1, 0], "the large one alone"
    assert len(inbox) == 0


def test_a_member_that_sends_too_much_neither_fills_the_room_nor_holds_up_the_others() -> None:
    inbox, size = Inbox(LedgerConfig()), MEMBER_BYTES // 2
    taken = [inbox.put(b"a liar", bytes(size)) for _ in range(10)]
    assert taken == [True] * (MAX_PEER_BYTES // size) + [False] * (10 - MAX_PEER_BYTES // size)
    inbox.put(b"another", b"vote")
    inbox.put(None, b"mine")
    assert [one.sender for one in inbox.drain()] == [b"a liar", b"a liar", b"another", None]
    inbox.put(b"a liar", b"later")
    inbox.put(b"another", bytes(MAX_PEER_BYTES))
    rest = [[(one.sender, len(one.data)) for one in inbox.drain()] for _ in range(5)]
    first = [(b"a liar", size), (b"a liar", size), (b"another", MAX_PEER_BYTES)]
    assert rest == [first, first[:2], first[:2], [(b"a liar", 5)], []]


def test_what_a_stranger_says_that_moves_nobody_is_not_checked() -> None:
    member, stranger = Identity(bytes([1]) * 32), Identity(bytes([2]) * 32)
    vote = forge.vote(stranger, "prepare", bytes(32), 1, 0, bytes(32))
    forged = changed(vote, signature=bytes(64))
    blocks, status = Blocks(first_height=1, head_height=1, blocks=()), Status(height=1, view=0)
    said = (vote, forged, blocks, status)
    for sender, asked, heard in (
        (stranger, None, [Status]),
        (stranger, stranger, [OpenBlocks, Status]),
        (member, None, [OpenVote, RemoteProtocolError, OpenBlocks, Status]),
    ):
        batch = [Incoming(sender.public_key, encode_consensus(message)) for message in said]
        opened = open_all(batch, Heeded((member.public_key,), (asked.public_key if asked else None,)))
        assert [type(message) for _, message in opened] == heard


def test_who_asks_for_blocks_many_times_at_once_is_given_the_last_ones_once() -> None:
    turn = Turn(State())
    turn.add([SendBlocks(b"greedy", height) for height in range(1, 100)])
    turn.add([SendBlocks(b"other", 1), SendSnapshot(b"greedy", 0)])
    assert turn.outgoing == [SendSnapshot(b"greedy", 0), SendBlocks(b"other", 1)]


async def test_all_who_wait_for_a_transaction_are_told_and_who_gave_up_is_forgotten() -> None:
    waiters = Waiters()
    first, second, third = (waiters.expect(ID) for _ in range(3))
    waiters.forget(ID, third)
    waiters.fail_all(NotCommittedError("the file is damaged"))
    assert [str(future.result()) for future in (first, second)] == ["the file is damaged"] * 2
    assert not third.done()
    waiters.forget(ID, first)  # as everybody does in the end
    assert len(waiters) == 0


async def test_nobody_is_remembered_once_all_have_given_up() -> None:
    waiters = Waiters()
    future = waiters.expect(ID)
    waiters.forget(ID, future)
    assert len(waiters) == 0
