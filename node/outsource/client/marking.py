"""Marking answers to questions whose answer is known: a canary's, or those of a skill test.

A wrong one counts as a failed job of that seller, even though it was accepted and paid: what a decision knows of a
seller are its jobs.
"""

import hashlib
from typing import Literal

from node.env import Env
from node.examination.items import Item
from node.store.history import JobOutcome, Outcomes
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, check_agreement

Kind = Literal["canary", "test"]


class Marking:
    """Compares an answer with the known one and remembers what a wrong one says of its seller."""

    def __init__(self, env: Env, outcomes: Outcomes) -> None:
        self._env = env
        self._outcomes = outcomes

    async def is_right(
        self, kind: Kind, task_id: bytes, seller: bytes, skill: str, item: Item, result: Content
    ) -> bool:
        """Whether the result is the known answer. A wrong one counts once for each kind and task."""
        if _agrees(result, item):
            return True
        await self._outcomes.record(
            JobOutcome(
                task_id=hashlib.sha256(kind.encode() + task_id).digest()[:16],
                contractor=seller,
                skill=skill,
                unix_ms=self._env.unix_ms(),
                success=False,
                kind=kind,
            )
        )
        return False


def _agrees(result: Content, item: Item) -> bool:
    if result.media_type != item.expected_media_type:
        return False
    finding = check_agreement(item.expected.encode(), result.data, item.expected_media_type)
    return finding.score_ppm == FULL_SCORE_PPM
