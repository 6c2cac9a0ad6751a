"""Whatever nodes do, the events tell exactly who is a contact, and no address has two."""

from hypothesis import given
from hypothesis import strategies as st

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import ContactJoined, ContactLeft, NodeAddress, nearest
from dht.routing import Check, Routing

OWN = Identity(b"\xff" * 32)
PEERS = [Identity(number.to_bytes(32, "big")) for number in range(1, 17)]

moves = st.lists(st.tuples(st.sampled_from(["answered", "lost", "heard"]), st.integers(0, 15), st.integers(1, 8)))


@given(moves, st.integers(1, 3))
def test_the_events_add_up_to_the_contacts(history: list[tuple[str, int, int]], k: int) -> None:
    routing = Routing(OWN.node_id, DhtConfig(k=k))
    present: set[bytes] = set()
    for number, (move, peer, port) in enumerate(history):
        node = NodeAddress(PEERS[peer].node_id, "10.0.0.1", port)
        match move:
            case "answered":
                effects = routing.answered(node, PEERS[peer].public_key, 0.1, float(number))
            case "lost":
                effects = routing.lost(node)
            case _:
                effects = routing.heard(node, float(number))
                assert all(isinstance(effect, Check) for effect in effects)
        for effect in effects:
            match effect:
                case ContactJoined(contact):
                    assert contact.id not in present
                    present.add(contact.id)
                case ContactLeft(contact):
                    present.remove(contact.id)
                case Check():
                    pass
        contacts = routing.contacts()
        assert {contact.id for contact in contacts} == present
        assert len(routing) == len(contacts)
        assert len({contact.port for contact in contacts}) == len(contacts)
        named = routing.closest(OWN.node_id, 100)
        assert named == nearest(named, OWN.node_id, 100)
        assert {node.id for node in named} <= present
