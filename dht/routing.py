"""Whom we know and how far we trust them: the admission policy over the library's k-buckets.

Pure: time is passed in, what should happen comes back as effects. Only a node that answered a request of ours,
signed, from the address in question, becomes a contact. `heard` merely proposes to ping a stranger.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dht.config import DhtConfig
from dht.contacts import Address, Contact, ContactJoined, ContactLeft, NodeAddress, address_group, nearest
from dht.rpc import BucketTable, TableNode

RTT_WEIGHT = 1 / 8
"""Weight of a new sample in a smoothed round trip (RFC 6298, 2.3)."""
STRANGER_SENDS = 1
CONTACT_SENDS = 3
UNSEEN_S = 1_800.0
"""The oldest contact of a full bucket is checked before it keeps a newcomer out, unless it was seen since."""


@dataclass(frozen=True, slots=True)
class Check:
    """Ping this node: it is unproven, or lost a request.

    A stranger's address may be forged, so it gets a single datagram, which the bound on amplification counts in.
    """

    node: NodeAddress
    max_sends: int


RoutingEffect = ContactJoined | ContactLeft | Check


def smoothed(average_s: float | None, sample_s: float) -> float:
    """The smoothed round trip after one more sample."""
    return sample_s if average_s is None else average_s + RTT_WEIGHT * (sample_s - average_s)


class Routing:
    """The contacts of one node."""

    def __init__(self, own_id: bytes, config: DhtConfig) -> None:
        self._own_id = own_id
        self._config = config
        self._table = BucketTable(own_id, config.k)

    def __len__(self) -> int:
        return sum(1 for _ in self._table)

    def contacts(self) -> list[Contact]:
        """All contacts, replacements left out."""
        return [_contact(node) for node in self._table]

    def closest(self, target: bytes, count: int, exclude: bytes = b"") -> list[NodeAddress]:
        """The `count` contacts closest to `target`, closest first; those that lost their last request left out."""
        good = (node for node in self._table if not node.losses and node.id != exclude)
        return [node.node for node in nearest(good, target, count)]

    def seeds(self, target: bytes, count: int) -> list[NodeAddress]:
        """Where to start a look-up: as `closest`, but a doubtful contact is better than none."""
        return self.closest(target, count) or [node.node for node in nearest(self._table, target, count)]

    def rtt_s(self, node_id: bytes) -> float | None:
        """The smoothed round trip to this node, if it is known."""
        node = self._table.get(node_id)
        return node.rtt_s if node is not None else None

    def heard(self, node: NodeAddress, now_s: float) -> list[RoutingEffect]:
        """A signed request came from there, which proves the key, not the address: whom to ping because of it."""
        if node.id == self._own_id:
            return []
        known = self._table.get(node.id)
        if known is not None:
            return [Check(node, STRANGER_SENDS)] if known.losses or known.node != node else []
        if not self._is_group_free(node):
            return []
        if self._table.has_room_for(node.id):
            return [Check(node, STRANGER_SENDS)]
        return self._check_oldest(node.id, now_s)

    def answered(self, node: NodeAddress, public_key: bytes, rtt_s: float, now_s: float) -> list[RoutingEffect]:
        """The node answered a request of ours from this address: admit or refresh it."""
        if node.id == self._own_id:
            return []
        effects = self._vacate(node)
        known = self._table.get(node.id)
        if known is not None and known.node != node:
            if not known.losses and (":" in known.ip) != (":" in node.host):
                return effects  # One node, two address families: the first stays as long as it works.
            effects += self._remove(known)
            known = None
        if known is None and not self._is_group_free(node):
            return effects
        was_contact = known is not None and self._table.holds(known.id)
        member = known or TableNode(node.id, public_key, node.host, node.port)
        member.rtt_s = smoothed(member.rtt_s, rtt_s)
        member.last_seen_s, member.losses = now_s, 0
        if not self._table.add(member):
            return [*effects, *self._check_oldest(node.id, now_s)]
        if not was_contact:
            effects.append(ContactJoined(_contact(member)))
        return effects

    def lost(self, node: NodeAddress) -> list[RoutingEffect]:
        """A request to the node was lost: check it at once, or evict it after too many."""
        known = self._table.get(node.id)
        if known is None or known.node != node:
            return []
        known.losses += 1
        if known.losses >= self._config.max_losses:
            return self._remove(known)
        return [Check(node, CONTACT_SENDS)]

    def touch(self, target: bytes, now_s: float) -> None:
        """Note that `target` was looked up, which refreshes its bucket."""
        self._table.touch(target, now_s)

    def stale_ranges(self, before_s: float) -> list[tuple[int, int]]:
        """Inclusive id ranges in which nothing was looked up since `before_s`."""
        return self._table.ranges_older_than(before_s)

    def _vacate(self, node: NodeAddress) -> list[RoutingEffect]:
        """Evict whoever had the address before: one socket has one key."""
        previous = self._at(node.address)
        return self._remove(previous) if previous is not None and previous.id != node.id else []

    def _at(self, address: Address, apart_from: bytes = b"") -> TableNode | None:
        """The contact at this address. A search, since an index would take a third of what the contacts take."""
        host, port = address
        for node in self._table:
            if node.port == port and node.ip == host and node.id != apart_from:
                return node
        return None

    def _remove(self, node: TableNode) -> list[RoutingEffect]:
        was_contact = self._table.holds(node.id)
        promoted = self._table.remove(node)
        if not was_contact:
            return []
        effects: list[RoutingEffect] = [ContactLeft(_contact(node))]
        while promoted is not None and self._at(promoted.node.address, apart_from=promoted.id) is not None:
            promoted = self._table.remove(promoted)  # Its address has become another contact's meanwhile.
        if promoted is not None:
            effects.append(ContactJoined(_contact(promoted)))
        return effects

    def _check_oldest(self, node_id: bytes, now_s: float) -> list[RoutingEffect]:
        oldest = self._table.bucket_of(node_id)[0]
        return [Check(oldest.node, CONTACT_SENDS)] if now_s - oldest.last_seen_s > UNSEEN_S else []

    def _is_group_free(self, node: NodeAddress) -> bool:
        """Whether the node's address group is within its limits, in the table and in the bucket."""
        group = address_group(node.host, self._config.limit_private_addresses)
        if group is None:
            return True
        return (
            self._count(self._table, group) < self._config.max_contacts_per_group
            and self._count(self._table.bucket_of(node.id), group) < self._config.max_bucket_contacts_per_group
        )

    def _count(self, nodes: Iterable[TableNode], group: str) -> int:
        return Counter(address_group(node.ip, self._config.limit_private_addresses) for node in nodes)[group]


def _contact(node: TableNode) -> Contact:
    return Contact(node.id, node.public_key, node.ip, node.port, node.rtt_s, node.last_seen_s)
