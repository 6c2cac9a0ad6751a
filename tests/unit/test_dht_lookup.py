"""The look-up core, event by event."""

import random

from crypto.identity import Identity
from dht.contacts import NodeAddress
from dht.ids import ID_BYTES, distance
from dht.lookup import MAX_ASKED_RATIO, Answered, Ask, Effect, Failed, Finish, Goal, Lookup, Slow
from dht.namers import MAX_DEBT
from dht.records import Record, sign_record

NOW_MS = 1_800_000_000_000
TARGET = bytes(ID_BYTES)
OWN_ID = b"\xff" * ID_BYTES


def node(rank: int) -> NodeAddress:
    """The node at this distance from the target."""
    return NodeAddress(rank.to_bytes(ID_BYTES, "big"), "10.0.0.1", 1 + rank % 60_000)


def ranks(effects: list[Effect]) -> list[int]:
    """Whom the effects ask, by distance."""
    return [distance(effect.node.id, TARGET) for effect in effects if isinstance(effect, Ask)]


def advert(seller: int, seq: int = 1, body: bytes = b"body") -> Record:
    return sign_record(Identity(seller.to_bytes(32, "big")), TARGET, seq, NOW_MS, body)


def by_ring(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.publisher_id)


def test_three_slots_are_filled_at_once_and_refilled_one_by_one() -> None:
    lookup = Lookup(Goal(TARGET, k=20, slots=3), OWN_ID, [node(rank) for rank in range(100, 110)])
    assert ranks(lookup.start()) == [100, 101, 102]
    assert ranks(lookup.step(Answered(node(101).id, (node(5), node(6))))) == [5]
    assert ranks(lookup.step(Answered(node(5).id, ()))) == [6]


def test_a_slow_query_gives_its_slot_back_but_its_answer_counts() -> None:
    lookup = Lookup(Goal(TARGET, k=4, slots=1), OWN_ID, [node(1), node(2)])
    assert ranks(lookup.start()) == [1]
    assert ranks(lookup.step(Slow(node(1).id, 1))) == [2]
    lookup.step(Answered(node(1).id, ()))
    assert lookup.step(Answered(node(2).id, ())) == [Finish()]
    assert lookup.closest == [node(1), node(2)]


def test_it_waits_one_retransmission_for_a_slow_node_that_belongs_to_the_result() -> None:
    lookup = Lookup(Goal(TARGET, k=2, slots=2), OWN_ID, [node(1), node(2)])
    lookup.start()
    assert lookup.step(Slow(node(1).id, 1)) == []
    assert lookup.step(Answered(node(2).id, ())) == []
    assert lookup.step(Slow(node(1).id, 2)) == [Finish()]


def test_while_nobody_answered_it_waits_for_the_hard_time_out() -> None:
    lookup = Lookup(Goal(TARGET, k=2, slots=2), OWN_ID, [node(1)])
    lookup.start()
    assert lookup.step(Slow(node(1).id, 1)) == []
    assert lookup.step(Slow(node(1).id, 2)) == []
    assert lookup.step(Failed(node(1).id)) == [Finish()]
    assert lookup.closest == []


def test_without_any_seed_it_ends_at_once() -> None:
    assert Lookup(Goal(TARGET, k=20, slots=3), OWN_ID, []).start() == [Finish()]


def test_it_converges_on_the_true_closest_among_dead_nodes() -> None:
    rng = random.Random(7)
    world = sorted(rng.sample(range(1, 10**6), 300))
    dead = set(rng.sample(world, 120))
    living = [rank for rank in world if rank not in dead]
    lookup = Lookup(Goal(TARGET, k=20, slots=3), OWN_ID, [node(rank) for rank in rng.sample(world, 20)])
    waiting = ranks(lookup.start())
    while waiting:
        rank = waiting.pop(rng.randrange(len(waiting)))
        peer = node(rank)
        if rank in dead:
            effects = [*lookup.step(Slow(peer.id, 1)), *lookup.step(Slow(peer.id, 2)), *lookup.step(Failed(peer.id))]
        else:
            known = sorted(rng.sample(world, 60), key=lambda other: other ^ rank)[:40] + world[:25]
            effects = lookup.step(Answered(peer.id, tuple(node(other) for other in known)))
        waiting += ranks(effects)
        if Finish() in effects:
            break
    assert lookup.is_finished
    assert lookup.closest == [node(rank) for rank in living[:20]]


def test_events_about_unknown_nodes_and_after_the_end_change_nothing() -> None:
    lookup = Lookup(Goal(TARGET, k=2, slots=2), OWN_ID, [node(1)])
    lookup.start()
    assert lookup.step(Answered(node(9).id, (node(3),))) == []
    assert lookup.step(Failed(node(9).id)) == []
    assert lookup.step(Answered(node(1).id, ())) == [Finish()]
    assert lookup.step(Answered(node(1).id, (node(4),))) == []
    assert lookup.closest == [node(1)]


def test_we_never_ask_ourselves() -> None:
    own = NodeAddress(OWN_ID, "10.0.0.1", 1)
    assert Lookup(Goal(TARGET, k=2, slots=2), OWN_ID, [own]).start() == [Finish()]


