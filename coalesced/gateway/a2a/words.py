"""What travels in A2A beside its own fields: our extension's address, money in it, texts of the protocol's messages."""

import uuid
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from a2a.types.a2a_pb2 import Message, Part, Role
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

ECONOMICS: Final = "urn:coalesced:a2a:economics:1"
"""The extension for prices, contracts and receipts (docs/a2a.md)."""
PROGRESS: Final = "urn:coalesced:a2a:progress:1"
"""Metadata of a status: how far the work is, in parts per million."""
SKILL: Final = "skill"
"""Metadata of a message: which of the card's skills it is for."""
MICRO: Final = 1_000_000
MAX_USD: Final = 10**9
MAX_TEXT_CHARS: Final = 2_000
"""Of what a message tells a person."""


def dollars(micro: int) -> str:
    """Micro-dollars as decimal dollars: a JSON number would go through a double on its way."""
    return f"{Decimal(micro) / MICRO:f}"


def micro_of(text: object) -> int:
    """Micro-dollars of decimal dollars, exactly; ValueError for anything else."""
    if not isinstance(text, str) or len(text) > 20:
        raise ValueError(f"an amount must be decimal dollars as text, not {str(text)[:40]!r}")
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no decimal amount of dollars") from error
    if not amount.is_finite() or not 0 <= amount <= MAX_USD or amount * MICRO != int(amount * MICRO):
        raise ValueError(f"{text!r} is not an amount of dollars with at most six decimals")
    return int(amount * MICRO)


def said(text: str, *, task_id: str, context_id: str, metadata: dict[str, Any] | None = None) -> Message:
    """A message of this agent about a task."""
    return Message(
        message_id=uuid.uuid4().hex,
        role=Role.ROLE_AGENT,
        task_id=task_id,
        context_id=context_id,
        parts=[Part(text=text[:MAX_TEXT_CHARS])],
        metadata=struct(metadata) if metadata else None,
    )


def struct(value: dict[str, Any]) -> Struct:
    """A JSON object as protobuf carries it."""
    made: Struct = ParseDict(value, Struct())
    return made


def plain(value: Struct) -> dict[str, Any]:
    """The JSON object in metadata."""
    read: dict[str, Any] = MessageToDict(value)
    return read


def text_of(message: Message) -> str:
    """The text parts of a message, a line each."""
    return "\n".join(part.text for part in message.parts if part.WhichOneof("content") == "text")
