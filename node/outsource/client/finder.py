"""Finding skills by what they mean: the captions that a request is near, the signposts there, eq. (12) over them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from dht.ids import anchor_key
from dht.records import Record
from node.env import Env
from node.errors import UsageError
from node.execute.executor import Executor
from node.net.endpoint import Endpoint, endpoint
from node.outsource.client.reader import Reader
from node.outsource.client.seller import Seller
from node.registry.sources import Sources
from node.skills.labels import advice, shortened
from node.skills.meaning.anchors import ASKED, WIDENED, anchors
from node.skills.meaning.embedding import embedding
from node.skills.meaning.fit import Fit
from node.skills.meaning.learned import NOTHING
from node.skills.meaning.offer import offer_text
from node.skills.meaning.ontology import check_resource, has
from node.skills.meaning.rank import ENOUGH, Offered, rank
from node.skills.meaning.subject import Subject, subject
from node.store.history import Outcomes
from node.store.places import Places
from protocol.errors import RemoteProtocolError
from protocol.signpost import decode_signpost

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A skill that fits a request, and who offers it; `seller` is None for this node itself."""

    seller: Seller | None
    skill: str
    caption: str
    price_hint_micro: int | None
    terms: tuple[str, ...]
    """The resource terms that the agent says it has."""
    fit: Fit
    source: str = ""
    """Who showed it; empty for this node's own."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search by meaning gave: best first. `captions` are those that were looked under, nearest first."""

    found: tuple[Found, ...]
    captions: tuple[str, ...]
    about: Subject
    """What the request was taken to be about."""


@dataclass(frozen=True, slots=True)
class _Posted:
    seller: Seller | None
    skill: str
    caption: str
    price_hint_micro: int | None
    terms: tuple[str, ...]
    source: str = ""


class Finder:
    """Looks for skills by meaning, here and among those who publish theirs."""

    def __init__(
        self,
        *,
        own_key: bytes,
        own_endpoint: Endpoint,
        network: str,
        executor: Executor,
        sources: Sources,
        outcomes: Outcomes,
        places: Places,
        reader: Reader,
        has: Sequence[str],
        is_blocked: Callable[[bytes], bool],
        env: Env,
        timeout_s: float,
    ) -> None:
        self._own_key = own_key
        self._own_endpoint = own_endpoint
        self._network = network
        self._executor = executor
        self._sources = sources
        self._outcomes = outcomes
        self._places = places
        self._reader = reader
        self._has = tuple(has)
        self._is_blocked = is_blocked
        self._env = env
        self._timeout_s = timeout_s

    async def find(self, text: str, needs: Sequence[str] = (), *, is_secret: bool = False) -> Search:
        """Everything that fits `text`, best first; nothing for a text without meaning, or when nothing is like it.

        `needs`: resource terms, each of which an agent must say it has; UsageError for one that is none. Where the text
        is secret, nobody is asked anything: this node's own skills are looked at, by its own table.
        """
        for need in needs:
            check_resource(need)
        posted: dict[tuple[bytes, str], _Posted] = {
            (self._own_key, skill.label): _Posted(
                None, skill.label, f"{skill.caption}. {skill.description}", None, self._has
            )
            for skill in self._executor.skills
        }
        about = await self._env.offload(subject, text)
        paths = about.paths
        looked: tuple[str, ...] = ()
        found: tuple[Found, ...] = ()
        for count in (ASKED, WIDENED):
            if not is_secret:
                await self._look(paths[len(looked) : count], posted)
                looked = paths[:count]
            able = {pair: one for pair, one in posted.items() if all(has(one.terms, need) for need in needs)}
            found = await self._ranked(text, able, is_secret=is_secret)
            if is_secret or sum(one.seller is not None for one in found) >= ENOUGH:
                break
        return Search(found, looked, about)

    async def label(self, text: str, *, is_secret: bool) -> tuple[str, str]:
        """The label of the skill that fits best, and why as a sentence; UsageError when nothing fits."""
        search = await self.find(text, is_secret=is_secret)
        shown = shortened(text)
        if not search.found:
            instead = advice(text, (skill.label for skill in self._executor.skills))
            raise UsageError(f"no skill is known here or offered that fits {shown!r} ({search.about}): {instead}")
        best = search.found[0]
        others = dict.fromkeys(one.skill for one in search.found if one.skill != best.skill)
        beside = f"; next: {', '.join(list(others)[:2])}" if others else ""
        return best.skill, f"{shown!r} was read as {best.skill} (fits by {best.fit.score:.2f} of 1{beside})"

    async def learn(self, contractor: bytes, skill: str, text: str, *, good: bool) -> None:
        """A task that was asked for in these words ended, and its result was verified: well, or not."""
        vector = await self._env.offload(embedding().embed, text)
        await self._places.learn(contractor, skill, vector, good=good, unix_ms=self._env.unix_ms())

    async def _look(self, paths: Sequence[str], posted: dict[tuple[bytes, str], _Posted]) -> None:
        """Add what stands at these captions; the first to name a seller's skill is kept."""
        keys = [anchor_key(self._network, name) for name in anchors().names(paths)]
        looked = await asyncio.gather(*(self._sources.look(key, timeout_s=self._timeout_s) for key in keys))
        for record, source in ((record, one.source(record)) for one in looked for record in one.records):
            if record.public_key != self._own_key and not self._is_blocked(record.public_key):
                for one in self._read(record, source):
                    posted.setdefault((record.public_key, one.skill), one)

    def _read(self, record: Record, source: str) -> list[_Posted]:
        try:
            signpost = decode_signpost(record.body)
            where = endpoint(signpost.host, signpost.port)
        except (RemoteProtocolError, UsageError) as error:
            log.info("signpost.ignored", error=str(error))
            return []
        if not where.may_be_dialled_from(self._own_endpoint):
            return []
        seller = Seller(record.public_key, where, record.expires_unix_ms)
        return [
            _Posted(seller, one.skill, one.caption, one.price_hint_micro, signpost.terms, source)
            for one in signpost.offers
        ]

    async def _ranked(
        self, text: str, posted: dict[tuple[bytes, str], _Posted], *, is_secret: bool
    ) -> tuple[Found, ...]:
        records = await self._records(posted)
        offsets = await self._places.load(posted)
        offered = [
            Offered(one.skill, one.caption, records.get(pair), offsets.get(pair, NOTHING))
            for pair, one in posted.items()
        ]
        ranked = await self._env.offload(rank, text, offered)
        fits: Sequence[Fit] = [fit for _, fit in ranked]
        if not is_secret:
            texts = [offer_text(offered[at].skill, offered[at].caption) for at, _ in ranked]
            fits = await self._reader.refined(text, texts, fits)
        every = list(posted.values())
        found = [
            Found(
                seller=every[at].seller,
                skill=every[at].skill,
                caption=every[at].caption,
                price_hint_micro=every[at].price_hint_micro,
                terms=every[at].terms,
                fit=fit,
                source=every[at].source,
            )
            for (at, _), fit in zip(ranked, fits, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: -one.fit.score))

    async def _records(self, posted: dict[tuple[bytes, str], _Posted]) -> dict[tuple[bytes, str], float]:
        """The share of good work of each who did any at the like for this node (decayed counts)."""
        sellers: dict[str, list[bytes]] = {}
        for key, skill in posted:
            sellers.setdefault(skill, []).append(key)
        now = self._env.unix_ms()
        shares = {}
        for skill, keys in sellers.items():
            for key, history in (await self._outcomes.counts(keys, skill, now)).items():
                if history.jobs:
                    shares[key, skill] = (history.successes + 1) / (history.successes + history.failures + 2)
        return shares