def test_inventors_of_ever_closer_nodes_cannot_keep_it_going() -> None:
    lookup = Lookup(Goal(TARGET, k=2, slots=1), OWN_ID, [node(10**9)])
    effects = lookup.start()
    asked = 0
    while not lookup.is_finished:
        (rank,) = ranks(effects)
        asked += 1
        effects = lookup.step(Answered(node(rank).id, (node(rank - 1),)))
    assert asked == MAX_ASKED_RATIO * 2


def test_of_nodes_that_somebody_made_up_few_are_asked_before_those_whom_others_name_and_all_in_the_end() -> None:
    inventor, honest = node(10**6), node(10**6 + 1)
    lookup = Lookup(Goal(TARGET, k=20, slots=3), OWN_ID, [inventor, honest])
    lookup.start()
    asked = ranks(lookup.step(Answered(inventor.id, tuple(node(rank) for rank in range(1, 21)))))
    asked += ranks(lookup.step(Answered(honest.id, tuple(node(rank) for rank in range(100, 110)))))
    for rank in asked:
        event = Answered(node(rank).id, ()) if rank >= 100 else Slow(node(rank).id, 1)
        asked += ranks(lookup.step(event))  # which this loop goes on with
    assert all(rank < 100 for rank in asked[: asked.index(100)])
    assert asked.index(100) <= MAX_DEBT + 3, "three slots, and as many as it may owe"
    assert asked[asked.index(100) :][:10] == list(range(100, 110))
    assert sorted(asked) == [*range(1, 21), *range(100, 110)], "it may have been unlucky"


def test_three_holders_that_know_nothing_new_end_a_search_for_records() -> None:
    goal = Goal(TARGET, k=20, slots=3, max_records=64, agreeing=3)
    lookup = Lookup(goal, OWN_ID, [node(rank) for rank in range(1, 20)])
    lookup.start()
    record = advert(1)
    lookup.step(Answered(node(1).id, (), (record,), 1))
    lookup.step(Answered(node(2).id, (), (record,), 1))
    assert lookup.step(Answered(node(3).id, (), (record,), 1)) == [Finish()]
    assert lookup.records == [record]


def test_a_thorough_search_asks_all_k_holders() -> None:
    lookup = Lookup(Goal(TARGET, k=20, slots=3, max_records=64), OWN_ID, [node(rank) for rank in range(1, 30)])
    waiting = ranks(lookup.start())
    asked = 0
    while waiting:
        asked += 1
        waiting += ranks(lookup.step(Answered(node(waiting.pop()).id, (), (advert(1),), 1)))
    assert lookup.is_finished
    assert asked == 20


def test_the_newest_record_of_a_publisher_wins_also_where_it_is_a_withdrawal() -> None:
    lookup = Lookup(Goal(TARGET, k=3, slots=3, max_records=64), OWN_ID, [node(1), node(2), node(3)])
    lookup.start()
    old, new = advert(1, seq=1, body=b"old"), advert(1, seq=2, body=b"new")
    gone, ghost = advert(2, seq=9, body=b""), advert(2, seq=8)
    lookup.step(Answered(node(1).id, (), (new, gone), 2))
    lookup.step(Answered(node(2).id, (), (old, ghost), 2))
    assert lookup.step(Answered(node(3).id, (), (), 0)) == [Finish()]
    assert lookup.records == [new, gone]


def test_a_list_longer_than_an_answer_is_paged_from_where_the_last_answer_ended() -> None:
    everything = by_ring([advert(seller) for seller in range(1, 8)])
    lookup = Lookup(Goal(TARGET, k=1, slots=3, max_records=64), OWN_ID, [node(1)])
    lookup.start()
    effects = lookup.step(Answered(node(1).id, (), tuple(everything[:3]), 7))
    assert effects == [Ask(node(1), everything[2].publisher_id)]
    effects = lookup.step(Answered(node(1).id, (), tuple(everything[3:6]), 7))
    assert effects == [Ask(node(1), everything[5].publisher_id)]
    assert lookup.step(Answered(node(1).id, (), (everything[6], *everything[:2]), 7)) == [Finish()]
    assert by_ring(lookup.records) == everything


def test_a_holder_that_lies_about_its_total_costs_a_bounded_number_of_pages() -> None:
    lookup = Lookup(Goal(TARGET, k=2, slots=3, max_records=64), OWN_ID, [node(1)])
    lookup.start()
    pages = 0
    effects = lookup.step(Answered(node(1).id, (), (advert(1),), 500))
    while not lookup.is_finished:
        assert ranks(effects) == [1]
        pages += 1
        effects = lookup.step(Answered(node(1).id, (), (advert(1),), 500))
    assert pages <= 4


def test_a_holder_lost_while_paging_is_not_asked_again() -> None:
    lookup = Lookup(Goal(TARGET, k=1, slots=3, max_records=64), OWN_ID, [node(1)])
    lookup.start()
    lookup.step(Answered(node(1).id, (), (advert(1),), 5))
    assert lookup.step(Slow(node(1).id, 1)) == [Finish()]
    assert lookup.records == [advert(1)]
