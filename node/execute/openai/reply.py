"""What comes back from an endpoint, put together piece by piece and bounded; and the form in which a buyer gets it.

Servers differ: some send usage in a last chunk without choices, some in every chunk, some never; some ignore `stream`
and send one JSON object; an error may come in the middle of a stream. Whatever is not understood is an error, not text.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from node.decision.tokens import Usage

MAX_REASON_CHARS = 300
"""Of what an endpoint says about an error: it ends in the owner's log and in front of a buyer."""


class ReportedUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as an endpoint counts them; the names are the ecosystem's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def usage(self) -> Usage:
        """The same by our names."""
        return Usage(self.prompt_tokens, self.completion_tokens)


class ChatResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer of a chat gets for a request in JSON."""

    content: str
    finish_reason: Annotated[str, Meta(max_length=64)] = "stop"
    model: Annotated[str, Meta(max_length=256)] = ""
    usage: ReportedUsage | None = None
    """As the seller's endpoint counted; a claim like all that a seller sends."""


class EmbeddingsResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer of embeddings gets: one vector a text."""

    vectors: tuple[tuple[float, ...], ...]
    model: Annotated[str, Meta(max_length=256)] = ""
    usage: ReportedUsage | None = None


class ReplyError(Exception):
    """A reply that cannot be used; `is_final` where asking again would bring the same."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: ReportedUsage | None = None
    error: Any = None


class _Vector(msgspec.Struct):
    embedding: tuple[float, ...]
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: ReportedUsage | None = None


class Assembly:
    """A reply as it comes, in whatever pieces."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[str] = []
        self.written_bytes = 0
        self.usage: ReportedUsage | None = None
        self.finish_reason = ""
        self.is_done = False

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._parts)

    def take_line(self, line: bytes) -> None:
        """One line of an event stream; ReplyError when it is no part of a reply."""
        if not line.startswith(b"data:"):
            return  # a comment, an event's name, the empty line between events
        data = line[5:].strip()
        if data == b"[DONE]":
            self.is_done = True
        elif data:
            self.take(data)

    def take(self, data: bytes) -> None:
        """One JSON object: a chunk, or a whole reply."""
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ReplyError(f"the endpoint sent no valid reply: {str(error)[:MAX_REASON_CHARS]}") from error
        if chunk.error is not None:
            raise ReplyError(f"the endpoint broke off: {reason(chunk.error)}")
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices or ():
            piece = choice.delta or choice.message
            if piece is not None and piece.content:
                self._add(piece.content)
            self.finish_reason = choice.finish_reason or self.finish_reason

    def end(self) -> None:
        """There is no more; ReplyError when the reply has no end, or nothing in it."""
        if not self.finish_reason and not self.is_done:
            raise ReplyError("the endpoint's reply broke off before its end")
        if not self.written_bytes:
            because = f" ({self.finish_reason})" if self.finish_reason not in ("", "stop") else ""
            raise ReplyError(f"the model answered nothing{because}", is_final=True)

    def _add(self, text: str) -> None:
        self.written_bytes += len(text.encode(errors="replace"))
        if self.written_bytes > self._max_bytes:
            raise ReplyError(f"the endpoint's reply has more than {self._max_bytes} bytes", is_final=True)
        self._parts.append(text)


def read_vectors(data: bytes, count: int) -> tuple[tuple[tuple[float, ...], ...], ReportedUsage | None]:
    """The vectors of `count` texts, in their order; ReplyError otherwise."""
    try:
        found = msgspec.json.decode(data, type=_Vectors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReplyError(f"the endpoint sent no valid embeddings: {str(error)[:MAX_REASON_CHARS]}") from error
    ordered = sorted(found.data, key=lambda vector: vector.index)
    if [vector.index for vector in ordered] != list(range(count)):
        raise ReplyError(f"the endpoint sent {len(ordered)} embeddings for {count} texts")
    return tuple(vector.embedding for vector in ordered), found.usage


def reason(error: object) -> str:
    """What an endpoint says is wrong: a text, or an object with a message, or one inside `error`."""
    if isinstance(error, dict):
        inner = error.get("error")
        if inner is not None:
            return reason(inner)
        error = error.get("message") or error.get("detail") or error.get("code") or "no reason given"
    return " ".join(str(error).split())[:MAX_REASON_CHARS]
