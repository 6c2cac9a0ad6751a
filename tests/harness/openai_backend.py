"""An OpenAI-compatible server that does real, deterministic work, with faults to switch on.

What a chat asks for is read off its last message: "statistics" gives word statistics, "sentiment" the lexicon's
score, "report" a summary with quotes and figures (tests/harness/model_work.py), anything else an extractive summary;
what asks for a plan gets one (tests/harness/draftsman.py), and what asks for a grade a grade. Tokens are counted, not
guessed: words in pieces of at most six letters.
"""

import asyncio
import hashlib
import json
import math
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from node.execute.builtin.document_analysis.text import question_terms, sentences
from node.execute.builtin.sentiment.score import score
from node.execute.openai.material import ASKED
from tests.harness.draftsman import Slip, drafted, is_asked
from tests.harness.model_work import graded, is_grading, report

PIECE = re.compile(r"\w{1,6}|[^\w\s]")
DIMENSIONS = 64
SUMMARY_SENTENCES = 2


class Fault(Enum):
    """What goes wrong with one request."""

    RATE_LIMIT = "429"
    NO_CREDIT = "no credit"
    SERVER_ERROR = "500"
    SLOW = "slow"
    CUT = "cut"
    WRONG_USAGE = "wrong usage"
    NO_USAGE = "no usage"
    INVALID_JSON = "invalid json"
    ERROR_IN_STREAM = "error in stream"
    ENDLESS = "endless"
    BLAMES_FORM = "blames the form"


