"""The owner's view of a peer's standing on the community chain."""

from typing import TYPE_CHECKING

from crypto.identity import did_key, short_id
from node.daemon import Parts
from node.errors import UsageError
from node.ledger.chain.state import Account, AccountId, State, account_key
from node.owner.names import find_peer
from node.views import AnchorRow, SaidRow, TrustView
from protocol.receipts import DAY_MS

if TYPE_CHECKING:
    from node.ledger.reputation.standing import Standing

PPM = 1_000_000


class TrustDesk:
    """Explains what ratings come to."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show(self, text: str) -> TrustView:
        """The standing of the peer that `text` means; UsageError when it has no account on this node's chain."""
        parts = self._parts
        state = parts.community.following.state
        key = find_peer(text, {account.key for _, account in state.accounts()})
        found = await parts.env.offload(_standing, state, parts.identity.public_key, key, parts.env.unix_ms())
        if found is None:
            raise UsageError(f"{short_id(key)} has no account on this node's chain, so nothing is said of it there")
        own = (await parts.store.outcomes.totals()).get(key)
        jobs, successes = (own.jobs, own.successes) if own else (0, 0)
        return trust_view(found, state, own_jobs=jobs, own_successes=successes)


def _standing(state: State, me: bytes, key: bytes, unix_ms: int) -> "Standing | None":
    from node.ledger.reputation.standing import anchored, standing

    day = unix_ms // DAY_MS
    return standing(state, key, day, anchored(state, state.account_of(me), day))


def trust_view(found: "Standing", state: State, *, own_jobs: int, own_successes: int) -> TrustView:
    """Everybody is named by the present key, which an account may have come to by a succession."""
    one, two = found.level_1, found.level_2

    def named(account: bytes) -> str:
        return short_id(state.the(Account, account_key(AccountId(account))).key)

    return TrustView(
        peer=short_id(found.key),
        did=did_key(found.key),
        is_active=found.is_active,
        height=state.chain.height,
        kept_ppm=_ppm(found.kept),
        ratings=found.ratings,
        explored=found.explored,
        disputed=found.disputed,
        unrated=found.unrated,
        bond=found.bond,
        successes=one.successes,
        failures=one.failures,
        level_1_ppm=_ppm(one.mean),
        level_1_low_ppm=_ppm(one.low),
        as_printed_ppm=_ppm(one.as_printed),
        level_2_ppm=None if two is None else _ppm(two.rate),
        fell_back=two is not None and two.fell_back,
        anchors=tuple(
            AnchorRow(
                anchor=named(says.anchor),
                is_self=says.is_self,
                weight_ppm=_ppm(says.weight),
                rate_ppm=_ppm(says.rate),
            )
            for says in (two.anchors if two else ())
        ),
        said=tuple(
            SaidRow(
                client=named(said.client),
                successes=said.successes,
                failures=said.failures,
                ratings=said.ratings,
                explored=said.explored,
                disputed=said.disputed,
                unrated=said.unrated,
                belief_ppm=None if said.belief is None else _ppm(said.belief),
            )
            for said in found.said
        ),
        own_jobs=own_jobs,
        own_successes=own_successes,
    )


def _ppm(share: float) -> int:
    return round(share * PPM)
