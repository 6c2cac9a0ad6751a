"""The seam between agreement and what is agreed on: a deterministic state machine, replicated by node/ledger/pbft.

A machine is pure: the same calls give the same bytes on every replica, on every platform, under every hash seed.
Its states are immutable as seen from outside: agreement keeps several (a proposal's beside the committed one) and drops
those that lose. Errors about a block are the proposer's fault, never ours: RemoteProtocolError.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from protocol.errors import RemoteProtocolError

S = TypeVar("S")


class InvalidBlock(RemoteProtocolError):
    """A block holds what the rules forbid there; whoever proposed it is at fault."""

    def __init__(self, text: str) -> None:
        super().__init__("invalid_block", text)


class Cut(Protocol):
    """A state in pieces, for somebody who lacks it."""

    @property
    def outline(self) -> bytes:
        """What the pieces are, in an order from which the state's root follows."""
        ...  # pragma: no cover

    def piece(self, name: bytes) -> bytes | None:
        """The piece of that name; None when it is none of this state's."""
        ...  # pragma: no cover


class Machine(Protocol[S]):
    """The rules of one chain over states of type `S`."""

    def admit(self, state: S, tx: bytes, *, time_unix_ms: int) -> str | None:
        """Why `tx` cannot be in a block on top of `state` now; None if it can. Total: any bytes give an answer."""
        ...  # pragma: no cover

    def select(self, state: S, txs: Sequence[bytes], *, time_unix_ms: int) -> list[str | None]:
        """For each of `txs` why it cannot follow those before it that can; those with None, `apply` takes together.

        Together they change the committee by no more than one block may (quorum.change_refused).
        """
        ...  # pragma: no cover

    def apply(self, state: S, txs: Sequence[bytes], *, height: int, time_unix_ms: int) -> S:
        """The state after a block of `txs`; InvalidBlock if one may not be there. Never changes `state`."""
        ...  # pragma: no cover

    def seal(self, state: S) -> S:
        """Called once, when the block that gave `state` commits: may fold an overlay, never changes the root."""
        ...  # pragma: no cover

    def root(self, state: S) -> bytes:
        """The 32-byte commitment to the whole of `state` that block headers carry."""
        ...  # pragma: no cover

    def members(self, state: S) -> tuple[bytes, ...]:
        """The committee (Ed25519 public keys, in the order of primaries) of the next height."""
        ...  # pragma: no cover

    def tx_id(self, tx: bytes) -> bytes:
        """The 32 bytes by which two copies of one transaction are told to be one."""
        ...  # pragma: no cover

    # --- a state on its way to another replica, in pieces that are checked one by one

    def cut(self, state: S) -> Cut:
        """`state` in pieces. The same on every replica; states that have much in common share most pieces."""
        ...  # pragma: no cover

    def names(self, outline: bytes, root: bytes) -> tuple[bytes, ...]:
        """The pieces of the state with this root; RemoteProtocolError unless the outline proves to be of it."""
        ...  # pragma: no cover

    def piece_name(self, piece: bytes) -> bytes:
        """What this piece is, by its content; RemoteProtocolError when it is no piece of any state."""
        ...  # pragma: no cover

    def joined(self, pieces: Sequence[bytes]) -> S:
        """The state of all its pieces, in the outline's order."""
        ...  # pragma: no cover
