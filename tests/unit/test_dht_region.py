"""The network's size, the region of a key, the tree of addresses: what hiding and crowding out run into."""

import random
from functools import partial

from crypto.identity import Identity
from dht.branches import Branches, branch_path
from dht.config import DhtConfig
from dht.contacts import NodeAddress
from dht.ids import ID_BYTES, SHARDS, distance, shard_key, skill_key
from dht.lookup import Answered, Ask, Effect, Failed, Finish, Goal, Lookup
from dht.preference import Preference
from dht.records import sign_record
from dht.region import CROWDED_RATIO, disjoint, quarters
from dht.size import WHOLE, NetworkSize
from dht.storage import Outcome, RecordStore

NOW_MS = 1_800_000_000_000
KEY = skill_key("main", "risk")
OWN_ID = b"\xff" * ID_BYTES


def strewn(seed: int, count: int) -> list[NodeAddress]:
    rng = random.Random(seed)
    return [NodeAddress(rng.randbytes(ID_BYTES), f"10.0.0.{number % 250}", 4000) for number in range(count)]


def near(key: bytes, count: int) -> list[NodeAddress]:
    """Nodes that stand nearer to the key than chance puts any."""
    at = int.from_bytes(key, "big")
    return [NodeAddress((at ^ step).to_bytes(ID_BYTES, "big"), "10.0.0.1", step) for step in range(1, count + 1)]


def closest(nodes: list[NodeAddress], target: bytes, count: int = 20) -> list[NodeAddress]:
    return sorted(nodes, key=lambda node: distance(node.id, target))[:count]


def test_the_estimate_is_right_within_chance_and_without_bias() -> None:
    estimates = []
    for seed in range(60):
        nodes, own_id = strewn(seed, 1_000), random.Random(seed).randbytes(ID_BYTES)
        estimates.append(NetworkSize(own_id, partial(closest, nodes, own_id)).nodes())
    estimates.sort()
    assert 900 < estimates[30] < 1_100
    assert estimates[3] > 500
    assert estimates[56] < 1_700


def test_a_crowd_around_our_own_id_is_bounded_by_random_look_ups_and_calls_for_new_ones() -> None:
    own_id = bytes(ID_BYTES)
    nodes = strewn(1, 1_000)
    crowd = [NodeAddress(number.to_bytes(ID_BYTES, "big"), "10.0.0.1", 1) for number in range(1, 30)]
    size = NetworkSize(own_id, lambda: closest([*nodes, *crowd], own_id))
    assert size.nodes() > 10**9
    for seed in range(5):
        target = random.Random(f"target {seed}").randbytes(ID_BYTES)
        size.note(target, closest(nodes, target))
    assert size.is_doubtful
    assert 500 < size.nodes() < 1_600
    size.forget()
    assert not size.is_doubtful


def test_who_knows_nobody_takes_all_ids_for_the_region() -> None:
    size = NetworkSize(bytes(ID_BYTES), list)
    assert size.nodes() == 1
    assert size.radius(20) == WHOLE - 1


def test_a_region_is_crowded_where_chance_alone_would_not_put_so_many() -> None:
    nodes, crowd = strewn(2, 1_000), WHOLE * 20 // 1_000 // CROWDED_RATIO

    def is_crowded(key: bytes, known: list[NodeAddress]) -> bool:
        lookup = Lookup(Goal(key, k=20, slots=3), OWN_ID, known)
        return lookup.start(crowd=crowd) == [Finish()]

    assert not any(is_crowded(skill_key("main", str(number)), nodes) for number in range(100))
    assert is_crowded(KEY, [*nodes, *near(KEY, 30)])


