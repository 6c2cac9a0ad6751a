"""The owner's view of other nodes: who is there, how far away, who sells what, who is blocked."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from crypto.identity import did_key, short_id
from dht.contacts import Contact
from node.credentials.reach import endpoint_of
from node.daemon import Parts
from node.decision.config import DecisionConfig
from node.decision.reliability import pessimistic, posterior
from node.errors import DeadlineError, NodeError, UsageError
from node.market.hours import shown_hours
from node.net.endpoint import Endpoint
from node.net.session import Session
from node.outsource.client.finder import Found
from node.outsource.client.listings import Listings
from node.outsource.client.seller import Seller
from node.owner.names import find_peer
from node.skills.labels import check_label, nearest
from node.store.peers import KnownPeer
from node.views import AbsentRow, MatchesView, MatchRow, OkView, PeerRow, PeersView, PingView, SellerRow, SellersView

PING_TIMEOUT_S = 5.0
PRESENT_TIMEOUT_S = 3.0
"""For sellers to answer before they are shown, as for a quote."""
FOREVER_S = float("inf")
PPM = 1_000_000
T = TypeVar("T")


class Network:
    """Peers and sellers."""

    def __init__(self, parts: Parts, listings: Listings, decision: DecisionConfig) -> None:
        self._parts = parts
        self._listings = listings
        self._decision = decision

    async def peers(self) -> PeersView:
        """Every node that is known, connected or not, with this node's own history."""
        parts = self._parts
        known = {peer.public_key: peer for peer in await parts.store.peers.known()}
        contacts = {contact.public_key: contact for contact in parts.discovery.contacts()}
        sessions = {session.peer_key: session for session in parts.peers.open_sessions()}
        blocked = {peer.public_key for peer in await parts.store.peers.blocked()}
        totals = await parts.store.outcomes.totals()
        now = parts.env.unix_ms()
        rows = []
        for key in {*known, *contacts, *sessions, *blocked}:
            contact, past, total = contacts.get(key), known.get(key), totals.get(key)
            seen = _last_seen_unix_ms(contact, past, now)
            where, rtt_s = _whereabouts(contact, past, sessions.get(key))
            rows.append(
                PeerRow(
                    peer=short_id(key),
                    did=did_key(key),
                    endpoint=where,
                    connected=contact is not None or key in sessions,
                    rtt_s=rtt_s,
                    last_seen_unix_ms=seen,
                    tasks=total.jobs if total else 0,
                    accepted=total.successes if total else 0,
                    spent_micro=total.paid_micro if total else 0,
                    exposure_micro=await parts.store.spending.peer_exposure_micro(key, now) if total else 0,
                    offences=parts.peers.offences(key),
                    blocked=key in blocked,
                )
            )
        return PeersView(peers=tuple(sorted(rows, key=lambda row: (not row.connected, row.peer))))

    async def keys(self) -> set[bytes]:
        """The keys of all peers that a short id may mean."""
        parts = self._parts
        return {
            *(peer.public_key for peer in await parts.store.peers.known()),
            *(peer.public_key for peer in await parts.store.peers.blocked()),
            *(contact.public_key for contact in parts.discovery.contacts()),
            *(session.peer_key for session in parts.peers.open_sessions()),
        }

    async def ping(self, text: str) -> PingView:
        """One keep-alive over the encrypted channel, dialled first if need be."""
        key = find_peer(text, await self.keys())
        where = await self._endpoint(key)
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                session = await self._parts.peers.session(key, where)
                rtt_s = await session.probe(PING_TIMEOUT_S)
        except TimeoutError as error:
            raise DeadlineError(f"{short_id(key)} at {where} did not answer within {PING_TIMEOUT_S:g} s") from error
        return PingView(peer=short_id(key), did=did_key(key), endpoint=str(where), rtt_s=rtt_s)

    async def _endpoint(self, key: bytes) -> Endpoint:
        parts = self._parts
        where = await endpoint_of(key, parts.discovery, parts.store.peers, parts.peers)
        if where is None:
            raise NodeError(f"no address is known for {short_id(key)}")
        return where

    async def block(self, text: str) -> OkView:
        """Neither dial, answer nor hire this peer until it is unblocked, also after restarts or under another key."""
        key = find_peer(text, await self.keys())
        for one in self._parts.successors.same_owner(key):
            await self._parts.store.peers.block(one, self._parts.env.unix_ms(), "by the owner")
            self._parts.peers.block(one, FOREVER_S)
        return OkView(text=f"{short_id(key)} is blocked")

    async def unblock(self, text: str) -> OkView:
        """Lift a block; UsageError when there was none."""
        key = find_peer(text, await self.keys())
        was_blocked = False
        for one in self._parts.successors.same_owner(key):
            was_blocked |= await self._parts.store.peers.unblock(one)
            self._parts.peers.unblock(one)
        if not was_blocked:
            raise UsageError(f"{short_id(key)} was not blocked")
        return OkView(text=f"{short_id(key)} is no longer blocked")

    async def sellers(self, label: str, max_price_micro: int | None) -> SellersView:
        """Who sells a skill now, cheapest first; UsageError, with the nearest labels, for a malformed one."""
        known = [skill.label for skill in self._parts.executor.skills]
        try:
            check_label(label)
        except UsageError as error:
            near = nearest(label, known)
            advice = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(f"{error}{advice}") from error
        found = await self._listings.of(label)
        listings, absent = await self._present(found, lambda listing: listing.seller, lambda listing: listing.source)
        counts = await self._parts.store.outcomes.counts(
            [listing.seller.key for listing in listings], label, self._parts.env.unix_ms()
        )
        rows = []
        for listing in listings:
            advert, history = listing.advert, counts[listing.seller.key]
            if max_price_micro is not None and advert.price_hint_micro > max_price_micro:
                continue
            rows.append(
                SellerRow(
                    peer=listing.seller.name,
                    did=did_key(listing.seller.key),
                    endpoint=str(listing.seller.endpoint),
                    caption=advert.caption,
                    price_hint_micro=advert.price_hint_micro,
                    load_ppm=advert.load_ppm,
                    regions=advert.regions,
                    expires_unix_ms=listing.expires_unix_ms,
                    tasks=history.jobs,
                    accepted=round(history.successes),
                    success_ppm=self._success_ppm(history.successes, history.failures) if history.jobs else None,
                    source=listing.source,
                    hours=shown_hours(advert.hours, self._parts.env.unix_ms() / 1000),
                    reached_unix_ms=self._parts.roll_call.met_unix_ms(listing.seller.key),
                )
            )
        cheapest = sorted(rows, key=lambda row: (row.price_hint_micro, row.peer))
        return SellersView(skill=label, sellers=tuple(cheapest), absent=absent)

    async def matches(
        self, text: str, max_price_micro: int | None, min_trust_ppm: int, needs: Sequence[str]
    ) -> MatchesView:
        """What fits a request by its meaning, best first: at most that dear a unit, at least that sure to be good.

        This node's own skills have no price and need no trust. UsageError for a text of nothing but spaces.
        """
        if not text.strip():
            raise UsageError("there is nothing to look for: write what is to be done, in your own words")
        search = await self._parts.finder.find(text, needs)
        matches, absent = await self._present(search.found, lambda found: found.seller, lambda found: found.source)
        pairs = {(found.skill, found.seller.key) for found in matches if found.seller is not None}
        histories = {
            (skill, key): history
            for skill in {skill for skill, _ in pairs}
            for key, history in (
                await self._parts.store.outcomes.counts(
                    [key for one, key in pairs if one == skill], skill, self._parts.env.unix_ms()
                )
            ).items()
        }
        rows = []
        for found in matches:
            history = histories.get((found.skill, found.seller.key)) if found.seller is not None else None
            if found.seller is not None:
                trust_ppm = self._success_ppm(history.successes, history.failures) if history else 0
                if trust_ppm < min_trust_ppm or _is_over(found.price_hint_micro, max_price_micro):
                    continue
            reached = None if found.seller is None else self._parts.roll_call.met_unix_ms(found.seller.key)
            rows.append(_match_row(found, trust_ppm if history is not None and history.jobs else None, reached))
        return MatchesView(
            text=text, captions=search.captions, about=str(search.about), matches=tuple(rows), absent=absent
        )

    async def _present(
        self, found: Sequence[T], seller_of: Callable[[T], Seller | None], source_of: Callable[[T], str]
    ) -> tuple[list[T], tuple[AbsentRow, ...]]:
        """What of this is this node's own or of a seller that answers now; and the sellers that do not, each once."""
        sellers = {seller.key: (seller, source_of(one)) for one in found if (seller := seller_of(one)) is not None}
        roll_call = self._parts.roll_call
        here = await roll_call.present([seller for seller, _ in sellers.values()], timeout_s=PRESENT_TIMEOUT_S)
        present = [one for one in found if (seller := seller_of(one)) is None or seller.key in here]
        if len(here) == len(sellers):
            return present, ()
        known = {peer.public_key: peer.last_seen_unix_ms for peer in await self._parts.store.peers.known()}
        absent = [
            AbsentRow(
                peer=seller.name,
                did=did_key(key),
                source=source,
                expires_unix_ms=seller.expires_unix_ms,
                last_seen_unix_ms=roll_call.met_unix_ms(key) or known.get(key),
            )
            for key, (seller, source) in sellers.items()
            if key not in here
        ]
        return present, tuple(absent)

    def _success_ppm(self, successes: float, failures: float) -> int:
        config = self._decision
        mean, deviation = posterior(successes, failures, prior_mean=config.prior_factor, prior_jobs=config.prior_jobs)
        return round(pessimistic(mean, deviation, config.pessimism) * PPM)


