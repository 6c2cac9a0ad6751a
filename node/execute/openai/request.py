"""What a buyer asks of a model: a text, files, or a chat in the ecosystem's form, checked before it is passed on."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from node.execute.envelope import Envelope, decode_own_or_envelope
from node.execute.errors import InputError
from node.execute.skill import JSON, TEXT

EXAMPLE = b"Say in one sentence what a receipt proves."
CHAT_EXAMPLE = b'{"messages": [{"role": "user", "content": "Say in one sentence what a receipt proves."}]}'
EMBEDDINGS_EXAMPLE = b'{"input": ["a receipt", "an invoice"]}'
INPUT_MEDIA_TYPES = (TEXT, JSON)
Share = Annotated[float, Meta(ge=-2, le=2)]


class TextPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="text", tag_field="type"):
    """A piece of a message. Pictures and sound have no skill yet."""

    text: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[TextPart, ...]
    name: Annotated[str, Meta(max_length=64)] | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class JsonSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A schema that the reply must match, where the endpoint can see to it."""

    name: Annotated[str, Meta(max_length=64)]
    schema: dict[str, Any] = {}
    description: str = ""
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What form the reply is to have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A conversation to be continued. Nothing that a model could act with: no tools."""

    messages: Annotated[tuple[ChatMessage, ...], Meta(min_length=1, max_length=10_000)]
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Share | None = None
    frequency_penalty: Share | None = None
    stop: str | Annotated[tuple[str, ...], Meta(max_length=16)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    response_format: ResponseFormat | None = None


class EmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Texts to be placed in a model's space."""

    input: str | Annotated[tuple[str, ...], Meta(min_length=1, max_length=2_048)]
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None


def read_chat(data: bytes, media_type: str) -> ChatRequest:
    """The conversation that an input is; InputError when it is none."""
    found = decode_own_or_envelope(ChatRequest, data, media_type, example=CHAT_EXAMPLE)
    if isinstance(found, ChatRequest):
        return found
    return ChatRequest(messages=(ChatMessage(role="user", content=_joined(found)),))


def read_texts(data: bytes, media_type: str) -> EmbeddingsRequest:
    """The texts that an input is; InputError when it is none."""
    found = decode_own_or_envelope(EmbeddingsRequest, data, media_type, example=EMBEDDINGS_EXAMPLE)
    return found if isinstance(found, EmbeddingsRequest) else EmbeddingsRequest(input=_joined(found))


def _joined(envelope: Envelope) -> str:
    """A text and files as one text, each file under its name."""
    parts = [envelope.text] if envelope.text else []
    parts += [f"--- {file.name} ---\n{file.as_text()}" for file in envelope.files]
    if not parts:
        raise InputError("the input is empty: give a text, or a file with -f FILE")
    return "\n\n".join(parts)
