"""How this node stands with its community chain, as a value that anybody may look at."""

from dataclasses import dataclass
from typing import Literal

from node.ledger.chain.state import State
from node.ledger.pbft.core import Core
from node.ledger.pbft.peers import lag
from node.ledger.pbft.quorum import tolerated
from node.ledger.pbft.state import Stage

Role = Literal["member", "observer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """After the last turn. `view` and `stage` are of the height that is being decided."""

    height: int
    head: bytes
    time_unix_ms: int
    view: int
    stage: str
    role: Role
    members: tuple[bytes, ...]
    primary: bytes
    quorum: int
    waiting: int
    """Transactions in the pool."""
    ahead: int
    """How many blocks more than here the members have (node/ledger/pbft/peers.py)."""
    forgot: bool
    """A member that does not know what it voted for, and does not vote until that is settled."""
    fetching: int
    """The height of the state that is being fetched in place of blocks; 0 when none is."""

    @property
    def tolerates(self) -> int:
        """f: how many members may lie or fail."""
        return tolerated(len(self.members))


def facts_of(core: Core[State]) -> Facts:
    """What there is to be told of a core between two turns."""
    replica = core.replica
    return Facts(
        height=replica.head.height,
        head=replica.head.hash,
        time_unix_ms=replica.head.time_unix_ms,
        view=replica.view,
        stage=replica.stage.value,
        role="observer" if replica.stage is Stage.FOLLOWING or not replica.is_member else "member",
        members=replica.committee.members,
        primary=replica.committee.primary(replica.view),
        quorum=replica.committee.q,
        waiting=len(replica.pool),
        forgot=replica.forgot,
        fetching=replica.fetch.height if replica.fetch is not None else 0,
        ahead=lag(replica),
    )
