"""The settings of a node's part in its community chain."""

from typing import Annotated

import msgspec
from msgspec import Meta

from crypto.identity import parse_did_key
from node.errors import UsageError
from node.ledger.pbft.config import PbftConfig
from node.net.endpoint import Endpoint, parse_endpoint

Count = Annotated[int, Meta(ge=1, le=100_000)]


class LedgerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The community chain that this node votes on or follows."""

    enabled: bool = True
    """Whether this node has a part in a community chain at all."""
    genesis: str = ""
    """The file that names the chain; without one, that of the bootstrap addresses, or a chain of this node alone."""
    endpoints: tuple[str, ...] = ()
    """Where members are (did:key:...@host:port), for those that discovery does not find."""
    follow: Annotated[int, Meta(ge=1, le=100)] = 3
    """Members that a node which is none itself asks for blocks: one may be down, and one lie."""
    keep_blocks: Annotated[int, Meta(ge=0, le=10**9)] = 0
    """At least so many of the last blocks are kept, and at most twice as many; 0 keeps all. All is the default: a block
    costs its transactions, about 300 bytes each, and only who has all blocks can show a newcomer how the state came to
    be. Who keeps few serves a certified state instead."""
    inbox_messages: Count = 4096
    """Messages that wait here, half of them from peers that are no members; what comes beyond is dropped and counted.
    About a second of signatures to check."""
    inbox_messages_per_peer: Count = 1024
    """So that one peer cannot fill it."""
    queue_messages: Count = 512
    """Messages that wait for one peer; the oldest are dropped first, since what still counts is said again."""
    agreement: PbftConfig = PbftConfig()
    """Times and limits of the agreement among members; members with different ones still agree."""

    def __post_init__(self) -> None:
        self.members_at()

    def members_at(self) -> dict[bytes, Endpoint]:
        """`endpoints` by public key; ValueError for one that is none."""
        found = {}
        for text in self.endpoints:
            did, _, where = text.rpartition("@")
            try:
                found[parse_did_key(did)] = parse_endpoint(where)
            except (UsageError, ValueError) as error:
                raise ValueError(f"endpoints: {text[:120]!r}: write did:key:...@host:port ({error})") from error
        return found
