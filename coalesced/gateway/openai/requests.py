"""What the endpoint is asked, checked, and as the task that it becomes.

A parameter that would change the answer and cannot be honoured is refused; one that only keeps books is ignored.
"""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from coalesced.cli.units import parse_money
from coalesced.gateway.openai.errors import RequestError
from coalesced.gateway.openai.names import Target
from node.execute.openai.material import schema_of
from node.execute.openai.request import ChatRequest
from node.views import AskRequest, InputFile, Preference
from protocol.specification import Effort, Level, Privacy

TEXT: Final = "text/plain"
JSON: Final = "application/json"
PASSED_ON: Final = tuple(ChatRequest.__struct_fields__)
HELD_BACK: Final = {
    "tools": "what a seller answers is data: no tool is called on its word",
    "functions": "what a seller answers is data: no function is called on its word",
    "logprobs": "sellers tell no probabilities",
    "audio": "only text travels",
    "prediction": "sellers take no prediction",
    "web_search_options": "sellers search nothing",
}
"""Parameters that would change the answer."""
MAX_QUOTED_CHARS: Final = 300
T = TypeVar("T")
Dollars = str | float | int


class Wishes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The node's own parameters, in the request's object `coalesced`; what is left out is the node's configuration."""

    budget: Dollars | None = None
    value: Dollars | None = None
    deadline_s: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None
    prefer: Preference | None = None
    privacy: Privacy | None = None
    effort: Effort | None = None
    least_level: Level | None = None
    verify: Annotated[tuple[Annotated[str, Meta(max_length=32)], ...], Meta(max_length=8)] = ()


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream ends."""

    include_usage: bool = False


class ChatBody(msgspec.Struct, frozen=True, kw_only=True):
    """A chat completion's request beside what is passed on to the model."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: list[Any]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    coalesced: Wishes = Wishes()


class EmbeddingsBody(msgspec.Struct, frozen=True, kw_only=True):
    """An embeddings request."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    input: str | Annotated[tuple[str, ...], Meta(min_length=1, max_length=2_048)]
    encoding_format: str = "float"
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    coalesced: Wishes = Wishes()


def decode(kind: type[T], body: bytes) -> tuple[T, dict[str, Any]]:
    """A request as `kind`, and everything in it; RequestError says what is wrong, and where."""
    try:
        plain = msgspec.json.decode(body, type=dict[str, Any])
        return msgspec.convert(plain, kind), plain
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        text = str(error)[:MAX_QUOTED_CHARS]
        _, found, path = text.partition("`$.")
        raise RequestError(f"the request cannot be read: {text}", param=path.rstrip("`") if found else None) from error


def chat_of(body: ChatBody, plain: dict[str, Any]) -> ChatRequest:
    """The conversation, as it is passed on; RequestError for what cannot be."""
    for name, why in HELD_BACK.items():
        if plain.get(name):
            raise RequestError(f"{name} is not taken: {why}", param=name, code="unsupported_parameter")
    if body.n not in (None, 1):
        raise RequestError(f"n is {body.n}: ask once for each answer", param="n", code="unsupported_parameter")
    passed = {name: plain[name] for name in PASSED_ON if plain.get(name) is not None}
    if body.max_completion_tokens is not None:
        passed["max_tokens"] = body.max_completion_tokens
    return decode(ChatRequest, msgspec.json.encode(passed))[0]


def chat_task(target: Target, chat: ChatRequest, wishes: Wishes, idempotency_key: str) -> AskRequest:
    """The task that a chat becomes: the whole conversation for a model, the last message for any other skill.

    A form that is asked for stands in the conversation; of another skill it is asked beside its input.
    """
    if target.takes_chat:
        return _task(target, wishes, msgspec.json.encode(chat), JSON, idempotency_key)
    last = chat.messages[-1]
    if last.role != "user":
        raise RequestError("the last message must be the user's", param="messages")
    task = _task(target, wishes, last.text.encode(errors="replace"), TEXT, idempotency_key)
    return msgspec.structs.replace(task, result_schema=schema_of(chat.response_format))


def embeddings_task(target: Target, body: EmbeddingsBody, idempotency_key: str) -> AskRequest:
    """The task that an embeddings request becomes."""
    asked = {"input": body.input} | ({} if body.dimensions is None else {"dimensions": body.dimensions})
    return _task(target, body.coalesced, msgspec.json.encode(asked), JSON, idempotency_key)


def _task(target: Target, wishes: Wishes, data: bytes, media_type: str, idempotency_key: str) -> AskRequest:
    if not data:
        raise RequestError("the message is empty", param="messages")
    return AskRequest(
        skill=target.label,
        files=(InputFile(name="request", media_type=media_type, data=data),),
        budget_micro=_micro("budget", wishes.budget),
        value_micro=_micro("value", wishes.value),
        deadline_s=wishes.deadline_s,
        prefer=wishes.prefer or target.prefer,
        privacy=wishes.privacy,
        effort=wishes.effort,
        least_level=wishes.least_level,
        verify=wishes.verify,
        idempotency_key=idempotency_key[:128],
    )


def _micro(name: str, amount: Dollars | None) -> int | None:
    try:
        return None if amount is None else parse_money(str(amount))
    except ValueError as error:
        raise RequestError(f"coalesced.{name}: {error}", param=f"coalesced.{name}") from error
