"""An A2A agent as a skill that its owner sells: its card looked at, tasks passed on, what it says believed in nothing.

The owner names the agent, so that it may be on this machine or its network; buyers' texts go to others over TLS only.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from msgspec.structs import replace

from coalesced.gateway.a2a.buying.agent import Agent, card_address
from coalesced.gateway.a2a.buying.card import CardError, ReadCard, offered, read_card
from coalesced.gateway.a2a.buying.course import COMPLETED
from coalesced.gateway.a2a.buying.errand import Errand, told_to_cancel
from coalesced.gateway.a2a.buying.exchange import content_of, left_as, parts_of, state_of
from coalesced.gateway.a2a.buying.quoting import AGREED, Quoted, agreed, names_prices, quoted
from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.config import A2aSeller
from coalesced.gateway.a2a.economics import EconomicsError
from crypto.identity import Identity, parse_did_key
from node.background import completed
from node.errors import NodeError, UsageError
from node.execute.envelope import Envelope, is_envelope
from node.execute.errors import ExecutionError, InputError, OutOfOrderError, TimeLimitError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.openai.credentials import key_from_file
from node.execute.openai.policy import check_endpoint, host_away, is_near
from node.execute.skill import JSON, TEXT, Skill
from node.store.offers import SoldFunction
from node.tasks.content import Content
from node.views import AgentSource
from node.wording import listed, usd

log = structlog.get_logger()

CHECK_TIMEOUT_S: Final = 10.0
MAX_RESULT_BYTES: Final = 8 * 2**20
PREFIX: Final = "agent/"
FULL_PPM: Final = 1_000_000
EXAMPLE: Final = b"What can you do?"


class Resale:
    """Makes skills of A2A agents (node/outsource/contractor/elsewhere.py)."""

    def __init__(self, identity: Identity, unix_ms: Callable[[], int]) -> None:
        self._identity = identity
        self._unix_ms = unix_ms

    async def described(self, source: AgentSource) -> AgentSource:
        """`source` with the skill and the media types of the agent's card, where its owner said nothing."""
        check_endpoint(source.card)
        if source.cost_micro is None and not is_near(source.card):
            raise UsageError("what the agent charges you for a task is not known: say it with --cost (0 for nothing)")
        async with _session() as http:
            found = await self._card(http, source)
            skill = source.skill or _only(found, source.card)
            card = _read(found, replace(source, skill=skill))
        return replace(
            source,
            skill=skill,
            takes=source.takes or card.takes or (TEXT,),
            gives=source.gives or card.gives or (TEXT,),
        )

    def label_of(self, source: AgentSource) -> str:
        """The skill "Summarise This" of any agent is agent/summarise-this."""
        return PREFIX + re.sub(r"[^a-z0-9._-]+", "-", source.skill.lower()).strip("._-")[:50]

    def remote(self, source: AgentSource, sold: SoldFunction) -> "SoldAgent":
        """The skill, and the way to have it done."""
        return SoldAgent(source, _skill_of(source, sold), self._identity, self._unix_ms)

    async def check(self, source: AgentSource) -> None:
        """See that the agent serves a card that offers the skill, signed as it was; UsageError says what is wrong."""
        check_endpoint(source.card)
        async with _session() as http:
            _read(await self._card(http, source), source)

    async def _card(self, http: aiohttp.ClientSession, source: AgentSource) -> Any:
        """The JSON where the card is."""
        agent = _agent(source, http, self._identity, self._unix_ms)
        try:
            return await agent.wire.card(agent.url, CHECK_TIMEOUT_S)
        except AgentError as error:
            raise UsageError(f"the agent at {agent.url}: {error}") from error


