"""The skill `market-prior`: hands out the signed document about a skill, and opens leaves of it on request."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from crypto.identity import Identity
from node.env import Env
from node.execute.errors import InputError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.skill import JSON, Skill
from node.priors.config import MarketMakerConfig
from node.priors.document import SKILL, Made, Probe, make
from node.priors.forms import Reply, Wanted, decode_wanted, opened_reply
from node.store.probes import Probes

DAY_MS: Final = 86_400_000
RENEWED_S: Final = 60.0
"""A document is made again when it is so old: buyers of one minute get the same."""
KEPT: Final = 64
"""Documents of which leaves can be opened: those of the last hours, of a few skills."""
SLOTS: Final = 4


class Stall:
    """A `Remote`: it takes none of the workers."""

    def __init__(
        self,
        *,
        identity: Identity,
        network: str,
        config: MarketMakerConfig,
        env: Env,
        probes: Probes,
        prove: Callable[[], Awaitable[None]],
    ) -> None:
        """`prove` fetches the records of probes that ended just now."""
        self._identity = identity
        self._network = network
        self._config = config
        self._env = env
        self._probes = probes
        self._prove = prove
        self._made: OrderedDict[str, Made] = OrderedDict()
        """By root, the oldest first."""
        self._turn = asyncio.Lock()
        self.sold: Counter[str] = Counter()
        """Documents handed out since the start, by skill."""

    @property
    def skill(self) -> Skill:
        """See Remote."""
        return Skill(
            label=SKILL,
            caption="What probes of the sellers of a skill came to, signed",
            description=(
                "Takes the label of a skill and gives a signed document: of each seller that was probed, how often its "
                "work was good, how long it took and what was billed; or opens receipts behind such a document."
            ),
            input_media_types=(JSON,),
            output_media_type=JSON,
            size=lambda data, media_type: 1,
            unit="task",
            example=b'{"skill": "risk"}',
            efforts=("full",),
            price_micro=self._config.price_micro,
            is_builtin=False,
            slots=SLOTS,
        )

    async def run(self, job: Job) -> Execution:
        """See Remote."""
        began_s = time.perf_counter()
        try:
            wanted = decode_wanted(job.input)
        except (msgspec.DecodeError, ValueError) as error:
            raise InputError(f'this is no request ({error}): write {{"skill": "risk"}}') from error
        async with asyncio.timeout(job.timeout_s):
            reply = await self._opened(wanted) if wanted.root else await self._document(wanted.skill)
        wall_s = time.perf_counter() - began_s
        return Execution(msgspec.json.encode(reply), JSON, wall_s, wall_s, 0)

    async def _document(self, skill: str) -> Reply:
        made = await self.made(skill)
        if made is None:
            known = ", ".join(await self._probes.skills()) or "none yet"
            raise InputError(f"no seller of {skill} was probed lately; of these skills some were: {known}")
        self.sold[skill] += 1
        return Reply(prior=made.token)

    async def _opened(self, wanted: Wanted) -> Reply:
        made = self._made.get(wanted.root)
        if made is None or made.prior.skill != wanted.skill:
            raise InputError("no document of that root was sold here lately: ask for one, then for its leaves")
        try:
            return await self._env.offload(opened_reply, made, wanted.leaves)
        except IndexError as error:
            raise InputError(str(error)) from error

    async def made(self, skill: str) -> Made | None:
        """The document of now; None where nothing is known."""
        async with self._turn:
            now_ms = self._env.unix_ms()
            last = next((one for one in reversed(self._made.values()) if one.prior.skill == skill), None)
            if last is not None and 0 <= now_ms / 1000 - last.prior.iat < RENEWED_S:
                return last
            await self._prove()
            probes = await self._probes.of_skill(skill, now_ms - self._config.window_days * DAY_MS)
            made = await self._env.offload(self._signed, skill, probes, now_ms)
            if made is not None:
                self._made[made.prior.tree.root] = made
                self._made.move_to_end(made.prior.tree.root)
                while len(self._made) > KEPT:
                    self._made.popitem(last=False)
            return made

    def _signed(self, skill: str, probes: list[Probe], now_ms: int) -> Made | None:
        return make(
            self._identity,
            network=self._network,
            skill=skill,
            probes=probes,
            now_unix_ms=now_ms,
            life_s=self._config.life_s,
        )
