"""Putting skills on sale and taking them off, as the owner asks; remembered across restarts."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog
from msgspec.structs import replace

from dht.errors import DhtError
from node.env import Env
from node.errors import NodeError, UsageError
from node.events import EventHub
from node.execute.executor import Executor
from node.execute.skill import Skill
from node.execute.user import UserSkill, split_target
from node.outsource.contractor.elsewhere import Elsewhere, source_of
from node.outsource.contractor.shop import Shop, Ware
from node.skills.labels import check_label
from node.store.earnings import Earned, Earnings
from node.store.offers import SoldFunction, SoldFunctions
from node.views import OffersView, OfferView, SellRequest

log = structlog.get_logger()


class Sales:
    """The owner's side of the shop."""

    def __init__(
        self,
        *,
        env: Env,
        executor: Executor,
        shop: Shop,
        sold: SoldFunctions,
        earnings: Earnings,
        hub: EventHub,
        elsewhere: Elsewhere,
    ) -> None:
        self._env = env
        self._executor = executor
        self._shop = shop
        self._sold = sold
        self._earnings = earnings
        self._hub = hub
        self._elsewhere = elsewhere
        self._problems: dict[str, str] = {}
        """Remembered offers that could not be put on sale again, and why."""
        self._turn = asyncio.Lock()
        self._changed: set[str] = set()
        """What the owner has put on sale or taken off since the start: what is remembered of it is out of date."""

    async def open(self) -> None:
        """Put on sale what the configuration names and what the owner once offered."""
        await self._shop.open()
        for sold in await self._sold.load():
            async with self._turn:
                if sold.label in self._changed:
                    continue
                try:
                    await self._put_up(sold)
                except (NodeError, DhtError) as error:
                    self._problems[sold.label] = str(error)
                    log.warning("offer.not_restored", skill=sold.label, error=str(error))

    async def sell(self, request: SellRequest) -> OfferView:
        """Offer a skill that this node has, or a function of the caller's; UsageError says what is wrong with it."""
        sold = SoldFunction(
            label=request.label or (request.target if _is_builtin(request) else ""),
            target=request.target,
            caption=request.caption,
            directory=request.directory,
            python=_python(request.environment),
            environment=request.environment,
            price_micro=request.price_micro,
            timeout_s=request.timeout_s,
            memory_bytes=request.memory_bytes,
            remote=request.remote,
            hours=request.hours,
            shown=request.shown,
        )
        async with self._turn:
            named, ware, held = await self._put_up(sold, is_new=True)
            self._changed.add(ware.label)
        await self._sold.save(named, self._env.unix_ms())
        self._problems.pop(ware.label, None)
        self._hub.tell("offer_changed", f"{ware.label} is on sale, known to {held} nodes")
        return self._view(ware, await self._earnings.by_skill())

    async def unsell(self, label: str) -> None:
        """Take a skill off sale, now and after restarts; UsageError when it is not on sale."""
        async with self._turn:
            if self._shop.sells(label) or label not in self._problems:
                await self._shop.take_down(label)
            self._changed.add(label)
            self._problems.pop(label, None)
            self._executor.unregister(label)
        await self._sold.remove(label)
        self._hub.tell("offer_changed", f"{label} is no longer on sale")

    @property
    def problems(self) -> Mapping[str, str]:
        """What should be on sale and is not, and why."""
        return self._problems

    async def remembered(self) -> list[SoldFunction]:
        """Everything that the owner put on sale, whether or not it could be put on sale again."""
        return await self._sold.load()

    async def check(self, sold: SoldFunction) -> None:
        """See that what does the work elsewhere would do it now, at no cost; UsageError says what is wrong."""
        if sold.remote is not None:
            await self._elsewhere.check(sold.label, sold.remote)

    async def offers(self) -> OffersView:
        """Everything on sale, and what should be and is not."""
        sales = await self._earnings.by_skill()
        on_sale = [self._view(ware, sales) for ware in self._shop.wares]
        broken = [OfferView(label=label, problem=problem) for label, problem in sorted(self._problems.items())]
        return OffersView(offers=(*on_sale, *broken))

    async def _put_up(self, sold: SoldFunction, *, is_new: bool = False) -> tuple[SoldFunction, Ware, int]:
        """Offer and advertise it: what to remember, what is on sale now, and how many nodes know."""
        price_micro = sold.price_micro
        if sold.remote is not None:
            sold, skill = await self._elsewhere.offer(sold, sold.remote, is_new=is_new)
        elif ":" in sold.target:
            skill, declared_micro = await self._function(sold)
            price_micro = declared_micro if price_micro is None else price_micro
        else:
            if (sold.timeout_s, sold.memory_bytes) != (None, None) or sold.label not in ("", sold.target):
                raise UsageError(f"{sold.target} is builtin: it has its own name, and the node's limits")
            skill = self._executor.skill(sold.target)
        source = "builtin" if skill.is_builtin else source_of(sold)
        ware = self._shop.ware(skill, price_micro, source, sold.caption, sold.hours)
        return replace(sold, label=ware.label), ware, await self._shop.put_up(ware)

    async def _function(self, sold: SoldFunction) -> tuple[Skill, int | None]:
        """Import the function in a worker and offer it as a skill; and the price that its `@skill` declares, if any."""
        if not sold.directory or not Path(sold.directory).is_absolute():
            raise UsageError(f"the directory {sold.directory!r} must be an absolute path: where the module is")
        module, function = split_target(sold.target)
        found = await self._executor.describe_user_function(
            sold.target, directory=sold.directory, environment=sold.environment, python=sold.python
        )
        label = check_label(sold.label or found.label or function.replace("_", "-"))
        skill = self._executor.register(
            UserSkill(
                label=label,
                module=module,
                function=function,
                directory=sold.directory,
                environment=sold.environment,
                python=sold.python,
                price_micro=found.price_micro or 0,
                unit=found.unit,
                caption=sold.caption or found.caption,
                description=found.description,
                input_media_types=found.input_media_types,
                output_media_type=found.output_media_type,
                example=found.example,
                time_limit_s=sold.timeout_s,
                memory_limit_bytes=sold.memory_bytes,
            )
        )
        return skill, found.price_micro

    def _view(self, ware: Ware, sales: Mapping[str, Earned]) -> OfferView:
        done = sales.get(ware.label, Earned())
        return OfferView(
            label=ware.label,
            caption=ware.caption,
            source=ware.source,
            price_micro=ware.unit_price_micro,
            price_hint_micro=self._shop.price_hint_micro(ware.label),
            published_to=self._shop.published_to(ware.label),
            sold=done.jobs,
            earned_micro=done.paid_micro,
        )


def _is_builtin(request: SellRequest) -> bool:
    return request.remote is None and ":" not in request.target


def _python(environment: dict[str, str]) -> str:
    """The caller's interpreter: its virtual environment's, where it has one."""
    virtual = environment.get("VIRTUAL_ENV", "")
    candidate = Path(virtual) / "bin" / "python"
    return str(candidate) if virtual and candidate.exists() else sys.executable