class SoldAgent:
    """One skill of one agent, as a skill that is done elsewhere (node/execute/remote.py)."""

    def __init__(self, source: AgentSource, skill: Skill, identity: Identity, unix_ms: Callable[[], int]) -> None:
        self.skill = skill
        self._source = source
        self._identity = identity
        self._unix_ms = unix_ms

    async def run(self, job: Job) -> Execution:
        """One task. InputError, TimeLimitError, and ExecutionError when the agent does not do it."""
        parts, loop = parts_in(job.input, job.media_type), asyncio.get_running_loop()

        async def question(text: str) -> str:
            if job.ask is None:
                raise ExecutionError("the agent asks something, and this client takes no questions")
            return await job.ask(text)

        def progress(text: str) -> None:
            if job.on_progress is not None:
                job.on_progress(0, text)

        timeout_s, started_s = job.timeout_s, loop.time()
        billed_micro = 0
        try:
            async with asyncio.timeout(timeout_s), _session() as http:
                agent = _agent(self._source, http, self._identity, self._unix_ms)
                card = await agent.known(timeout_s)
                errand = Errand(agent, card, MAX_RESULT_BYTES, timeout_s, question, progress)
                quote = await self._quote(agent, card, parts, timeout_s)
                billed_micro = 0 if quote else self._source.cost_micro or 0
                try:
                    content = self._delivered(await self._done(errand, parts, quote))
                except BaseException as error:
                    if isinstance(error, AgentError) and error.is_refusal and not errand.task_id:
                        billed_micro = 0
                    await completed(errand.cancel())
                    raise
        except (TimeoutError, AgentError, CardError, EconomicsError, NodeError) as error:
            failure = self._failure(error, timeout_s)
            failure.spent_micro = billed_micro
            raise failure from error
        return Execution(content.data, content.media_type, loop.time() - started_s, 0.0, 0)

    async def _quote(
        self, agent: Agent, card: ReadCard, parts: list[dict[str, Any]], timeout_s: float
    ) -> Quoted | None:
        """The agent's own price, where it names prices and its seller says what it may charge; None to ask as it is."""
        most_micro = self._source.cost_micro
        if not most_micro or not names_prices(card):
            return None
        quote = await quoted(agent, card, parts, self._identity.public_key, timeout_s=timeout_s)
        if quote.price_micro > most_micro:
            await told_to_cancel(agent, card, quote.terms.task_id)
            raise AgentError(f"it wants {usd(quote.price_micro)} for this task, above the --cost {usd(most_micro)}")
        return quote

    async def _done(self, errand: Errand, parts: list[dict[str, Any]], quote: Quoted | None) -> dict[str, Any]:
        """The task at its end: ordered under a contract over the quote, where there is one."""
        if quote is None:
            return await errand.run(parts)
        contract = agreed(self._identity, quote, now_unix_ms=self._unix_ms())
        return await errand.run(AGREED, contract, task_id=quote.terms.task_id)

    def _delivered(self, task: dict[str, Any]) -> Content:
        """The result, of a kind that this skill gives."""
        if state_of(task) != COMPLETED:
            # What it says is for its seller: it may be about the account.
            log.warning("agent.failed", card=self._source.card, why=left_as(task))
            asks = "wants credentials" if state_of(task).endswith("AUTH_REQUIRED") else "did not complete the task"
            raise ExecutionError(f"the agent {asks}")
        content = content_of(task, self.skill.output_media_type, MAX_RESULT_BYTES)
        if content.media_type not in (self.skill.output_media_type, *self.skill.other_output_media_types):
            raise AgentError(f"its result is {content.media_type}, which its card does not name")
        return content

    def _failure(self, error: Exception, timeout_s: float) -> NodeError:
        """What a buyer learns: that it failed. Where the next task would end the same way, the shop closes a while."""
        log.warning("agent.failed", card=self._source.card, why=str(error) or "it took too long")
        match error:
            case TimeoutError():
                return TimeLimitError(f"the agent delivered nothing within {timeout_s:g} s")
            case ExecutionError():
                return ExecutionError(str(error))
            case AgentError(is_down=False) | EconomicsError():
                return ExecutionError("the agent gave no usable result")
            case _:
                return OutOfOrderError("this seller's agent cannot be used at the moment")


def parts_in(data: bytes, media_type: str) -> list[dict[str, Any]]:
    """A task's input as parts of a message; a text with files (node/execute/envelope.py) is a part each."""
    if media_type == JSON:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            plain = msgspec.json.decode(data)
            if is_envelope(plain):
                return _envelope_parts(msgspec.convert(plain, Envelope))
    return parts_of(Content(media_type, data))


def _envelope_parts(envelope: Envelope) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": envelope.text}] if envelope.text else []
    for file in envelope.files:
        about = {"mediaType": file.media_type, "filename": file.name}
        parts.append({"text": file.text, **about} if file.text is not None else {"raw": file.base64 or "", **about})
    return parts


def _skill_of(source: AgentSource, sold: SoldFunction) -> Skill:
    """The skill as the rest of the node sees it. Texts of the agent's own stay on its card."""
    takes = source.takes or (TEXT,)
    gives, *others = source.gives or (TEXT,)
    what = f"{source.skill} by the agent at {urlsplit(source.card).hostname}"

    def size(input: bytes, media_type: str) -> int:  # noqa: A002
        for part in parts_in(input, media_type):
            kind = part.get("mediaType", TEXT)
            if kind not in takes:
                raise InputError(f"this skill takes {', '.join(takes)}, not {kind}")
            if "raw" in part:
                _check_base64(part["raw"])
        return 1

    return Skill(
        label=sold.label,
        caption=sold.caption or what,
        description=f"{what}. Takes {', '.join(takes)}; a text with files is passed on as it is.",
        input_media_types=tuple(dict.fromkeys((*takes, JSON))),
        output_media_type=gives,
        other_output_media_types=tuple(others),
        size=size,
        unit="task",
        example=EXAMPLE,
        example_media_type=TEXT if TEXT in takes else takes[0],
        efforts=("full",),
        verification={"cheap": "size, media type and form of the result", "redundant": "a second run agrees"},
        min_score_ppm={"full": FULL_PPM},
        price_micro=sold.price_micro or 0,
        is_builtin=False,
        time_limit_s=sold.timeout_s,
        slots=source.at_once,
        sent_to=host_away(source.card),
        charge_micro=source.cost_micro,
        usual_s=source.usual_s,
    )


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"a file of the input is not base64: {error}") from error


def _agent(source: AgentSource, http: aiohttp.ClientSession, identity: Identity, unix_ms: Callable[[], int]) -> Agent:
    """The agent with its token, which is read now."""
    config = A2aSeller(card=source.card, skill=source.skill, key=source.key)
    token = key_from_file(Path(source.token_file)) if source.token_file else ""
    return Agent.made(config, http, identity, unix_ms, token=token)


def _read(card: Any, source: AgentSource) -> ReadCard:
    where = card_address(source.card)
    key = _parsed_key(source.key) if source.key else None
    try:
        return read_card(card, where=where, skill_id=source.skill, key=key)
    except CardError as error:
        raise UsageError(f"the card at {where} cannot be used: {error}") from error


def _only(card: Any, where: str) -> str:
    """The only skill on a card; UsageError lists them where there are several."""
    try:
        named = offered(card)
    except CardError as error:
        raise UsageError(f"the card at {where} cannot be used: {error}") from error
    if len(named) != 1:
        raise UsageError(f"say which of its skills with --skill: the card at {where} has {listed(named)}")
    return named[0]


def _parsed_key(text: str) -> bytes:
    try:
        return parse_did_key(text)
    except ValueError as error:
        raise UsageError(f"--key {text!r}: {error}") from error


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
