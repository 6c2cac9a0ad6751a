"""The owner's view of market makers: own probes, bought documents, how far each maker is believed."""

from collections.abc import Awaitable, Callable, Iterable

from crypto.identity import did_key, short_id
from node.daemon import Parts
from node.owner.names import find_peer
from node.priors.belief import first_standing
from node.priors.check import parse_did
from node.priors.document import Prior
from node.skills.labels import check_label
from node.store.priors import Bought, Known
from node.views import BuyPriorsRequest, DocumentRow, MakerRow, PriorRow, PriorsView, ProbingRow, Problem
from node.wording import counted

PPM = 1_000_000


class PriorsDesk:
    """`peer_keys` gives the keys that a short id may mean."""

    def __init__(self, parts: Parts, peer_keys: Callable[[], Awaitable[set[bytes]]]) -> None:
        self._parts = parts
        self._peer_keys = peer_keys

    async def listed(self, skill: str | None) -> PriorsView:
        """What is known about one skill, or about each; UsageError for a malformed label."""
        parts, own = self._parts, list[PriorRow]()
        making = parts.market_maker
        if making is not None:
            skills = await parts.store.probes.skills() if skill is None else [check_label(skill)]
            for one in skills:
                made = await making.stall.made(one)
                own += _rows(made.prior, "") if made is not None else ()
        documents = await self._documents(skill)
        read = [(bought, parts.hearsay.prior(bought)) for bought in documents]
        sellers = [row for bought, prior in read if prior for row in _rows(prior, short_id(bought.maker))]
        return PriorsView(
            sellers=(*own, *sellers),
            makers=tuple(await self._makers()),
            documents=tuple(map(_document, documents)),
            probing=None if making is None else await self._probing(),
        )

    async def buy(self, request: BuyPriorsRequest) -> PriorsView:
        """Buy documents about a skill now; NodeError where nobody sold any."""
        known = await self._peer_keys() if request.makers else set()
        makers = [find_peer(text, known) for text in request.makers]
        await self._parts.subscriptions.buy_from_all(check_label(request.skill), makers)
        return await self.listed(request.skill)

    async def _documents(self, skill: str | None) -> list[Bought]:
        store, now_s = self._parts.store.priors, self._parts.env.unix_ms() / 1000
        skills = await store.skills() if skill is None else [check_label(skill)]
        return [bought for one in skills for bought, _ in await store.of_skill(one, now_s)]

    async def _makers(self) -> list[MakerRow]:
        named = self._parts.subscriptions.named
        known = await self._parts.store.priors.makers()
        unknown = {key: Known(first_standing(is_named=True), 0, "") for key in named if key not in known}
        return [_maker(key, one, is_named=key in named) for key, one in {**known, **unknown}.items()]

    async def _probing(self) -> ProbingRow:
        making = self._parts.market_maker
        assert making is not None
        spent = await self._parts.store.probes.spent_micro(self._parts.env.unix_ms())
        return ProbingRow(
            skills=making.prober.skills,
            budget_micro=making.config.probe_budget_micro,
            spent_micro=sum(spent.values()),
            sold=making.stall.sold.total(),
        )


async def maker_problems(parts: Parts) -> Iterable[Problem]:
    """Which of the market makers that the owner named count for nothing, and why."""
    if not parts.subscriptions.named:
        return ()
    known = await parts.store.priors.makers()
    return [_problem(key, one) for key, one in known.items() if key in parts.subscriptions.named and _is_mute(one)]


def _is_mute(known: Known) -> bool:
    return known.standing.weight == 0.0


def _problem(key: bytes, known: Known) -> Problem:
    standing = known.standing
    why = known.problem or f"{standing.surprises} of {counted(standing.compared, 'job')} ended otherwise than it said"
    return Problem(
        text=f"market maker {short_id(key)} counts for nothing here: {why}",
        fix="coalesced config show (priors.makers)",
    )


def _rows(prior: Prior, maker: str) -> Iterable[PriorRow]:
    for row in prior.rows:
        yield PriorRow(
            skill=prior.skill,
            peer=short_id(parse_did(row.sub)),
            did=row.sub,
            maker=maker,
            probes=row.leaves,
            good_milli=row.good_milli,
            bad_milli=row.bad_milli,
            faults=row.faults,
            billed_ppm=row.billed_ppm,
            latency_ppm=row.latency_ppm,
            last_unix_ms=row.last_unix_s * 1000,
        )


def _document(bought: Bought) -> DocumentRow:
    return DocumentRow(
        maker=short_id(bought.maker),
        did=did_key(bought.maker),
        skill=bought.skill,
        token=bought.token,
        bought_unix_ms=bought.bought_unix_ms,
        expires_unix_ms=bought.expires_unix_s * 1000,
        paid_micro=bought.paid_micro,
        opened=bought.opened,
    )


def _maker(key: bytes, known: Known, *, is_named: bool) -> MakerRow:
    return MakerRow(
        peer=short_id(key),
        did=did_key(key),
        named=is_named,
        believed_ppm=round(known.standing.weight * PPM),
        compared=known.standing.compared,
        surprises=known.standing.surprises,
        bought=known.bought,
        problem=known.problem,
    )
