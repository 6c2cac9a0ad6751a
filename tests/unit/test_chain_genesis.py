"""The genesis: one packing, one hash, one first state; and what it refuses."""

import msgspec
import pytest

from node.ledger.chain.genesis import (
    Genesis,
    Holding,
    Parameters,
    chain_id,
    decode_genesis,
    encode_genesis,
)
from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.state import Account, AccountId, State, account_key, imported
from protocol.errors import RemoteProtocolError
from protocol.packing import pack
from protocol.receipts import DAY_MS
from tests.harness.chains import MEMBERS, PEOPLE, START_UNIX_MS, World, genesis, held

PINNED_CHAIN = "1899ec6983b55fe2c2462c19b416d369e659c357afe88a862549e2448fe4ea82"
PINNED_ROOT = "ede8f6ea0dc6587b2e995591545a10ed35cc502427f0d3527cb6e10a324094c7"
KEYS = tuple(one.public_key for one in PEOPLE)


def sample(**changed: object) -> Genesis:
    start = Genesis(
        name="demo",
        network="test",
        time_unix_ms=START_UNIX_MS,
        members=KEYS[:4],
        accounts=tuple(Holding(key=key, credits=5) for key in KEYS[4:6]),
    )
    return msgspec.structs.replace(start, **changed)


def test_the_order_in_which_it_is_written_down_does_not_matter() -> None:
    one = encode_genesis(sample())
    two = encode_genesis(sample(members=KEYS[3::-1], accounts=sample().accounts[::-1]))
    assert one == two
    assert chain_id(one) == chain_id(two)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"members": KEYS[:3]},
        {"parameters": Parameters(pair_cap=9)},
        {"time_unix_ms": START_UNIX_MS + 1},
    ],
)
def test_anything_else_gives_another_chain(changed: dict[str, object]) -> None:
    assert chain_id(encode_genesis(sample(**changed))) != chain_id(encode_genesis(sample()))


def test_the_hash_of_a_genesis_stays_what_it_is() -> None:
    assert chain_id(encode_genesis(sample())).hex() == PINNED_CHAIN
    assert ChainMachine(encode_genesis(sample())).start().trie.root().hex() == PINNED_ROOT


def test_members_have_accounts_even_where_none_is_listed() -> None:
    machine = ChainMachine(encode_genesis(sample()))
    state = machine.start()
    assert state.find(Account, account_key(AccountId(KEYS[0]))) is not None
    assert (state.chain.issued_credits, held(state)) == (10, 10)
    assert machine.members(state) == tuple(sorted(KEYS[:4]))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a well-formed message"),
        (pack(sample(members=KEYS[3::-1])), "ascending order"),
        (pack(sample(members=(KEYS[0], KEYS[0]))), "ascending order"),
        (encode_genesis(sample()) + b"\x00", "not a well-formed message"),
    ],
)
def test_what_encode_would_not_have_made_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        decode_genesis(data)


def test_another_packing_of_the_same_is_refused() -> None:
    fields = msgspec.to_builtins(sample(), builtin_types=(bytes,))
    fields["members"] = sorted(fields["members"])
    swapped = pack(dict(reversed(fields.items())))
    with pytest.raises(RemoteProtocolError, match="not packed in the one allowed way"):
        decode_genesis(swapped)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (Parameters(rating_days=59), "could be rated twice"),
        (Parameters(answer_within_ms=60 * DAY_MS), "has to outlast"),
        (Parameters(reveal_epochs=60), "has to outlast"),
    ],
)
def test_rules_that_forget_too_early_are_refused(rules: Parameters, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        encode_genesis(sample(parameters=rules))


def test_more_credits_than_can_be_added_up_are_refused() -> None:
    many = tuple(
        Holding(key=bytes([1, number // 256, number % 256]) + bytes(29), credits=10**15) for number in range(1001)
    )
    with pytest.raises(RemoteProtocolError, match="over the limit"):
        encode_genesis(sample(accounts=many))


# Snapshots


def test_a_snapshot_gives_the_same_state() -> None:
    world = World()
    for number in range(3):
        world.rated(PEOPLE[4], PEOPLE[5], number)
    again = imported(world.state.export())
    assert again.trie.root() == world.machine.root(world.state)
    assert list(again.export()) == list(world.state.export())
    assert again.chain == world.state.chain
    later = world.machine.apply(again, [], height=again.chain.height + 1, time_unix_ms=world.now)
    assert world.machine.root(later) == world.machine.root(world.block())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"\x90"),
        (b"\x03" + bytes(31), b"\x90"),
        (b"\x63" + bytes(32), b"\x90"),
        (b"\x06" + bytes(64), b"\x91\xcc\x01"),
        (b"\x06" + bytes(64), b"\x91\xa1x"),
        (b"\x06" + bytes(64), b"\x92\x01\x02"),
    ],
)
def test_what_is_no_entry_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        imported([(key, value)])


def test_an_empty_snapshot_is_an_empty_state() -> None:
    assert imported([]).trie.root() == State().trie.root()


def test_members_are_those_of_the_genesis() -> None:
    assert set(World(genesis()).state.members) == {one.public_key for one in MEMBERS}
