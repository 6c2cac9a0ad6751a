"""Replies in the ecosystem's form: a chat completion whole or in chunks, embeddings, the list of models."""

import array
import base64
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from coalesced.gateway.openai.answers import Answered
from coalesced.gateway.openai.errors import TaskEndedError
from node.execute.openai.reply import ChatResult, EmbeddingsResult, ReportedUsage

CHUNK_CHARS: Final = 256
"""A result arrives whole, after it was checked; in pieces, a client that draws as it reads has something to draw."""


def usage_of(usage: ReportedUsage | None) -> dict[str, int]:
    """Tokens, with their sum."""
    counted = usage or ReportedUsage()
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
    }


def completion(answer: Answered, result: ChatResult, model: str) -> dict[str, Any]:
    """A whole chat completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": result.content, "refusal": None},
        "logprobs": None,
        "finish_reason": result.finish_reason,
    }
    return {
        **_head(answer, model, "chat.completion"),
        "choices": [choice],
        "usage": usage_of(result.usage),
        "coalesced": answer.figures(),
    }


def chunks(answer: Answered, result: ChatResult, model: str, *, with_usage: bool) -> Iterator[bytes]:
    """The same as events of a stream, the last of them [DONE]."""
    head = _head(answer, model, "chat.completion.chunk")
    role: dict[str, str] = {"role": "assistant"}
    for start in range(0, max(1, len(result.content)), CHUNK_CHARS):
        delta = {**role, "content": result.content[start : start + CHUNK_CHARS]}
        yield event({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]})
        role = {}
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": result.finish_reason}
    yield event({**head, "choices": [end], "coalesced": answer.figures()})
    if with_usage:
        yield event({**head, "choices": [], "usage": usage_of(result.usage)})
    yield b"data: [DONE]\n\n"


def event(value: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def embeddings(answer: Answered, count: int, model: str, *, as_base64: bool) -> dict[str, Any]:
    """Vectors for `count` texts; TaskEndedError when the result is none of that."""
    try:
        result = msgspec.json.decode(answer.data, type=EmbeddingsResult)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TaskEndedError("failed", "the seller's result holds no embeddings", answer.task.id) from error
    if len(result.vectors) != count:
        text = f"the seller's result holds {len(result.vectors)} embeddings for {count} texts"
        raise TaskEndedError("failed", text, answer.task.id)
    rows = [
        {"object": "embedding", "index": at, "embedding": _packed(vector) if as_base64 else vector}
        for at, vector in enumerate(result.vectors)
    ]
    read = max(0, result.usage.prompt_tokens) if result.usage else 0
    return {
        "object": "list",
        "data": rows,
        "model": model,
        "usage": {"prompt_tokens": read, "total_tokens": read},
        "coalesced": answer.figures(),
    }


def listed(names: list[str]) -> dict[str, Any]:
    """The models that can be named."""
    return {"object": "list", "data": [described(name) for name in names]}


def described(name: str) -> dict[str, Any]:
    """One of them."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "coalesced"}


def _head(answer: Answered, model: str, kind: str) -> dict[str, Any]:
    created = (answer.task.finished_unix_ms or answer.task.created_unix_ms) // 1000
    return {"id": f"chatcmpl-{answer.task.id}", "object": kind, "created": created, "model": model}


def _packed(vector: tuple[float, ...]) -> str:
    """Little-endian 32-bit floats in base64, which clients ask for by default."""
    floats = array.array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()