def _is_over(price_micro: int | None, limit_micro: int | None) -> bool:
    return price_micro is not None and limit_micro is not None and price_micro > limit_micro


def _match_row(found: Found, success_ppm: int | None, reached_unix_ms: int | None) -> MatchRow:
    seller, fit = found.seller, found.fit
    return MatchRow(
        skill=found.skill,
        peer=seller.name if seller else "",
        did=did_key(seller.key) if seller else "",
        caption=found.caption,
        price_hint_micro=found.price_hint_micro,
        score_ppm=round(fit.score * PPM),
        ontological_ppm=round(fit.ontological * PPM),
        embedding_ppm=round(fit.embedding * PPM),
        performance_ppm=round(fit.performance * PPM),
        success_ppm=success_ppm,
        source=found.source,
        terms=found.terms,
        reached_unix_ms=reached_unix_ms,
    )


def _whereabouts(contact: Contact | None, past: KnownPeer | None, session: Session | None) -> tuple[str, float | None]:
    """Address and round trip of a peer, from what is freshest."""
    for known in (contact, past):
        if known is not None:
            return str(Endpoint(known.host, known.port)), known.rtt_s
    return (str(session.remote) if session else ""), None


def _last_seen_unix_ms(contact: Contact | None, past: KnownPeer | None, now_unix_ms: int) -> int | None:
    """When a peer last answered us."""
    if contact is not None:
        return now_unix_ms - round(1000 * (asyncio.get_running_loop().time() - contact.last_seen_s))
    return past.last_seen_unix_ms if past is not None else None
