"""What a person types for a task or a peer, and which one it means."""

from collections.abc import Iterable

from crypto.identity import parse_did_key, short_id
from node.errors import UsageError
from node.store.tasks import TaskRow, Tasks

LEAST_PREFIX = 4
"""Fewer digits would often mean several tasks."""


async def find_task(tasks: Tasks, text: str) -> TaskRow:
    """The task whose id is or begins with `text` (hexadecimal); UsageError when there is none, or several."""
    wanted = text.strip().lower()
    if not LEAST_PREFIX <= len(wanted) <= 32 or not set(wanted) <= set("0123456789abcdef"):
        raise UsageError(f"{text[:40]!r} is not a task id: give at least its first {LEAST_PREFIX} hexadecimal digits")
    found = await tasks.find(wanted, 2)
    if not found:
        raise UsageError(f"there is no task {wanted}: `coalesced task ls` lists them")
    if len(found) > 1:
        raise UsageError(f"several tasks begin with {wanted}: give more digits")
    return found[0]


def find_peer(text: str, known: Iterable[bytes]) -> bytes:
    """The public key that `text` means: a did:key, or the short id (or its beginning) of a known peer."""
    if text.startswith("did:"):
        try:
            return parse_did_key(text)
        except ValueError as error:
            raise UsageError(str(error)) from error
    found = {key for key in known if short_id(key).startswith(text.strip().lower())} if text.strip() else set()
    if len(found) != 1:
        what = "several known peers begin with it" if found else "no known peer has it"
        raise UsageError(
            f"{text[:60]!r} names no peer: {what}; `coalesced peers ls` lists them, a did:key always works"
        )
    return found.pop()