def test_a_crowd_leads_no_look_up_and_its_names_add_nobody_to_those_that_are_to_be_asked() -> None:
    honest, gang = closest(strewn(5, 1_000), KEY, 30), near(KEY, 60)
    lookup = Lookup(Goal(KEY, k=20, slots=6), OWN_ID, [*honest, *gang[:10]])
    first = [ask for ask in lookup.start(crowd=WHOLE // 100) if isinstance(ask, Ask)]
    assert lookup.step(Answered(first[0].node.id, tuple(gang[10:40]))) == [Finish()], "20 of its names are enough"
    effects, asked = lookup.cover(honest, WHOLE // 20), set[bytes]()
    while Finish() not in effects:
        asks = [effect.node.id for effect in effects if isinstance(effect, Ask)]
        asked |= set(asks)
        effects = [one for peer in asks for one in lookup.step(Answered(peer, tuple(gang)))]
        if not effects:
            effects = [one for ask in first for one in lookup.step(Failed(ask.node.id))]
    assert asked == {node.id for node in honest}


def test_the_quarters_of_a_region_cover_it_and_share_nobody_in_it() -> None:
    rng = random.Random(3)
    for radius in (WHOLE - 1, WHOLE // 50, WHOLE // 999, 1):
        parts = quarters(KEY, radius, rng)
        for _ in range(100):
            inside = (distance(KEY, bytes(20)) ^ rng.randint(0, radius)).to_bytes(ID_BYTES, "big")
            assert sum(part.may_ask(inside) for part in parts) == 1
        outside = bytes([KEY[0] ^ 255]) + KEY[1:]
        assert all(part.may_ask(outside) for part in parts) or radius == WHOLE - 1
    seeds = strewn(4, 41)
    assert sorted(node.id for part in disjoint(seeds) for node in part) == sorted(node.id for node in seeds)


def ask_all(lookup: Lookup, effects: list[Effect]) -> int:
    """Answer every query with nothing; how many there were."""
    asked = 0
    while Finish() not in effects:
        asks = [effect for effect in effects if isinstance(effect, Ask)]
        asked += len(asks)
        effects = [one for ask in asks for one in lookup.step(Answered(ask.node.id, ()))]
    return asked


def test_a_radius_has_everyone_within_asked_and_an_address_group_counts_twice_at_most() -> None:
    ranked = [NodeAddress(rank.to_bytes(ID_BYTES, "big"), f"20.0.{rank}.1", 1) for rank in range(1, 31)]
    lookup = Lookup(Goal(bytes(ID_BYTES), k=4, slots=3), b"\xff" * ID_BYTES, ranked[:10])
    assert ask_all(lookup, lookup.start()) == 4
    assert ask_all(lookup, lookup.cover(ranked, 12)) == 8
    assert lookup.closest == ranked[:12]
    neighbours = [NodeAddress(rank.to_bytes(ID_BYTES, "big"), f"20.0.0.{rank}", 1) for rank in range(1, 10)]
    capped = Lookup(
        Goal(bytes(ID_BYTES), k=4, slots=3, max_per_group=2), b"\xff" * ID_BYTES, [*neighbours, *ranked[9:]]
    )
    assert ask_all(capped, capped.start()) == 4
    assert capped.closest == [*neighbours[:2], *ranked[9:11]]


def test_of_the_most_crowded_branch_the_youngest_goes() -> None:
    tree: Branches[str] = Branches()
    for member, group in {"a": "0a0000", "b": "0a0001", "c": "0a0101", "d": "140000"}.items():
        tree.add(member, group)
    assert tree.youngest_of_most_crowded() == "b"
    tree.remove("b", "0a0001")
    assert tree.youngest_of_most_crowded() == "c"
    tree.remove("c", "0a0101")
    assert tree.youngest_of_most_crowded() is None, "nobody shares a branch"
    assert branch_path("20010db8000000")[0] == "6:2001"


def test_a_full_key_makes_room_for_a_lone_network_and_none_for_the_crowd() -> None:
    store = RecordStore(DhtConfig(max_records_per_key=6))
    sellers = [Identity(bytes([number]) * 32) for number in range(1, 12)]
    records = [sign_record(seller, KEY, 1, NOW_MS + 1_000, b"x") for seller in sellers]
    assert store.put(records[0], "1e0000", NOW_MS) is Outcome.STORED
    for number in range(1, 6):
        assert store.put(records[number], f"14000{number}", NOW_MS) is Outcome.STORED
    assert store.put(records[6], "140006", NOW_MS) is Outcome.FULL
    assert store.put(records[7], "280000", NOW_MS) is Outcome.STORED
    assert store.put(records[8], None, NOW_MS) is Outcome.STORED, "who is in no group crowds nobody"
    kept = {record.public_key for record in store.find(KEY, NOW_MS)}
    assert kept == {records[number].public_key for number in (0, 1, 2, 3, 7, 8)}


def test_a_full_store_makes_room_across_keys() -> None:
    store = RecordStore(DhtConfig(max_records=4))
    sellers = [Identity(bytes([number]) * 32) for number in range(1, 7)]
    for number in range(4):
        flood = sign_record(sellers[number], skill_key("main", str(number)), 1, NOW_MS + 1_000, b"x")
        assert store.put(flood, f"14000{number}", NOW_MS) is Outcome.STORED
    assert store.put(sign_record(sellers[4], KEY, 1, NOW_MS + 1_000, b"x"), "1e0000", NOW_MS) is Outcome.STORED
    assert len(store) == 4
    assert store.find(skill_key("main", "3"), NOW_MS) == []


def test_nobody_stands_first_for_a_node_by_trying_keys_until_they_are_near_its_id() -> None:
    node, rng = Identity(b"n" * 32), random.Random(6)
    keys = [Identity(rng.randbytes(32)) for _ in range(2_000)]
    tried = {key.public_key for key in sorted(keys, key=lambda key: distance(key.node_id, node.node_id))[:20]}
    sellers = [*tried, *(Identity(rng.randbytes(32)).public_key for _ in range(80))]
    first = sorted(sellers, key=Preference(node, "main").rank)[:20]
    assert len(tried.intersection(first)) <= 10, "a fifth of all are expected to be a fifth of these"
    rng.shuffle(sellers)
    assert first == sorted(sellers, key=Preference(node, "main").rank)[:20], "the same ones again"
    assert first != sorted(sellers, key=Preference(Identity(b"o" * 32), "main").rank)[:20]


def test_a_popular_key_has_sixteen_shards_by_the_first_bits_of_an_id() -> None:
    shards = {shard_key(KEY, bytes([first]) + bytes(19)) for first in range(256)}
    assert len(shards) == SHARDS
    assert shard_key(KEY, b"\x10" + bytes(19)) == shard_key(KEY, b"\x1f" + bytes(19))
