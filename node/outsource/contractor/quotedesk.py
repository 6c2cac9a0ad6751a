"""The contractor's quotes: what it declines, what it asks for the rest, and its signature under it."""

from crypto.identity import Identity
from node.env import Env
from node.outsource.config import ContractorConfig
from node.outsource.contractor.admission import decline_form, decline_price, decline_time, wait_and_run_s
from node.outsource.contractor.quotebook import QuoteBook
from node.outsource.contractor.shop import Shop
from node.outsource.localwork import LocalWork
from node.tasks.spec import digest, encode_specification
from protocol.fields import MAX_MILLIS
from protocol.messages import Decline, Quote, QuoteRequest
from protocol.signed import QuoteTerms, sign
from protocol.specification import Specification


class QuoteDesk:
    """Answers quote requests, until it is closed."""

    def __init__(
        self, *, identity: Identity, network: str, config: ContractorConfig, env: Env, work: LocalWork, shop: Shop
    ) -> None:
        self._identity = identity
        self._network = network
        self._config = config
        self._env = env
        self._work = work
        self._shop = shop
        self._book = QuoteBook(config.max_quotes_per_peer)
        self.closed: Decline | None = None
        """What every request is answered with from now on, if anything."""

    def close(self, code: str, text: str) -> None:
        """Take no new business."""
        self.closed = Decline(code=code, text=text)

    def quote(self, client: bytes, request: QuoteRequest) -> Quote | Decline:
        """A signed price for this task, or why there is none."""
        specification = request.specification
        if declined := self._decline_form(specification):
            return declined
        load = self._shop.load()
        units = self._shop.units(specification)
        prediction = self._work.predict(specification.skill, specification.effort, units)
        if declined := decline_time(specification, self._config, load=load, prediction=prediction):
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
