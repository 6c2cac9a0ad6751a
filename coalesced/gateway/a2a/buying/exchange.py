"""Messages to an agent, and what its tasks say: JSON from a stranger, sized, typed, never obeyed. Pure."""

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.shared import ECONOMICS, SKILL
from node.tasks.content import Content

OVERHEAD_BYTES: Final = 2**20
"""Of an answer, beyond its result in base64."""
MAX_QUESTION_CHARS: Final = 2_000
ENDED: Final = frozenset({"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"})
WAITS: Final = "TASK_STATE_INPUT_REQUIRED"
STOPPED: Final = ENDED | {WAITS, "TASK_STATE_AUTH_REQUIRED"}
"""The agent does no more by itself."""


def message(
    parts: list[dict[str, Any]], *, skill: str, economics: Mapping[str, str] | None = None, task_id: str = ""
) -> dict[str, Any]:
    """The params of a message to an agent."""
    metadata: dict[str, Any] = {SKILL: skill}
    if economics:
        metadata[ECONOMICS] = dict(economics)
    told = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": parts, "metadata": metadata}
    return {"message": {**told, **({"taskId": task_id} if task_id else {})}}


def parts_of(content: Content) -> list[dict[str, Any]]:
    """A task's input as parts."""
    try:
        text = content.data.decode()
    except UnicodeDecodeError:
        return [{"raw": base64.b64encode(content.data).decode(), "mediaType": content.media_type}]
    return [{"text": text}] if content.media_type == "text/plain" else [{"text": text, "mediaType": content.media_type}]


def task_in(result: Mapping[str, Any]) -> dict[str, Any]:
    """The task in an answer; AgentError when there is none. A message instead of a task is all that it does."""
    if isinstance(told := result.get("message"), dict) and _parts_in(told):
        return {"id": "", "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": [told]}
    task = result.get("task", result)
    if not isinstance(task, dict) or not isinstance(task.get("id"), str) or not isinstance(task.get("status"), dict):
        raise AgentError("it answered without a task")
    return task


def state_of(task: Mapping[str, Any]) -> str:
    """Where a task stands, in the protocol's words."""
    return str(task["status"].get("state", ""))


def said_in(task: Mapping[str, Any]) -> str:
    """What the agent says of a task's status: text for a person."""
    told = task["status"].get("message")
    parts = _parts_in(told) if isinstance(told, dict) else []
    return "\n".join(text for one in parts if isinstance(text := one.get("text"), str))[:MAX_QUESTION_CHARS]


def left_as(task: Mapping[str, Any]) -> str:
    """How a task ended that was not completed, in the agent's words: text for a person."""
    return f"it left the task {state_of(task)[11:40].lower()}: {said_in(task)[:300]}"


def economics_in(holder: object) -> dict[str, Any]:
    """What a message or an artifact says in our extension."""
    metadata = holder.get("metadata") if isinstance(holder, dict) else None
    found = metadata.get(ECONOMICS) if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def artifacts_of(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The artifacts that are well formed."""
    found = task.get("artifacts")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def content_of(task: Mapping[str, Any], media_type: str, max_bytes: int) -> Content:
    """A completed task's result; AgentError when there is none, or none of one kind. `media_type` is that of text
    that does not say."""
    parts = [part for artifact in artifacts_of(task) for part in _parts_in(artifact)]
    if not parts:
        raise AgentError("it completed the task without a result")
    contents = [_content(part, media_type) for part in parts]
    kinds = {one.media_type for one in contents}
    if len(kinds) != 1:
        raise AgentError(f"its result is of several kinds: {', '.join(sorted(kinds))[:200]}")
    separator = b"\n" if len(contents) > 1 else b""
    data = separator.join(one.data for one in contents)
    if len(data) > max_bytes:
        raise AgentError(f"its result of {len(data)} bytes is over the limit of {max_bytes}")
    return Content(kinds.pop(), data)


def _parts_in(holder: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = holder.get("parts")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _content(part: Mapping[str, Any], media_type: str) -> Content:
    stated = part.get("mediaType")
    is_sound = isinstance(stated, str) and 0 < len(stated) <= 128 and stated.isascii() and stated.isprintable()
    kind = str(stated) if is_sound else ""  # It becomes a header of whoever hands the result on.
    match part:
        case {"text": str(text)}:
            return Content(kind or media_type or "text/plain", text.encode(errors="replace"))
        case {"raw": str(raw)}:
            try:
                return Content(kind or "application/octet-stream", base64.b64decode(raw, validate=True))
            except (binascii.Error, ValueError) as error:
                raise AgentError("a part of its result is not base64") from error
        case {"data": data}:
            return Content("application/json", msgspec.json.encode(data))
        case _:
            raise AgentError("a part of its result is an address, or nothing: neither is fetched")
