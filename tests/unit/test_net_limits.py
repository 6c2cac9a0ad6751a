"""Counting connections and offences."""

from hypothesis import given
from hypothesis import strategies as st

from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.limits import MAX_REMEMBERED, Admission, Conduct

CONFIG = NetConfig(max_half_open=3, max_half_open_per_address=2, max_inbound=5, max_inbound_per_address=4)
ONE, TWO, THREE = (Endpoint(f"192.0.2.{number}", 1) for number in (1, 2, 3))


def test_half_open_connections_are_limited_per_address_and_in_all() -> None:
    admission = Admission(CONFIG)
    admission.connected(ONE)
    admission.connected(ONE)
    assert "from 192.0.2.1, the limit per address" in (admission.refusal(ONE) or "")
    assert admission.refusal(TWO) is None
    admission.connected(TWO)
    assert "3 handshakes are under way, the limit in all" in (admission.refusal(THREE) or "")
    admission.handshake_ended(ONE)
    assert admission.refusal(THREE) is None


def test_open_connections_are_limited_per_address_and_in_all() -> None:
    admission = Admission(CONFIG)
    for remote in (ONE, ONE, ONE, ONE):
        assert admission.refusal(remote) is None
        admission.connected(remote)
        admission.handshake_ended(remote)
    assert "4 connections are open from 192.0.2.1" in (admission.refusal(ONE) or "")
    admission.connected(TWO)
    admission.handshake_ended(TWO)
    assert "5 inbound connections are open" in (admission.refusal(THREE) or "")
    admission.disconnected(ONE)
    assert admission.refusal(THREE) is None


@given(st.lists(st.sampled_from([ONE, TWO, THREE]), max_size=40))
def test_the_counts_return_to_nothing(remotes: list[Endpoint]) -> None:
    admission = Admission(CONFIG)
    admitted = []
    for remote in remotes:
        if admission.refusal(remote) is None:
            admission.connected(remote)
            admitted.append(remote)
    assert len(admitted) <= CONFIG.max_half_open
    for remote in admitted:
        admission.handshake_ended(remote)
        admission.disconnected(remote)
    assert not admission._half_open
    assert not admission._inbound


def test_offences_add_up_to_a_block_that_ends() -> None:
    conduct, peer = Conduct[bytes](max_offences=2, block_s=10), bytes(32)
    assert conduct.offended(peer, now=0.0) == 1
    assert not conduct.is_blocked(peer, now=0.0)
    assert conduct.offended(peer, now=1.0) == 2
    assert conduct.is_blocked(peer, now=10.9)
    assert conduct.blocked(now=10.9) == [peer]
    assert conduct.offences(peer) == 0
    assert not conduct.is_blocked(peer, now=11.0)
    assert conduct.blocked(now=11.0) == []


def test_offences_long_ago_are_forgotten_where_that_is_asked_for() -> None:
    conduct = Conduct[str](max_offences=3, block_s=10, remember_s=60)
    assert [conduct.offended("192.0.2.1", now) for now in (0.0, 59.0)] == [1, 2]
    assert conduct.offended("192.0.2.1", now=60.0) == 1, "the first is forgotten, and the count begins again"
    assert conduct.offended("192.0.2.2", now=60.0) == 1, "addresses are counted apart"
    assert [conduct.offended("192.0.2.1", now) for now in (61.0, 62.0)] == [2, 3]
    assert conduct.blocked(now=62.0) == ["192.0.2.1"]


def test_unblocking_takes_effect_and_is_harmless_otherwise() -> None:
    conduct, peer = Conduct[bytes](max_offences=2, block_s=10), bytes(32)
    conduct.block(peer, until=100.0)
    conduct.unblock(peer)
    conduct.unblock(peer)
    assert not conduct.is_blocked(peer, now=0.0)


def test_offences_and_the_block_that_they_lead_to_follow_a_peer_to_its_next_key() -> None:
    conduct = Conduct[bytes](max_offences=3, block_s=10)
    old, new, other = b"o", b"n", b"x"
    assert not conduct.pass_on(old, new, now=0.0)
    conduct.offended(old, now=0.0)
    conduct.offended(new, now=1.0)
    assert not conduct.pass_on(old, new, now=1.0)
    assert (conduct.offences(old), conduct.offences(new)) == (0, 2)
    conduct.offended(old, now=2.0)
    assert conduct.pass_on(old, new, now=2.0), "the third, under whichever name"
    assert conduct.is_blocked(new, now=11.9)
    assert not conduct.is_blocked(new, now=12.0)
    for _ in range(3):
        conduct.offended(old, now=20.0)
    assert conduct.pass_on(old, other, now=25.0)
    assert not conduct.pass_on(old, other, now=26.0), "it is blocked already"
    assert conduct.is_blocked(other, now=29.9)
    assert not conduct.is_blocked(other, now=30.0), "for as long as the old key was, no longer"


def test_any_number_of_keys_takes_bounded_memory() -> None:
    conduct = Conduct[bytes](max_offences=2, block_s=10)
    for number in range(MAX_REMEMBERED + 100):
        conduct.offended(number.to_bytes(32, "big"), now=0.0)
        conduct.block(number.to_bytes(32, "big"), until=1.0)
    assert len(conduct._offences) == len(conduct.blocked(0.0)) == MAX_REMEMBERED
