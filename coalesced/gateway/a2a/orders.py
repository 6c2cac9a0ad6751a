"""From a message of A2A to a task of this node: which skill, and what of it is input; and a result back as parts."""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from a2a.types.a2a_pb2 import Message, Part
from google.protobuf.json_format import MessageToDict

from coalesced.gateway.a2a.shared import ECONOMICS, RESULT_SCHEMA, SKILL, VERIFY
from coalesced.gateway.a2a.words import plain
from node.errors import NodeError, UsageError
from node.verification.bundles import level_in, wanted_of
from node.views import AskRequest, InputFile

MAX_LISTED: Final = 12
TEXT: Final = "text/plain"
JSON: Final = "application/json"


class OrderError(NodeError):
    """A message cannot be made a task; the text is for whoever sent it."""

    code = "order"


def skill_of(message: Message, metadata: dict[str, Any], offered: Sequence[str]) -> str:
    """Which of the `offered` skills a message is for: the one it names, or the only one there is."""
    named = _named(plain(message.metadata)) or _named(metadata)
    shown = ", ".join(offered[:MAX_LISTED])
    if named is None and len(offered) == 1:
        return offered[0]
    if named is None:
        raise OrderError(f'name a skill in the message\'s metadata, {{"{SKILL}": "..."}}: {shown or "none is offered"}')
    if named not in offered:
        raise OrderError(f"{named[:64]!r} is not offered here; there are: {shown or 'none'}")
    return named


def _named(metadata: dict[str, Any]) -> str | None:
    for place in (metadata, metadata.get(ECONOMICS)):
        if isinstance(place, dict) and isinstance(place.get(SKILL), str):
            named: str = place[SKILL]
            return named
    return None


def request_of(
    message: Message, skill: str, *, budget_micro: int, deadline_s: float, idempotency_key: str = ""
) -> AskRequest:
    """The task that a message asks for; OrderError for parts that this node does not take."""
    texts, files = [], list[InputFile]()
    for number, part in enumerate(message.parts, 1):
        file = _file(part, number)
        if file is None:
            texts.append(part.text)
        else:
            files.append(file)
    metadata = plain(message.metadata)
    words, schema = metadata.get(VERIFY, ()), metadata.get(RESULT_SCHEMA)
    try:
        request = msgspec.convert(
            {
                "schema": "coalesced.ask/1",
                "skill": skill,
                "text": "\n".join(texts),
                "files": tuple(files),
                "budget_micro": budget_micro,
                "deadline_s": deadline_s,
                "verify": (words,) if isinstance(words, str) else words,
                "result_schema": "" if schema is None else json.dumps(schema),
                "idempotency_key": idempotency_key,
            },
            AskRequest,
        )
        level_in(request.verify)
        wanted_of(request.verify, request.result_schema)
    except (msgspec.ValidationError, UsageError) as error:
        raise OrderError(f"the message is no task: {error}") from error
    return request


def _file(part: Part, number: int) -> InputFile | None:
    """A part as a file; None for plain text."""
    name = part.filename or f"part-{number}"
    match part.WhichOneof("content"):
        case "text" if part.media_type in ("", TEXT) and not part.filename:
            return None
        case "text":
            return _checked(name, part.media_type or TEXT, part.text.encode())
        case "raw":
            return _checked(name, part.media_type or "application/octet-stream", part.raw)
        case "data":
            return _checked(name, JSON, msgspec.json.encode(MessageToDict(part.data)))
        case "url":
            raise OrderError("this agent fetches nothing from addresses: send the content itself")
        case _:
            raise OrderError("a part of the message is empty")


def _checked(name: str, media_type: str, data: bytes) -> InputFile:
    try:
        return msgspec.convert(
            {"name": name, "media_type": media_type, "data": data}, InputFile, builtin_types=(bytes,)
        )
    except msgspec.ValidationError as error:
        raise OrderError(f"a part of the message cannot be used: {error}") from error


def parts_of(data: bytes, media_type: str) -> list[Part]:
    """A result as parts: text as text, JSON too, since a JSON object would lose long integers on its way."""
    if media_type.startswith("text/") or media_type == JSON:
        try:
            return [Part(text=data.decode(), media_type=media_type)]
        except UnicodeDecodeError:
            pass
    return [Part(raw=data, media_type=media_type)]
