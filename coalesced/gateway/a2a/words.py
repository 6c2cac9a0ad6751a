"""Messages and metadata of A2A in the SDK's types."""

import uuid
from typing import Any, Final

from a2a.types.a2a_pb2 import Message, Part, Role
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from coalesced.cli.escape import escaped_block

PROGRESS: Final = "urn:coalesced:a2a:progress:1"
"""Metadata of a status: how far the work is, in parts per million."""
MAX_TEXT_CHARS: Final = 2_000
"""Of what a message tells a person."""


def said(text: str, *, task_id: str, context_id: str, metadata: dict[str, Any] | None = None) -> Message:
    """A message of this agent about a task. It may quote a seller: nothing in it hides or steers a terminal."""
    return Message(
        message_id=uuid.uuid4().hex,
        role=Role.ROLE_AGENT,
        task_id=task_id,
        context_id=context_id,
        parts=[Part(text=escaped_block(text[:MAX_TEXT_CHARS]))],
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
