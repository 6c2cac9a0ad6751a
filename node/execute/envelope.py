"""The general input envelope, and a skill's own JSON, decoded with errors that a person can act on.

`coalesced ask SKILL "text" -f a -f b` sends {"text": "...", "files": [{"name": "a", "media_type": "text/plain",
"text": "..."}]}; binary files carry "base64" instead of "text". A skill's own JSON may come alone or as the one
JSON file (or as the text) of an envelope.
"""

import base64
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from node.execute.errors import InputError
from node.execute.skill import JSON, TEXT

MAX_FILES = 10_000
ENVELOPE_KEYS = frozenset({"text", "files"})

T = TypeVar("T")


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One attached file: its content as text, or as base64 when it is binary."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]
    media_type: Annotated[str, Meta(max_length=121)] = TEXT
    text: str | None = None
    base64: str | None = None

    def as_text(self) -> str:
        """The file's text; InputError when it is neither text nor UTF-8."""
        if self.text is not None:
            return self.text
        try:
            return base64.b64decode(self.base64 or "", validate=True).decode()
        except ValueError as error:  # no base64, not even ASCII, or no UTF-8 inside
            raise InputError(
                f"file {self.name!r} is not text ({error}): convert it to plain UTF-8 text first"
            ) from error


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text and attached files."""

    text: str = ""
    files: Annotated[tuple[File, ...], Meta(max_length=MAX_FILES)] = ()


def decode_text(input: bytes) -> str:  # noqa: A002  (the contract's word)
    """UTF-8 text; InputError otherwise."""
    try:
        return input.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the input is not UTF-8 text: {error}") from error


def is_envelope(plain: object) -> bool:
    """Whether a decoded JSON value has an envelope's keys and no others."""
    return isinstance(plain, dict) and bool(plain) and ENVELOPE_KEYS.issuperset(plain)


def decode_own_or_envelope(kind: type[T], input: bytes, media_type: str, *, example: bytes) -> T | Envelope:  # noqa: A002
    """A skill's own JSON as `kind`, or the envelope that `input` is; any text is an envelope's text."""
    if media_type.startswith("text/"):
        return Envelope(text=decode_text(input))
    if media_type == JSON:
        try:
            return msgspec.json.decode(input, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # an envelope, or malformed: the slower way finds out which
    plain = _decode_json(input, media_type, example)
    return _convert(plain, Envelope, example) if is_envelope(plain) else _convert(plain, kind, example)


def decode_own(kind: type[T], input: bytes, media_type: str, *, example: bytes) -> T:  # noqa: A002
    """A skill's own JSON as `kind`: alone, as the one JSON file of an envelope, or as its text."""
    if media_type not in (JSON, TEXT):
        raise InputError(f"this skill takes {JSON}, not {media_type!r}; for example {example.decode()}")
    if media_type == JSON:
        try:
            return msgspec.json.decode(input, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # an envelope, or malformed: the slower way finds out which
    plain = _decode_json(input, JSON, example)
    if is_envelope(plain):
        envelope = _convert(plain, Envelope, example)
        documents = [file.as_text() for file in envelope.files]
        if not documents and envelope.text:
            documents = [envelope.text]
        if len(documents) != 1:
            raise InputError(
                f"this skill takes one JSON document, got {len(documents)}; for example {example.decode()}"
            )
        plain = _decode_json(documents[0].encode(), JSON, example)
    return _convert(plain, kind, example)


def _decode_json(input: bytes, media_type: str, example: bytes = b"") -> Any:  # noqa: A002
    if media_type != JSON:
        raise InputError(f"this skill takes {TEXT} or {JSON}, not {media_type!r}")
    try:
        return msgspec.json.decode(input)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the input is not JSON: {error}{_hint(example)}") from error


def _convert(plain: object, kind: type[T], example: bytes) -> T:
    try:
        return msgspec.convert(plain, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"the input does not fit: {error}{_hint(example)}") from error


def _hint(example: bytes) -> str:
    return f"; expected for example {example.decode()}" if example else ""
