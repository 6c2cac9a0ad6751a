"""The judge as the node uses it: what a judgement will cost and take, and making one, from which both are learnt."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from node.decision.model_checks import Grading
from node.decision.tokens import Usage, charge_micro, work_units
from node.execute.openai.judge import LABEL, JudgeModel, grade_in
from node.execute.openai.policy import host_away
from node.outsource.localwork import LocalWork
from node.verification.judging import Grade, NoGradeError

FRAME_BYTES = 1_600
"""Of a request, beside what is judged: the rules, the marks, the form."""
NONCE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Graded:
    """A judge's word, and what its endpoint charges for it."""

    grade: Grade
    cost_micro: int


class Judge:
    """Prices and makes judgements."""

    def __init__(self, model: JudgeModel, work: LocalWork, entropy: Callable[[int], bytes]) -> None:
        self._model = model
        self._work = work
        self._entropy = entropy

    @property
    def name(self) -> str:
        """The model that judges."""
        return self._model.config.model

    @property
    def host_away(self) -> str:
        """Where it is, if not on this machine."""
        return host_away(self._model.config.url)

    @property
    def least_score_ppm(self) -> int:
        """What an answer must get, unless its task says otherwise."""
        return round(self._model.config.least_score * 1_000_000)

    def grading(self, size_bytes: int) -> Grading:
        """What judging a task and an answer of so many bytes together will come to."""
        tariff = self._model.tariff
        units = work_units(tariff, size_bytes + FRAME_BYTES)
        time_s = self._work.predict(LABEL, "full", units).expected_s
        if tariff.cost is None:
            return Grading(self._work.spent_micro(time_s), time_s, 0.0)
        # By what it may write at most, since this comes out of the budget.
        expected = self._work.tokens.expected(tariff, units)
        most = charge_micro(tariff.cost, Usage(expected.read, tariff.max_written))
        return Grading(charge_micro(tariff.cost, expected), time_s, most)

    async def grade(self, task: str, answer: str, *, timeout_s: float) -> Graded:
        """Have an answer judged; NoGradeError, with what it cost all the same, where no grade is to be had."""
        tariff = self._model.tariff
        size_bytes = len(task.encode(errors="replace")) + len(answer.encode(errors="replace")) + FRAME_BYTES
        nonce = self._entropy(NONCE_BYTES).hex()
        done = await self._model.ask(task, answer, nonce, timeout_s=timeout_s)
        units = work_units(tariff, size_bytes)
        await self._work.learn_time(LABEL, "full", units, done.wall_s)
        if done.usage is not None:
            await self._work.tokens.learn(tariff, size_bytes, done.usage)
        cost_micro = done.wasted_micro
        if tariff.cost is not None:
            counted = done.usage or self._work.tokens.expected(tariff, units)
            cost_micro += math.ceil(charge_micro(tariff.cost, counted))
        try:
            return Graded(grade_in(done, nonce), cost_micro)
        except NoGradeError as error:
            error.cost_micro = cost_micro
            raise

    def most_micro(self, task: str, answer: str) -> int:
        """The most that a judgement can be charged at: where it was cut short, nobody learns what it came to."""
        return self._model.most_micro(task, answer)
