"""A small replicated state machine, real but simple: keys with values, and a committee that transactions may change.

set KEY VALUE        join HEX-KEY        leave HEX-KEY
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.hashing import tagged_hash
from node.ledger.machine import InvalidBlock
from protocol.errors import RemoteProtocolError
from protocol.packing import pack, unpack

PIECE_ROWS = 8
"""Few, so that fetching a state takes several messages."""
Rows = list[tuple[str, bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Values:
    """A state. The mapping is never changed once the state is made."""

    members: tuple[bytes, ...]
    values: dict[bytes, bytes]
    applied: frozenset[bytes] = frozenset()


class KeyValues:
    """Implements node.ledger.machine.Machine[Values]."""

    def admit(self, state: Values, tx: bytes, *, time_unix_ms: int) -> str | None:
        """Anything well-formed that was not applied before."""
        if self.tx_id(tx) in state.applied:
            return "was applied before"
        try:
            _apply_one(list(state.members), {}, tx)
        except InvalidBlock as error:
            return error.text
        return None

    def select(self, state: Values, txs: Sequence[bytes], *, time_unix_ms: int) -> list[str | None]:
        """One after the other; one change of the committee in all, which any committee allows."""
        chosen, reasons = list[bytes](), list[str | None]()
        for tx in txs:
            try:
                after = self.apply(state, [*chosen, tx], height=0, time_unix_ms=time_unix_ms)
                if len(set(after.members) ^ set(state.members)) > 1:
                    raise InvalidBlock("one change of the committee a block")
            except InvalidBlock as error:
                reasons.append(error.text)
            else:
                chosen.append(tx)
                reasons.append(None)
        return reasons

    def apply(self, state: Values, txs: Sequence[bytes], *, height: int, time_unix_ms: int) -> Values:
        """All of them, in order."""
        members, values, applied = list(state.members), dict(state.values), set(state.applied)
        for tx in txs:
            if (tx_id := self.tx_id(tx)) in applied:
                raise InvalidBlock("a transaction was applied before")
            applied.add(tx_id)
            _apply_one(members, values, tx)
        values[b"height"] = b"%d" % height
        return Values(tuple(members), values, frozenset(applied))

    def seal(self, state: Values) -> Values:
        """Nothing to fold."""
        return state

    def root(self, state: Values) -> bytes:
        """Over its pieces, in order."""
        return _outline_root(self.cut(state).outline)

    def members(self, state: Values) -> tuple[bytes, ...]:
        """As the transactions left it."""
        return state.members

    def tx_id(self, tx: bytes) -> bytes:
        """SHA-256."""
        return hashlib.sha256(tx).digest()

    def cut(self, state: Values) -> "Pieces":
        """Members, values and what was applied, each in sorted order, a few rows a piece."""
        rows = [
            *(["member", member, b""] for member in state.members),
            *(["value", key, value] for key, value in sorted(state.values.items())),
            *(["applied", tx_id, b""] for tx_id in sorted(state.applied)),
        ]
        pieces = [pack(rows[at : at + PIECE_ROWS]) for at in range(0, len(rows), PIECE_ROWS)]
        return Pieces({self.piece_name(piece): piece for piece in pieces})

    def names(self, outline: bytes, root: bytes) -> tuple[bytes, ...]:
        """The outline is the names."""
        if _outline_root(outline) != root or len(outline) % 32:
            raise RemoteProtocolError("bad_snapshot", "an outline of another state")
        return tuple(outline[at : at + 32] for at in range(0, len(outline), 32))

    def piece_name(self, piece: bytes) -> bytes:
        """Its hash; RemoteProtocolError for what is no piece."""
        unpack(Rows, piece)
        return tagged_hash(b"sim-piece", piece)

    def joined(self, pieces: Sequence[bytes]) -> Values:
        """What `cut` took apart."""
        rows = [row for piece in pieces for row in unpack(Rows, piece)]
        return Values(
            tuple(key for kind, key, _ in rows if kind == "member"),
            {key: value for kind, key, value in rows if kind == "value"},
            frozenset(key for kind, key, _ in rows if kind == "applied"),
        )


@dataclass(frozen=True, slots=True)
class Pieces:
    """Implements node.ledger.machine.Cut."""

    by_name: dict[bytes, bytes]

    @property
    def outline(self) -> bytes:
        """The names, in order."""
        return b"".join(self.by_name)

    def piece(self, name: bytes) -> bytes | None:
        """The piece of that name."""
        return self.by_name.get(name)


def _outline_root(outline: bytes) -> bytes:
    return tagged_hash(b"sim-state", outline)


def _apply_one(members: list[bytes], values: dict[bytes, bytes], tx: bytes) -> None:
    match tx.split(b" "):
        case [b"set", key, value]:
            values[key] = value
        case [b"join", text]:
            key = _key(text)
            if key in members:
                raise InvalidBlock("this key is a member")
            members.append(key)
        case [b"leave", text]:
            key = _key(text)
            if key not in members or len(members) == 1:
                raise InvalidBlock("this key is no member, or the last one")
            members.remove(key)
        case _:
            raise InvalidBlock("neither set, join nor leave")


def _key(text: bytes) -> bytes:
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise InvalidBlock("a member's key is written in hexadecimal") from error
    if len(key) != 32:
        raise InvalidBlock("a member's key has 32 bytes")
    return key
