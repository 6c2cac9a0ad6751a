"""What asking sellers about each kind of task has led to, and so whether it is worth asking again."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.inputs import LocalOption, TaskFacts
from node.outsource.client.request import Ask

if TYPE_CHECKING:
    from node.decision.asking import Asked

MOST_KINDS: Final = 256
"""Kinds remembered; the one that was not met for longest goes first. Whoever is forgotten is asked."""


class AskMemory:
    """Kept in memory only: a node that has just started asks."""

    def __init__(self, unasked_most: int) -> None:
        self._unasked_most = unasked_most
        self._kinds: OrderedDict[Hashable, Asked] = OrderedDict()

    def needless(
        self,
        ask: Ask,
        facts: TaskFacts,
        local: LocalOption,
        config: DecisionConfig,
        *,
        saved_micro: float,
        now_unix_s: float,
    ) -> str:
        """Why asking would be in vain; empty where sellers are to be asked. See `decision.asking.needless`."""
        from node.decision.asking import needless  # see node/decision/__init__.py

        return needless(
            self._of(ask),
            facts,
            local,
            config,
            saved_micro=saved_micro,
            unasked_most=self._unasked_most,
            now_unix_s=now_unix_s,
        )

    def skipped(self, ask: Ask) -> None:
        """Nobody was asked about this task."""
        asked = self._of(ask)
        self._keep(ask, asked._replace(unasked=asked.unasked + 1))

    def learn(self, ask: Ask, decision: Decision, now_unix_s: float) -> None:
        """Sellers were asked, and this was decided."""
        from node.decision.asking import after_round

        self._keep(ask, after_round(self._of(ask), decision, now_unix_s))

    def _of(self, ask: Ask) -> "Asked":
        from node.decision.asking import Asked

        return self._kinds.get(_kind(ask), Asked())

    def _keep(self, ask: Ask, asked: "Asked") -> None:
        self._kinds[_kind(ask)] = asked
        self._kinds.move_to_end(_kind(ask))
        while len(self._kinds) > MOST_KINDS:
            self._kinds.popitem(last=False)


def _kind(ask: Ask) -> Hashable:
    """All that a task's cost hangs on beside its size: only tasks that are alike in it say something of each other."""
    specification = ask.specification
    return (
        ask.skill,
        specification.effort,
        specification.resources,
        specification.constraints,
        specification.verification.least_level,
        ask.wanted.checks,
        ask.value_micro,
        ask.prefer,
        ask.policy,
    )
