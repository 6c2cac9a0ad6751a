"""What all views share: their base, the words they use, and the answers without content."""

from typing import Literal

import msgspec

Side = Literal["client", "contractor"]
Preference = Literal["auto", "local", "cheap", "fast"]
Proof = Literal["certificate", "at-least", "attestation"]
"""What a seller can have shown: see docs/trust.md."""
CheckStatus = Literal["pass", "warn", "fail", "skip"]
EventName = Literal[
    "submitted",
    "understood",
    "local_priced",
    "sellers_found",
    "drifted",
    "quotes",
    "decided",
    "planned",
    "step",
    "awarded",
    "accepted",
    "progress",
    "input_required",
    "verified",
    "receipt",
    "settled",
    "fell_back",
    "completed",
    "failed",
    "cancelled",
    "rejected",
    "peer_connected",
    "peer_lost",
    "task_received",
    "task_served",
    "offer_changed",
    "reloaded",
    "stopping",
]
"""What can happen: to a task of ours, then to the node itself."""
ENDING_EVENTS: frozenset[EventName] = frozenset({"completed", "failed", "cancelled", "rejected"})


class View(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema"):
    """Base of everything that is sent on its own; each subclass's tag is its schema."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what only travels inside a view."""


class ErrorView(View, frozen=True, kw_only=True, tag="coalesced.error/1"):
    """A call that failed: the stable code, one line of text, and the exit code that the command line gives it."""

    code: str
    text: str
    exit_code: int


class OkView(View, frozen=True, kw_only=True, tag="coalesced.ok/1"):
    """Done as asked; `text` says what changed."""

    text: str


class Problem(Part, frozen=True, kw_only=True):
    """Something a person should know, and the command that fixes it (empty when there is none)."""

    text: str
    fix: str = ""
