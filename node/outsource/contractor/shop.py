"""What this node sells: which skills, at which price, advertised where."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from dht.errors import DhtError
from dht.ids import skill_key
from dht.service import Publishing
from node.background import Background
from node.decision.inputs import LocalOption
from node.decision.tokens import charge_micro
from node.errors import UsageError
from node.execute.skill import Skill
from node.market.hours import parse_hours
from node.market.pricing import Load, PricingConfig, base_price_micro, listed_price_micro, quote_price_micro
from node.net.endpoint import Endpoint
from node.outsource.config import ContractorConfig
from node.outsource.contractor.facts import fact_text
from node.outsource.contractor.signposts import Signposts
from node.outsource.contractor.turns import Queues
from node.outsource.localwork import LocalWork
from node.skills.labels import unknown_label
from protocol.errors import LocalProtocolError
from protocol.messages import Advert, encode_advert
from protocol.signpost import PostedOffer
from protocol.specification import Specification

log = structlog.get_logger()

PPM = 1_000_000
MAX_CAPTION_CHARS = 120


@dataclass(frozen=True, slots=True)
class Ware:
    """One skill on sale. `unit_price_micro` None: priced by measured cost (COALESCE eq. 7)."""

    label: str
    caption: str
    unit_price_micro: int | None
    source: str
    hours: str = ""
    """When it is on sale, as its owner wrote it; empty: always."""


class Shop:
    """The wares of this node and their adverts in the DHT."""

    def __init__(
        self,
        *,
        network: str,
        program: str,
        config: ContractorConfig,
        pricing: PricingConfig,
        work: LocalWork,
        discovery: Publishing,
        advertised: Endpoint,
        turns: Queues,
        signposts: Signposts,
        in_background: Background,
        unix_ms: Callable[[], int],
    ) -> None:
        """`program` names this program and its version."""
        self._network = network
        self._program = program
        self._config = config
        self._pricing = pricing
        self._work = work
        self._discovery = discovery
        self._advertised = advertised
        self._turns = turns
        self.signposts = signposts
        self._in_background = in_background
        self._unix_ms = unix_ms
        self._wares: dict[str, Ware] = {}
        self._posting: set[asyncio.Task[None]] = set()
        self.certificate_sha256: bytes | None = None
        """Of the certificate that adverts point to; a change is seen with the next advert."""

    @property
    def wares(self) -> tuple[Ware, ...]:
        """Everything on sale, by label."""
        return tuple(self._wares[label] for label in sorted(self._wares))

    def sells(self, label: str) -> bool:
        """Whether the skill is on sale."""
        return label in self._wares

    def week(self, label: str) -> bytes | None:
        """The hours of the week in which a skill on sale can be had; None: always."""
        return self._week(self._wares[label])

    def _week(self, ware: Ware) -> bytes | None:
        return parse_hours(ware.hours, self._unix_ms() / 1000) if ware.hours else None

    def _facts(self, label: str) -> dict[str, str]:
        """What does this work: clients that examined this node look again when it changes."""
        skill = self._work.skill(label)
        stated = {
            "machine": ", ".join(self._config.has),
            "model": skill.tariff.model if skill is not None and skill.tariff is not None else "",
            "executor": self._program,
        }
        return {name: fact_text(text) for name, text in stated.items() if text}

    async def open(self) -> None:
        """Put the configured skills on sale."""
        if self._config.sell:
            await asyncio.gather(*(self.put_up(self._configured(label)) for label in self._config.skills))

    def _configured(self, label: str) -> Ware:
        skill = self._work.skill(label)
        if skill is None:
            raise unknown_label(label, (known.label for known in self._work.executor.skills))
        return self.ware(skill, skill.price_micro or None, "builtin")

    @staticmethod
    def ware(skill: Skill, unit_price_micro: int | None, source: str, caption: str = "", hours: str = "") -> Ware:
        """A skill as a ware."""
        return Ware(skill.label, (caption or skill.caption)[:MAX_CAPTION_CHARS], unit_price_micro, source, hours)

    async def put_up(self, ware: Ware) -> int:
        """Sell `ware` and advertise it; how many nodes hold the advert now."""
        advert = Advert(
            host=self._advertised.host,
            port=self._advertised.port,
            skill=ware.label,
            caption=ware.caption,
            price_hint_micro=self._hint_micro(ware),
            load_ppm=self._load_ppm(ware.label),
            regions=self._config.regions,
            certificate_sha256=self.certificate_sha256,
            hours=self._week(ware),
            facts=self._facts(ware.label),
        )
        try:
            held = await self._discovery.publish(skill_key(self._network, ware.label), encode_advert(advert))
        except (LocalProtocolError, DhtError) as error:
            raise UsageError(f"{ware.label} cannot be advertised (a shorter caption may help): {error}") from error
        self._wares[ware.label] = ware
        log.info("offer.published", skill=ware.label, holders=held)
        self._post()
        return held

    def _post(self) -> None:
        """Let the signposts say what is on sale now. Nobody waits for it: by label, it is found already."""
        if self._config.by_meaning:
            posting = self._in_background(self._posted())
            self._posting.add(posting)
            posting.add_done_callback(self._posting.discard)

    async def _posted(self) -> None:
        offers = [PostedOffer(ware.label, ware.caption, self._hint_micro(ware)) for ware in self.wares]
        await self.signposts.follow(offers)

    def stop(self) -> None:
        """Post no further: a node that ends has nothing on sale, and peers that ended before it answer nothing."""
        for posting in self._posting:
            posting.cancel()

    async def take_down(self, label: str) -> None:
        """Stop selling `label`; UsageError when it is not on sale."""
        if self._wares.pop(label, None) is None:
            raise UsageError(f"{label!r} is not on sale; on sale are: {', '.join(sorted(self._wares)) or 'nothing'}")
        await self._discovery.withdraw(skill_key(self._network, label))
        self._post()

    def published_to(self, label: str) -> int:
        """How many nodes of the DHT hold the advert now."""
        return self._discovery.holders(skill_key(self._network, label))

    # --- prices

    def load(self, label: str) -> Load:
        """How busy is what would do that skill: this node's workers, or what stands behind it elsewhere."""
        lane = self._work.executor.lane(label)
        return Load(demand=lane.running + lane.queued + self._turns.of(lane).waiting, slots=lane.slots)

    def units(self, specification: Specification) -> int:
        """Work units of a task as the client states them, before its input is here.

        A client without the skill cannot count them and states 0: its bytes then stand in.
        """
        skill = self._work.skill(specification.skill)
        length = specification.input.size_bytes
        return specification.input.work_units or (skill.units_of_length(length) if skill else 1)

    def option(self, specification: Specification) -> LocalOption:
        """Doing a task here, or why it cannot be done."""
        return self._work.option(
            specification.skill,
            specification.effort,
            self.units(specification),
            memory_bytes=specification.resources.memory_bytes,
        )

    def price_micro(self, specification: Specification, load: Load, option: LocalOption) -> int:
        """What this node asks for a task now: eq. (7) over its price list, or over its own predicted cost."""
        base = self._base_micro(self._wares[specification.skill], self.units(specification), option)
        return quote_price_micro(base, load, self._pricing)

    def _base_micro(self, ware: Ware, units: int, option: LocalOption) -> int:
        skill = self._work.skill(ware.label)
        if skill is not None and skill.tariff is not None and skill.tariff.price is not None:
            usage = self._work.tokens.expected(skill.tariff, units)
            return math.ceil(charge_micro(skill.tariff.price, usage))
        if ware.unit_price_micro is not None:
            return listed_price_micro(ware.unit_price_micro, units)
        return base_price_micro(option.cost.total_micro, self._pricing)

    def price_hint_micro(self, label: str) -> int:
        """What one work unit costs when this node is idle; of a model, a prompt of one token with a usual reply."""
        return self._hint_micro(self._wares[label])

    def _hint_micro(self, ware: Ware) -> int:
        skill = self._work.skill(ware.label)
        units = 1 if skill is None or skill.tariff is None else skill.units_of_length(1)
        return self._base_micro(ware, units, self._work.option(ware.label, "full", units))

    def _load_ppm(self, label: str) -> int:
        load = self.load(label)
        return min(PPM, PPM * load.demand // load.slots)
