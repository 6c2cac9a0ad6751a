"""How many are enough: for every size of a committee, not for those of the form 3f + 1 alone."""

import pytest

from coalesced.sim.ledger.node import identity_of
from node.ledger.pbft.quorum import Committee, change_refused, quorum, tolerated
from protocol.consensus import MAX_MEMBERS
from protocol.errors import LocalProtocolError

KEYS = tuple(identity_of(at).public_key for at in range(9))


@pytest.mark.parametrize("n", range(1, MAX_MEMBERS + 1))
def test_two_quorums_share_an_honest_member_and_the_honest_alone_are_one(n: int) -> None:
    assert 2 * quorum(n) - n > tolerated(n)
    assert quorum(n) <= n - tolerated(n)


def test_the_sizes_that_people_use() -> None:
    assert {n: (tolerated(n), quorum(n)) for n in (1, 2, 3, 4, 5, 6, 7, 10)} == {
        1: (0, 1),
        2: (0, 2),
        3: (0, 2),
        4: (1, 3),
        5: (1, 4),
        6: (1, 4),
        7: (2, 5),
        10: (3, 7),
    }


def test_primaries_take_turns_in_the_committees_order() -> None:
    committee = Committee(KEYS[:4])
    assert [committee.primary(view) for view in range(5)] == [*KEYS[:4], KEYS[0]]


def test_only_different_members_count() -> None:
    committee = Committee(KEYS[:4])
    assert not committee.has_quorum([KEYS[0]] * 5 + [KEYS[1], KEYS[7], KEYS[8]])
    assert committee.has_quorum(KEYS[1:4])


@pytest.mark.parametrize("members", [(), (KEYS[0], KEYS[0]), (b"short",), KEYS * 12])
def test_what_is_no_committee_is_refused(members: tuple[bytes, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        Committee(members)


def test_at_most_max_1_f_members_come_and_go_in_a_block() -> None:
    four, seven = Committee(KEYS[:4]), Committee(KEYS[:7])
    assert change_refused(four, KEYS[:5]) is None
    assert change_refused(four, KEYS[1:5]) is None, "a key that takes over"
    assert change_refused(four, KEYS[:3]) is None
    assert change_refused(four, KEYS[2:6]) == "2 members come and 2 go in one block: at most 1 of each"
    assert change_refused(seven, KEYS[2:9]) is None
    assert change_refused(seven, KEYS[:4]) is not None
    assert change_refused(four, ()) is not None
