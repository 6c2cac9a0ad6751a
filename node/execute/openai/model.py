"""A model behind an endpoint doing tasks: asked, asked again within a budget, its tokens counted by what it reports."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import msgspec
import structlog

from node.decision.tokens import Usage, charge_micro, doubt
from node.errors import NodeError, UsageError
from node.execute.errors import ExecutionError, FormatError, OutOfOrderError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.openai.credentials import read_key
from node.execute.openai.exchange import Endpoint, EndpointError, chat, fetch, session
from node.execute.openai.pace import Pace
from node.execute.openai.policy import check_endpoint
from node.execute.openai.reply import (
    Assembly,
    ChatResult,
    EmbeddingsResult,
    ReplyError,
    ReportedUsage,
    read_vectors,
)
from node.execute.openai.request import ChatRequest, read_chat, read_texts
from node.execute.openai.retry import RetryBudget, pause_s
from node.execute.skill import JSON, TEXT, Progress, Skill, worst_micro
from node.views import ModelSource
from node.wording import listed

log = structlog.get_logger()

MOST_BYTES_PER_TOKEN = 64
"""A token of spaces or of a long word; a reply of more bytes than its tokens can hold is cut off."""
REPORT_PPM = 20_000
CHECK_TIMEOUT_S = 10.0
OUT_OF_ORDER = frozenset({0, 401, 402, 403, 404, 429})
"""No answer, no credit, no such model, or too much asked already: the next task would end the same way."""
BAD_REQUEST = frozenset({400, 422})
T = TypeVar("T")


class OpenAiModel:
    """One model, as a skill that is done elsewhere (node/execute/remote.py)."""

    def __init__(
        self, source: ModelSource, skill: Skill, budget: RetryBudget | None = None, rng: random.Random | None = None
    ) -> None:
        self.skill = skill
        self._source = source
        self._budget = budget or RetryBudget()
        self._rng = rng or random.SystemRandom()
        self._pace = Pace(source.per_minute)
        self._dialect = _Dialect()

    async def run(self, job: Job) -> Execution:
        """One task. InputError, TimeLimitError, and ExecutionError when the endpoint fails for good."""
        until_s = asyncio.get_running_loop().time() + job.timeout_s
        if self._source.kind == "embeddings":
            return await self._embed(job.input, job.media_type, until_s)
        request = read_chat(job.input, job.media_type)
        most = min(self._source.max_tokens, request.max_tokens or self._source.max_tokens)
        progress = _Progress(job.on_progress, most)
        bill = _Bill(self.skill, len(job.input))

        async def once(http: aiohttp.ClientSession, endpoint: Endpoint) -> Assembly:
            assembly = Assembly(most * MOST_BYTES_PER_TOKEN)
            try:
                await chat(http, endpoint, self._body(request, most), assembly, progress.written)
            except EndpointError as error:
                bill.failed(error, assembly.usage)
                raise
            return assembly

        reply, wall_s = await self._persist(once, until_s, bill, has_form=request.response_format is not None)
        usage = self._usage(reply.usage, len(job.input), reply.written_bytes, self._source.max_tokens)
        output, output_type = reply.text.encode(errors="replace"), TEXT
        if job.media_type == JSON:
            output_type = JSON
            result = ChatResult(
                content=reply.text,
                finish_reason=reply.finish_reason or "stop",
                model=self._source.model,
                usage=_reported(usage),
            )
            output = msgspec.json.encode(result)
        return Execution(output, output_type, wall_s, 0.0, 0, usage, wasted_micro=bill.wasted_micro)

    async def check(self) -> None:
        """See `check_model`."""
        await check_model(self._source)

    async def _embed(self, data: bytes, media_type: str, until_s: float) -> Execution:
        request = read_texts(data, media_type)
        texts = [request.input] if isinstance(request.input, str) else list(request.input)
        body: dict[str, Any] = {"model": self._source.model, "input": texts, "encoding_format": "float"}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions

        async def once(
            http: aiohttp.ClientSession, endpoint: Endpoint
        ) -> tuple[tuple[tuple[float, ...], ...], ReportedUsage | None]:
            try:
                return read_vectors(await fetch(http, endpoint, "embeddings", body), len(texts))
            except ReplyError as error:
                failed = EndpointError(str(error), is_final=error.is_final)
                bill.failed(failed, None)
                raise failed from error
            except EndpointError as error:
                bill.failed(error, None)
                raise

        bill = _Bill(self.skill, len(data))
        (vectors, reported), wall_s = await self._persist(once, until_s, bill)
        usage = self._usage(reported, len(data), 0, 0)
        result = EmbeddingsResult(vectors=vectors, model=self._source.model, usage=_reported(usage))
        return Execution(msgspec.json.encode(result), JSON, wall_s, 0.0, 0, usage, wasted_micro=bill.wasted_micro)

    async def _persist(
        self,
        once: Callable[[aiohttp.ClientSession, Endpoint], Awaitable[T]],
        until_s: float,
        bill: "_Bill",
        *,
        has_form: bool = False,
    ) -> tuple[T, float]:
        """What `once` gives, tried within the budget; and the seconds that the attempt took which succeeded.

        FormatError only where the request `has_form`: without one, leaving it out is no way on.
        """
        loop, attempt = asyncio.get_running_loop(), 1
        endpoint = self._endpoint()
        async with session() as http:
            while True:
                await self._pace.wait(until_s)
                started_s = loop.time()
                try:
                    return await once(http, endpoint), loop.time() - started_s
                except EndpointError as error:
                    if self._dialect.learn(error):
                        continue
                    left_s = until_s - loop.time()
                    wait_s = None
                    if not error.is_final:
                        wait_s = pause_s(self._budget, attempt, asked_s=error.asked_s, left_s=left_s, rng=self._rng)
                    if wait_s is None:
                        why = str(error).replace(endpoint.key or "\0", "...")
                        log.warning("model.failed", model=self._source.model, attempts=attempt, why=why)
                        failure = _failure(error, attempt, has_form=has_form)
                        failure.spent_micro = bill.wasted_micro
                        raise failure from error
                    log.info("model.asked_again", model=self._source.model, attempt=attempt, status=error.status)
                await asyncio.sleep(wait_s)
                attempt += 1

    def _endpoint(self) -> Endpoint:
        try:
            return Endpoint(self._source.url, read_key(self._source))
        except NodeError as error:
            log.warning("model.no_key", model=self._source.model, why=str(error))
            raise OutOfOrderError("this seller's model cannot be used at the moment") from error

    def _body(self, request: ChatRequest, max_tokens: int) -> dict[str, Any]:
        body: dict[str, Any] = msgspec.to_builtins(request)
        body.pop("max_tokens", None)
        body |= {"model": self._source.model, "stream": True, self._dialect.limit_name: max_tokens}
        if self._dialect.takes_stream_options:
            body["stream_options"] = {"include_usage": True}
        return body

    def _usage(
        self, reported: ReportedUsage | None, size_bytes: int, written_bytes: int, max_written: int
    ) -> Usage | None:
        """The reported usage, unless it cannot be true: then a guess is better."""
        if reported is None:
            return None
        why_not = doubt(reported.usage, size_bytes=size_bytes, written_bytes=written_bytes, max_written=max_written)
        if why_not:
            log.warning("model.usage_doubted", model=self._source.model, why=why_not)
            return None
        return reported.usage


async def check_model(source: ModelSource) -> None:
    """See that the endpoint answers and has the model; UsageError says what is wrong. Costs no tokens."""
    check_endpoint(source.url)
    endpoint = Endpoint(source.url, read_key(source))
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S), session() as http:
            models = msgspec.json.decode(await fetch(http, endpoint, "models", None), type=_Models)
    except TimeoutError as error:
        raise UsageError(f"{source.url} did not answer within {CHECK_TIMEOUT_S:g} s") from error
    except EndpointError as error:
        if error.status == 404:
            return  # Not every server lists its models.
        raise UsageError(f"{source.url}: {error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{source.url} is no OpenAI-compatible endpoint: it lists no models") from error
    names = [row.id for row in models.data or ()]
    if names and source.model not in names:
        raise UsageError(f"{source.url} has no model {source.model!r}; it has {listed(names)}")


def _failure(error: EndpointError, attempts: int, *, has_form: bool) -> ExecutionError:
    """What a buyer learns: how it failed. What the endpoint said is for its seller, whose account it may describe."""
    how = f"answered {error.status}" if error.status not in (0, 200) else "gave no usable reply"
    text = f"the model's endpoint {how}, {attempts} times" if attempts > 1 else f"the model's endpoint {how}"
    names_form = "response_format" in str(error) or "json_schema" in str(error)
    if has_form and names_form and error.status in BAD_REQUEST:
        return FormatError("the model's endpoint takes no such response_format: leave it out")
    # Not for 400 and the like: one buyer's odd request must not close the shop for all others.
    return OutOfOrderError(text) if error.status in OUT_OF_ORDER or error.status >= 500 else ExecutionError(text)


class _Bill:
    """What attempts that gave nothing may be billed at: by the usage that was reported, else the worst case."""

    def __init__(self, skill: Skill, input_bytes: int) -> None:
        self._skill = skill
        self._input_bytes = input_bytes
        self.wasted_micro = 0

    def failed(self, error: EndpointError, reported: ReportedUsage | None) -> None:
        """Count an attempt."""
        tariff = self._skill.tariff
        if not error.may_bill or tariff is None or tariff.cost is None:
            return
        most_micro = worst_micro(self._skill, self._input_bytes)
        charged = most_micro if reported is None else math.ceil(charge_micro(tariff.cost, reported.usage))
        self.wasted_micro += min(charged, most_micro)


class _Dialect:
    """What an endpoint turned out not to know; learnt from its refusals, once each."""

    def __init__(self) -> None:
        self.takes_stream_options = True
        self.limit_name = "max_tokens"

    def learn(self, error: EndpointError) -> bool:
        """Whether the refusal was about a word that can be left out, or said otherwise."""
        text = str(error)
        if error.status not in BAD_REQUEST:
            return False
        if self.takes_stream_options and "stream_options" in text:
            self.takes_stream_options = False
            return True
        if self.limit_name == "max_tokens" and "max_completion_tokens" in text:
            self.limit_name = "max_completion_tokens"
            return True
        return False


class _Progress:
    """Reports how much of a reply's allowance is written, not at every word."""

    def __init__(self, on_progress: Progress | None, max_tokens: int) -> None:
        self._on_progress = on_progress
        self._max_bytes = 4 * max_tokens
        self._told_ppm = 0

    def written(self, count: int) -> None:
        """So many bytes are there."""
        done_ppm = min(990_000, 1_000_000 * count // self._max_bytes)
        if self._on_progress is not None and done_ppm >= self._told_ppm + REPORT_PPM:
            self._told_ppm = done_ppm
            self._on_progress(done_ppm, "")


class _Row(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Row] | None = None


def _reported(usage: Usage | None) -> ReportedUsage | None:
    return None if usage is None else ReportedUsage(prompt_tokens=usage.read, completion_tokens=usage.written)