@dataclass
class Backend:
    """One running server: how it behaves, and what it was asked."""

    models: tuple[str, ...] = ("small-1",)
    fault: Fault | None = None
    """Of every request; `next_faults` come first, and a request's own X-Test-Fault before them."""
    next_faults: deque[Fault] = field(default_factory=deque)
    retry_after_s: float | None = 0.0
    api_key: str = ""
    refuses_stream_options: bool = False
    """As old servers do."""
    wants_completion_tokens: bool = False
    """As hosted reasoning models do: `max_tokens` is refused."""
    ignores_stream: bool = False
    spoil: Callable[[str], str] = str
    """What a dishonest seller makes of its model's work."""
    obeys_answers: bool = False
    """A judge that does what is written in what it judges."""
    refuses_formats: bool = False
    """As servers do that cannot hold a model to a schema."""
    next_slips: deque[Slip | None] = field(default_factory=deque)
    """What is wrong with the next drafts of a plan; afterwards they are right."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """What a slow reply waits for."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    completed: int = 0
    """Chat replies that went out whole."""
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _fault(self, request: web.Request) -> Fault | None:
        if named := request.headers.get("X-Test-Fault"):
            return Fault(named)
        return self.next_faults.popleft() if self.next_faults else self.fault

    async def chat(self, request: web.Request) -> web.StreamResponse:
        if refused := self._unauthorized(request):
            return refused
        asked = await request.json()
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.changed.set()
        try:
            return await self._chat(request, asked, self._fault(request))
        finally:
            self.at_once -= 1

    async def _chat(self, request: web.Request, asked: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
        if asked.get("model") not in self.models:
            return problem(404, "model_not_found", f"The model `{asked.get('model')}` does not exist")
        if self.refuses_stream_options and "stream_options" in asked:
            return problem(400, "invalid_request_error", "Unrecognized request argument: stream_options")
        if self.wants_completion_tokens and "max_tokens" in asked:
            text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return problem(400, "unsupported_parameter", text)
        if self.refuses_formats and "response_format" in asked:
            return problem(400, "invalid_request_error", "Unknown parameter: 'response_format'")
        match fault:
            case Fault.BLAMES_FORM:
                return problem(400, "invalid_request_error", "Unknown parameter: 'response_format'")
            case Fault.RATE_LIMIT:
                headers = {} if self.retry_after_s is None else {"Retry-After": f"{self.retry_after_s:g}"}
                return problem(429, "rate_limit_exceeded", "Rate limit reached", headers)
            case Fault.NO_CREDIT:
                return problem(429, "insufficient_quota", "You exceeded your current quota")
            case Fault.SERVER_ERROR:
                return problem(500, "server_error", "The server had an error")
            case Fault.SLOW:
                await self.gate.wait()
            case _:
                pass
        text, finish = self._completed(asked)
        usage = {"prompt_tokens": read_tokens(asked), "completion_tokens": tokens(text)}
        usage["total_tokens"] = sum(usage.values())
        if fault is Fault.WRONG_USAGE:
            usage = {"prompt_tokens": 10**12, "completion_tokens": -5, "total_tokens": 3}
        reply = {
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": usage,
        }
        if fault is Fault.NO_USAGE:
            del reply["usage"]
        if asked.get("stream") and not self.ignores_stream:
            return await self._stream(request, asked, reply, fault)
        if fault is Fault.INVALID_JSON:
            return web.Response(text='{"choices": [{"message', content_type="application/json")
        self.completed += 1
        return web.json_response(reply)

    def _completed(self, asked: dict[str, Any]) -> tuple[str, str]:
        if not is_asked(asked):
            text, finish = completed(asked, obeys=self.obeys_answers)
            return self.spoil(text), finish
        slip = self.next_slips.popleft() if self.next_slips else None
        return cut(asked, drafted(asked, slip))

    async def _stream(
        self, request: web.Request, asked: dict[str, Any], reply: dict[str, Any], fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        head = {key: reply[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        [choice] = reply["choices"]
        pieces = re.findall(r"\s*\S+\s*", choice["message"]["content"])
        await response.write(b": started\n\n")
        while fault is Fault.ENDLESS:
            await response.write(event(head | {"choices": [{"index": 0, "delta": {"content": "more " * 1000}}]}))
        for number, piece in enumerate(pieces):
            if number >= len(pieces) // 2:
                match fault:
                    case Fault.CUT:
                        assert request.transport is not None
                        request.transport.abort()
                        return response
                    case Fault.INVALID_JSON:
                        await response.write(b'data: {"choices": [{"delta": {"cont\n\n')
                        return response
                    case Fault.ERROR_IN_STREAM:
                        await response.write(event({"error": {"message": "overloaded", "type": "server_error"}}))
                        return response
                    case _:
                        pass
            await response.write(event(head | {"choices": [{"index": 0, "delta": {"content": piece}}]}))
        last = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        await response.write(event(head | {"choices": [last]}))
        if asked.get("stream_options", {}).get("include_usage") and "usage" in reply:
            await response.write(event(head | {"choices": [], "usage": reply["usage"]}))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        self.completed += 1
        return response

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        if refused := self._unauthorized(request):
            return refused
        asked = await request.json()
        self.requests.append(asked)
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        rows = [{"object": "embedding", "index": at, "embedding": embedded(text)} for at, text in enumerate(texts)]
        usage = {"prompt_tokens": sum(map(tokens, texts)), "total_tokens": sum(map(tokens, texts))}
        return web.json_response({"object": "list", "data": rows, "model": asked["model"], "usage": usage})

    async def moved(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"{self.url}/chat/completions")

    async def listed(self, request: web.Request) -> web.StreamResponse:
        if refused := self._unauthorized(request):
            return refused
        rows = [{"id": model, "object": "model", "created": 1, "owned_by": "tests"} for model in self.models]
        return web.json_response({"object": "list", "data": rows})

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return problem(401, "invalid_api_key", "Incorrect API key provided")
        return None

    async def asked(self, count: int) -> None:
        """Return once so many chats were asked for."""
        async with asyncio.timeout(60):
            while len(self.requests) < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def backend(**settings: Any) -> AsyncIterator[Backend]:
    """A server on loopback until the block ends."""
    made = Backend(**settings)
    app = web.Application(client_max_size=2**26)
    app.add_routes(
        [
            web.post("/v1/chat/completions", made.chat),
            web.post("/v1/embeddings", made.embeddings),
            web.get("/v1/models", made.listed),
            web.post("/moved/chat/completions", made.moved),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield made
    finally:
        made.gate.set()
        await runner.cleanup()


def problem(status: int, code: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    kind = code if code.endswith("_error") else "invalid_request_error"
    return web.json_response(
        {"error": {"message": text, "type": kind, "param": None, "code": code}}, status=status, headers=headers
    )


def event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


# --- the work


def tokens(text: str) -> int:
    """A true count: words in pieces of at most six letters, and marks."""
    return len(PIECE.findall(text))


def read_tokens(asked: dict[str, Any]) -> int:
    """Tokens of all messages, and three of each for its frame."""
    return sum(3 + tokens(content(message)) for message in asked["messages"])


def content(message: dict[str, Any]) -> str:
    parts = message["content"]
    return parts if isinstance(parts, str) else " ".join(part["text"] for part in parts)


def completed(asked: dict[str, Any], *, obeys: bool = False) -> tuple[str, str]:
    """The whole reply and why it ended, cut at the tokens allowed."""
    if is_grading(asked):
        return cut(asked, graded(asked, obeys=obeys))
    return cut(asked, answer(content(asked["messages"][-1])))


def cut(asked: dict[str, Any], text: str) -> tuple[str, str]:
    """A reply at the tokens allowed, and why it ended there."""
    most = asked.get("max_completion_tokens") or asked.get("max_tokens") or 10**6
    pieces = list(PIECE.finditer(text))
    return (text, "stop") if len(pieces) <= most else (text[: pieces[most - 1].end()], "length")


def answer(prompt: str) -> str:
    """What the model says."""
    wish, _, text = prompt.partition(":")
    text = text.strip() or prompt
    if "statistics" in wish.lower():
        return json.dumps(statistics(text), sort_keys=True)
    if "sentiment" in wish.lower():
        return f"{score(text):+d} thousandths"
    if "report" in wish.lower():
        told = text.partition(ASKED)[0].strip()
        return report(told, summary(told))
    return summary(text)


def statistics(text: str) -> dict[str, Any]:
    words = re.findall(r"\w+", text.lower())
    common = sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    return {"words": len(words), "distinct": len(set(words)), "sentences": len(sentences(text)), "common": common}


def summary(text: str, most: int = SUMMARY_SENTENCES) -> str:
    """The sentences with the most frequent terms, in their own order."""
    found = sentences(text)
    counts = Counter(term for one in found for term in question_terms(one))
    ranked = sorted(range(len(found)), key=lambda at: (-_weight(found[at], counts), at))[:most]
    return " ".join(found[at] for at in sorted(ranked))


def _weight(sentence: str, counts: Counter[str]) -> float:
    terms = question_terms(sentence)
    return sum(counts[term] for term in terms) / math.sqrt(len(terms) or 1)


def embedded(text: str) -> list[float]:
    """Letter trigrams hashed into a unit vector."""
    vector = [0.0] * DIMENSIONS
    for gram in _grams(text.lower()):
        digest = hashlib.blake2b(gram.encode(), digest_size=2).digest()
        vector[digest[0] % DIMENSIONS] += 1.0 if digest[1] & 1 else -1.0
    length = math.sqrt(sum(one * one for one in vector)) or 1.0
    return [one / length for one in vector]


def _grams(text: str) -> Iterable[str]:
    return (text[at : at + 3] for at in range(max(1, len(text) - 2)))
