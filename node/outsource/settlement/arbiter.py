"""The arbiter's part: it looks at what a client shows, does the check that the client could have done, and rules."""

from dataclasses import dataclass, field
from typing import Final

import structlog

from crypto.identity import short_id
from node.env import Env
from node.errors import NodeError
from node.outsource.localwork import LocalWork
from node.outsource.settlement.deals import Known
from node.outsource.settlement.exhibits import exhibit_hash, open_exhibit
from node.store.exhibits import Exhibits
from node.tasks.content import Content
from protocol.errors import RemoteProtocolError

CHECK_S: Final = 60.0

log = structlog.get_logger()


@dataclass(slots=True)
class Arbiter:
    """What exhibits come to. Where it cannot judge, it stays silent: then its owner rules, or time does."""

    env: Env
    work: LocalWork
    exhibits: Exhibits
    _rulings: dict[bytes, int | None] = field(default_factory=dict)

    def forget(self, known: Known) -> None:
        """The deal is closed."""
        self._rulings.pop(known.key, None)

    async def ruling(self, known: Known) -> int | None:
        """What the contractor gets of what it asked for: all or nothing; None when nothing that was shown decides it.

        The strongest check of the skill decides, at the score that the task asked for, by a seed drawn only now.
        """
        if known.key not in self._rulings:
            exhibit = await self.exhibits.of(known.key)
            if exhibit is None or exhibit_hash(exhibit) != known.deal.exhibit_sha256:
                return None
            self._rulings[known.key] = await self._judged(known, exhibit)
        return self._rulings[known.key]

    async def _judged(self, known: Known, exhibit: bytes) -> int | None:
        try:
            shown = open_exhibit(exhibit, known.name)
            skill = self.work.skill(shown.specification.skill)
            if skill is None:
                log.info("deal.not_judged", reason=f"this node does not have {shown.specification.skill}")
                return None
            judgement = await self.work.verify(
                shown.specification.skill,
                shown.work,
                Content(skill.output_media_type, shown.delivered),
                level="full",
                min_score_ppm=shown.specification.verification.min_score_ppm,
                seed=self.env.entropy(32),
                timeout_s=CHECK_S,
            )
        except (NodeError, RemoteProtocolError) as error:
            log.warning("deal.not_judged", client=short_id(known.client), error=str(error))
            return None
        log.info("deal.judged", accepted=judgement.accepted, reasons=judgement.reasons[:3])
        return known.deal.asked_credits if judgement.accepted else 0
