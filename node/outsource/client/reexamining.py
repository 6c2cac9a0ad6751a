"""Sellers that seem to have changed: seen in what they state and in how their jobs go, and attested again.

Until an attestation holds, nothing that such a seller showed before counts for a security budget. One that does not
hold counts as a failed job besides. Only sellers are looked at that this node has hired or attested, and few are asked.
"""

import asyncio
from collections.abc import Sequence

import structlog

from crypto.identity import short_id
from node.attestation.work import AttestationError, Work
from node.background import Background
from node.credentials.examining import Examining
from node.env import Env
from node.errors import NodeError
from node.examination.again import DAY_MS, ExaminationConfig, why_not_now
from node.examination.drift import DriftConfig, drift
from node.outsource.client.seller import Listing
from node.store.drifting import Drift, Drifting
from node.store.examinations import Attested, Examinations, Examined
from node.store.history import JobOutcome, Outcomes
from node.wording import duration

log = structlog.get_logger()

JOBS = 200
"""The last so many jobs of a seller, in which a change is looked for."""
ROUNDS = 4
"""Of a seller that was never attested before: half of what one allows by default."""


class Reexaminer:
    """Watches the sellers of this node's tasks. `is_on` is whether it asks for anything by itself."""

    def __init__(
        self,
        *,
        env: Env,
        config: ExaminationConfig,
        examining: Examining,
        examinations: Examinations,
        drifting: Drifting,
        outcomes: Outcomes,
        in_background: Background,
    ) -> None:
        self._env = env
        self._config = config
        self._examining = examining
        self._examinations = examinations
        self._drifting = drifting
        self._outcomes = outcomes
        self._in_background = in_background
        self._under_way: set[bytes] = set()

    async def saw(self, skill: str, listings: Sequence[Listing]) -> list[str]:
        """Compare what these sellers advertise with what they did. What is to be said of those that changed."""
        stated = {one.seller.key: _facts(one) for one in listings if one.advert.facts}
        before = await self._drifting.facts(stated, skill)
        if new := [key for key in stated if key not in before]:
            for key in await self._dealt_with(new, skill):
                await self._drifting.stated(key, skill, stated[key])
        for key in before:
            if reason := drift([], [], before[key], stated[key], DriftConfig()):
                await self._drifted(key, skill, reason)
        return await self._said([one.seller.key for one in listings])

    def worked(self, seller: bytes) -> None:
        """A job of this seller's has ended: see whether it has changed."""
        self._in_background(self._looked(seller))

    async def look(self, seller: bytes) -> str:
        """Why this seller should be examined again, as a sentence; empty where it should not."""
        found = (await self._drifting.drifts([seller])).get(seller)
        return found.reason if found else "; ".join(f"{skill}: {why}" for skill, why in await self._jobs(seller))

    async def _looked(self, seller: bytes) -> None:
        changed, drifts = await asyncio.gather(self._jobs(seller), self._drifting.drifts([seller]))
        if changed:
            skill, reason = changed[0]
            await self._drifted(seller, skill, f"{skill}: {reason}")
        elif drifts:
            await self._again(seller)

    async def _jobs(self, seller: bytes) -> list[tuple[str, str]]:
        """By skill, for jobs of one kind are compared with each other: those since it was last as it should be."""
        examined, recent = await asyncio.gather(self._examinations.of([seller]), self._outcomes.recent(seller, JOBS))
        jobs = [job for job in reversed(recent) if job.unix_ms > examined[seller].settled_unix_ms]
        return [
            (skill, reason)
            for skill in dict.fromkeys(job.skill for job in jobs)
            if (reason := _changed([job for job in jobs if job.skill == skill]))
        ]

    async def _dealt_with(self, keys: Sequence[bytes], skill: str) -> list[bytes]:
        histories, examined = await asyncio.gather(
            self._outcomes.counts(keys, skill, self._env.unix_ms()), self._examinations.of(keys)
        )
        return [key for key in keys if histories[key].jobs or examined[key].attested is not None]

    async def _drifted(self, seller: bytes, skill: str, reason: str) -> None:
        known = (await self._drifting.drifts([seller])).get(seller)
        if known is None or known.reason != reason:
            log.warning("seller.changed", seller=short_id(seller), skill=skill, reason=reason)
            await self._drifting.drifted(seller, Drift(self._env.unix_ms(), skill, reason[:500]))
        await self._again(seller)

    async def _again(self, seller: bytes) -> None:
        """Have it attested again, unless that is under way or would be too often."""
        now = self._env.unix_ms()
        if seller in self._under_way or not self._config.again_per_day:
            return
        if why := why_not_now(await self._examinations.asked_again(now - DAY_MS), seller, now, self._config):
            log.info("seller.not_attested_again", seller=short_id(seller), reason=why)
            return
        self._under_way.add(seller)
        self._in_background(self._attested(seller))

    async def _attested(self, seller: bytes) -> None:
        try:
            examined = (await self._examinations.of([seller]))[seller]
            try:
                await self._examining.certificates(seller)
            except (NodeError, TimeoutError) as error:
                log.info("seller.showed_no_certificates", seller=short_id(seller), reason=str(error))
            found = await self._examining.attest(seller, self._work(examined))
            log.info("seller.attested_again", seller=short_id(seller), rate_gops=round(found.rate_gops, 1))
        except (AttestationError, NodeError, TimeoutError) as error:
            log.warning("seller.not_as_it_was", seller=short_id(seller), reason=str(error))
        finally:
            self._under_way.discard(seller)

    def _work(self, examined: Examined) -> Work:
        last = examined.attested
        return Work(last.size, last.rounds, last.memory_mib) if last else Work(self._config.size, ROUNDS)

    async def _said(self, keys: Sequence[bytes]) -> list[str]:
        """What is to be known of each that seems to have changed, or was found to be as it should within a day."""
        now, said = self._env.unix_ms(), list[str]()
        drifts, again_asked = await asyncio.gather(
            self._drifting.drifts(keys), self._examinations.asked_again(now - DAY_MS)
        )
        retried = {one.peer for one in again_asked}
        if not (told_of := [key for key in keys if key in drifts or key in retried]):
            return said
        examined = await self._examinations.of(told_of)
        for key in examined:
            again = next((one for one in examined[key].attestations if one.reason), None)
            if (found := drifts.get(key)) is not None:
                asked = again if again is not None and again.unix_ms >= found.unix_ms else None
                said.append(f"{short_id(key)} seems to have changed: {found.reason}; {told(asked, now)}")
            elif again is not None:
                said.append(f"{short_id(key)} seemed to have changed: {again.reason}; {told(again, now)}")
        return said


def told(again: Attested | None, now_unix_ms: int) -> str:
    """What an attestation said that was asked for because of a change."""
    if again is None:
        return "not attested again yet"
    when = f"{duration(max(0.0, (now_unix_ms - again.unix_ms) / 1000))} ago"
    if again.holds:
        return f"attested again {when}: at least {again.rate_mops / 1000:.1f} billion operations a second"
    return f"attested again {when}: {again.problem}" if again.done else f"asked again {when}: {again.problem}"


def _facts(listing: Listing) -> dict[str, str]:
    """What an advert states of what does the work, and which certificate it points to."""
    certificate = listing.advert.certificate_sha256
    return {**listing.advert.facts, **({"certificate": certificate.hex()[:16]} if certificate else {})}


def _changed(jobs: Sequence[JobOutcome]) -> str:
    times_s = [job.duration_ms / 1000 for job in jobs if job.success]
    return drift(times_s, [job.success for job in jobs], {}, {}, DriftConfig())
