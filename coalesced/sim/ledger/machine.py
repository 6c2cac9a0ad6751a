"""A small replicated state machine, real but simple: keys with values, and a committee that transactions may change.

set KEY VALUE        join HEX-KEY        leave HEX-KEY
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.hashing import tagged_hash
from node.ledger.machine import InvalidBlock


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
        """Over everything, in sorted order."""
        items = [part for item in sorted(state.values.items()) for part in item]
        return tagged_hash(b"sim-state", *state.members, b"", *items, b"", *sorted(state.applied))

    def members(self, state: Values) -> tuple[bytes, ...]:
        """As the transactions left it."""
        return state.members

    def tx_id(self, tx: bytes) -> bytes:
        """SHA-256."""
        return hashlib.sha256(tx).digest()


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
