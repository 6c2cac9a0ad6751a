"""Who becomes a contact, and who stops being one."""

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import ContactJoined, ContactLeft, NodeAddress, address_group
from dht.limits import BURST, RATE_PER_S, TokenBuckets
from dht.routing import CONTACT_SENDS, STRANGER_SENDS, Check, Routing, RoutingEffect

OWN = Identity(b"\xff" * 32)
PEERS = [Identity(number.to_bytes(32, "big")) for number in range(1, 60)]


def at(number: int, host: str = "10.0.0.1", port: int | None = None) -> NodeAddress:
    return NodeAddress(PEERS[number].node_id, host, port if port is not None else 5000 + number)


def answer(routing: Routing, node: NodeAddress, rtt_s: float = 0.1, now_s: float = 0.0) -> list[RoutingEffect]:
    key = next(peer.public_key for peer in PEERS if peer.node_id == node.id)
    return routing.answered(node, key, rtt_s, now_s)


def routing_of(config: DhtConfig | None = None) -> Routing:
    return Routing(OWN.node_id, config or DhtConfig())


def test_a_stranger_that_sends_a_request_is_pinged_once_and_not_admitted() -> None:
    routing = routing_of()
    assert routing.heard(at(0), 0.0) == [Check(at(0), STRANGER_SENDS)]
    assert routing.contacts() == []
    assert routing.closest(OWN.node_id, 20) == []


def test_a_node_that_answers_is_admitted_and_its_round_trip_smoothed() -> None:
    routing = routing_of()
    effects = answer(routing, at(0), rtt_s=0.1)
    assert [type(effect) for effect in effects] == [ContactJoined]
    assert answer(routing, at(0), rtt_s=0.18) == []
    (contact,) = routing.contacts()
    assert (contact.id, contact.public_key) == (PEERS[0].node_id, PEERS[0].public_key)
    assert contact.rtt_s is not None
    assert abs(contact.rtt_s - 0.11) < 1e-9
    assert routing.heard(at(0), 0.0) == []


def test_two_losses_in_a_row_evict_and_the_first_one_asks_for_a_ping() -> None:
    routing = routing_of()
    answer(routing, at(0))
    assert routing.lost(at(0)) == [Check(at(0), CONTACT_SENDS)]
    assert routing.closest(OWN.node_id, 20) == []
    assert routing.seeds(OWN.node_id, 20) == [at(0)]
    assert [type(effect) for effect in routing.lost(at(0))] == [ContactLeft]
    assert len(routing) == 0


def test_an_answer_between_two_losses_forgives_the_first() -> None:
    routing = routing_of()
    answer(routing, at(0))
    routing.lost(at(0))
    answer(routing, at(0))
    routing.lost(at(0))
    assert len(routing) == 1


def test_a_loss_at_an_address_that_the_contact_does_not_have_changes_nothing() -> None:
    routing = routing_of()
    answer(routing, at(0))
    assert routing.lost(at(0, port=1)) == []
    assert routing.lost(at(1)) == []
    assert routing.closest(OWN.node_id, 20) == [at(0)]


def test_a_doubtful_contact_that_is_heard_from_is_checked_at_once() -> None:
    routing = routing_of()
    answer(routing, at(0))
    routing.lost(at(0))
    assert routing.heard(at(0), 0.0) == [Check(at(0), STRANGER_SENDS)]


def test_a_node_that_proves_a_new_address_moves_there() -> None:
    routing = routing_of()
    answer(routing, at(0, port=1))
    effects = answer(routing, at(0, port=2))
    assert [type(effect) for effect in effects] == [ContactLeft, ContactJoined]
    assert [contact.port for contact in routing.contacts()] == [2]


def test_a_node_with_two_address_families_stays_at_the_first_while_it_works() -> None:
    routing = routing_of()
    answer(routing, at(0))
    assert answer(routing, at(0, host="fd00::1")) == []
    routing.lost(at(0))
    answer(routing, at(0, host="fd00::1"))
    assert [contact.host for contact in routing.contacts()] == ["fd00::1"]


def test_a_new_key_at_an_address_evicts_the_old_one() -> None:
    routing = routing_of()
    answer(routing, at(0, port=9))
    effects = answer(routing, at(1, port=9))
    assert [type(effect) for effect in effects] == [ContactLeft, ContactJoined]
    assert [contact.id for contact in routing.contacts()] == [PEERS[1].node_id]


def test_we_are_never_our_own_contact() -> None:
    routing = routing_of()
    own = NodeAddress(OWN.node_id, "10.0.0.1", 1)
    assert routing.heard(own, 0.0) == []
    assert routing.answered(own, OWN.public_key, 0.1, 0.0) == []


def test_a_full_bucket_checks_its_oldest_contact_when_a_newcomer_waits() -> None:
    config = DhtConfig(k=1)
    routing = routing_of(config)
    far = [number for number, peer in enumerate(PEERS) if peer.node_id[0] >> 7 != OWN.node_id[0] >> 7]
    near = next(number for number in range(len(PEERS)) if number not in far)
    answer(routing, at(near))
    answer(routing, at(far[0]))
    assert routing.heard(at(far[1]), 10.0) == []
    assert routing.heard(at(far[1]), 2000.0) == [Check(at(far[0]), CONTACT_SENDS)]
    assert answer(routing, at(far[1]), now_s=2000.0) == [Check(at(far[0]), CONTACT_SENDS)]
    routing.lost(at(far[0]))
    left, joined = routing.lost(at(far[0]))
    assert isinstance(left, ContactLeft)
    assert isinstance(joined, ContactJoined)
    assert joined.contact.id == PEERS[far[1]].node_id


def test_address_groups_are_limited_in_a_bucket_and_in_the_table() -> None:
    routing = routing_of()
    admitted = [number for number in range(20) if answer(routing, at(number, host=f"203.0.113.{number + 1}"))]
    assert len(admitted) == 2
    assert routing.heard(at(30, host="203.0.113.99"), 0.0) == []
    assert routing.heard(at(30, host="203.0.114.99"), 0.0) != []


def test_private_ranges_are_exempt_unless_the_setting_says_otherwise() -> None:
    for host in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.0.1", "::1", "fd00::1", "fe80::1"):
        assert address_group(host, limit_private=False) is None
        assert address_group(host, limit_private=True) is not None
    assert address_group("203.0.113.7", limit_private=False) == "cb0071"
    assert address_group("2001:db8:1:203::7", limit_private=False) == "20010db8000102"


def test_a_flooding_address_group_is_throttled_and_recovers() -> None:
    buckets = TokenBuckets(DhtConfig())
    allowed = sum(buckets.take(f"203.0.113.{number % 256}", 0.0) for number in range(1000))
    assert allowed == BURST
    assert buckets.take("203.0.114.1", 0.0)
    assert buckets.take("127.0.0.1", 0.0)
    assert not buckets.take("203.0.113.1", 0.5 / RATE_PER_S)
    assert buckets.take("203.0.113.1", 2 / RATE_PER_S)
