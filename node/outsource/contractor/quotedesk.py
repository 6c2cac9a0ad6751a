"""The contractor's quotes: what it declines, what it asks for the rest, and its signature under it."""

import asyncio
import math
from typing import Final

from crypto.identity import Identity
from node.env import Env
from node.outsource.config import ContractorConfig
from node.outsource.contractor.admission import (
    BUSY_RETRY_MS,
    decline_client,
    decline_form,
    decline_hours,
    decline_price,
    decline_time,
    wait_and_run_s,
)
from node.outsource.contractor.clients import Clients
from node.outsource.contractor.pace import Pace
from node.outsource.contractor.quotebook import QuoteBook
from node.outsource.contractor.shop import Shop
from node.outsource.localwork import LocalWork
from node.outsource.settlement.adapter import Adapter
from node.tasks.spec import digest, encode_specification
from protocol.fields import MAX_MILLIS
from protocol.messages import Decline, Quote, QuoteRequest
from protocol.signed import QuoteTerms, sign
from protocol.specification import Specification

STRANGERS: Final = b""
"""The line in which all wait who have never paid here."""
HELD_BACK_S: Final = 10.0
"""How long what came too fast goes unanswered; its sender may have given it up by then."""


class QuoteDesk:
    """Answers quote requests, until it is closed."""

    def __init__(
        self,
        *,
        identity: Identity,
        network: str,
        config: ContractorConfig,
        env: Env,
        work: LocalWork,
        shop: Shop,
        clients: Clients,
        settling: Adapter,
    ) -> None:
        self._identity = identity
        self._network = network
        self._config = config
        self._env = env
        self._work = work
        self._shop = shop
        self._clients = clients
        self._settling = settling
        self._pace = Pace(config.quotes_per_s)
        self._book = QuoteBook(config.max_quotes_per_peer)
        self.closed: Decline | None = None
        """What every request is answered with from now on, if anything."""

    def close(self, code: str, text: str) -> None:
        """Take no new business."""
        self.closed = Decline(code=code, text=text)

    async def answer(self, client: bytes, request: QuoteRequest) -> Quote | Decline:
        """See `quote`, at the pace at which this client is answered: a flood waits for itself, and costs no work."""
        now_s = asyncio.get_running_loop().time()
        line = client if self._clients.standing(client, now_s).is_known else STRANGERS
        wait_s = self._pace.wait_s(line, now_s)
        if wait_s is None:
            # Held back first: a refusal at once would be asked for again at once.
            await asyncio.sleep(HELD_BACK_S)
            return Decline(code="busy", text="more requests come than are answered here", retry_after_ms=BUSY_RETRY_MS)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return self.quote(client, request)

    def quote(self, client: bytes, request: QuoteRequest) -> Quote | Decline:
        """A signed price for this task, or why there is none."""
        specification = request.specification
        standing = self._clients.standing(client, asyncio.get_running_loop().time())
        if declined := self._decline_form(specification) or decline_client(standing, self._config):
            return declined
        if closed_s := self._work.executor.lane(specification.skill).closed_s:
            text = "what does this work is out of order"
            return Decline(code="busy", text=text, retry_after_ms=math.ceil(closed_s * 1000))
        load = self._shop.load(specification.skill)
        units = self._shop.units(specification)
        prediction = self._work.predict(specification.skill, specification.effort, units)
        if declined := decline_time(specification, self._config, standing=standing, load=load, prediction=prediction):
            return declined
        for label in specification.skills:
            week, now_s = self._shop.week(label), self._env.unix_ms() / 1000
            if declined := decline_hours(label, week, now_s, load, prediction):
                return declined
        option = self._shop.option(specification)
        if not option.feasible:
            return Decline(code="resources", text=option.why_not[:500])
        price_micro = self._shop.price_micro(specification, load, option)
        if declined := decline_price(specification, price_micro):
            return declined
        now = self._env.unix_ms()
        expires = now + round(self._config.quote_valid_s * 1000)
        self._book.sweep(now)
        if not self._book.issue(client, now, expires):
            text = f"you hold {self._config.max_quotes_per_peer} quotes of mine that are still valid"
            return Decline(code="busy", text=text, retry_after_ms=expires - now)
        expected_s, p95_s = (wait_and_run_s(load, run_s) for run_s in (prediction.expected_s, prediction.p95_s))
        terms = QuoteTerms(
            quote_id=self._env.entropy(16),
            task_id=request.task_id,
            specification_sha256=digest(encode_specification(specification)),
            network=self._network,
            client=client,
            contractor=self._identity.public_key,
            skill=specification.skill,
            effort=specification.effort,
            price_micro=price_micro,
            duration_ms=round(expected_s * 1000),
            p95_ms=min(MAX_MILLIS, round(max(expected_s, p95_s) * 1000)),
            success_ppm=self._config.claimed_success_ppm,
            issued_unix_ms=now,
            expires_unix_ms=expires,
            escrow_chain=self._settling.wanted(client, price_micro),
        )
        body, signature = sign(self._identity, terms)
        return Quote(terms=body, signature=signature)

    def awarded(self, client: bytes) -> None:
        """A quote was used up."""
        self._book.used(client)

    def _decline_form(self, specification: Specification) -> Decline | None:
        if self.closed:
            return self.closed
        for label in specification.skills:
            if not self._shop.sells(label):
                return Decline(code="unknown_skill", text=f"I do not sell {label}")
        skill = self._work.skill(specification.skill)
        if skill is None or specification.effort not in skill.efforts:
            return Decline(code="unknown_skill", text=f"I do not sell {specification.effort} effort")
        return decline_form(specification, self._config, skill.input_media_types)
