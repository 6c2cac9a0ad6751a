"""Single checks of one result: each gets its material, and whatever else of this node it needs."""

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from node.env import Env
from node.errors import NodeError
from node.execute.openai.material import answer_of, documents_of, part_of, wording_of
from node.execute.skill import worst_micro
from node.outsource.localwork import LocalWork
from node.tasks.checks import CheckMade, CheckName
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Finding, check_form
from node.verification.agreement import LEAST_LIKENESS, likeness
from node.verification.bundles import Subject
from node.verification.citations import check_citations
from node.verification.judging import NoGradeError
from node.verification.material import Document
from node.verification.parts import parts_of
from node.verification.recomputation import check_recomputation
from node.verification.schema import check_schema

if TYPE_CHECKING:
    from node.outsource.judge import Judge

MAX_ANSWER_BYTES: Final = 4 * 2**20
"""Of an answer that is searched for quotes and figures; a model writes a thousandth of that."""


class Inspection:
    """Makes single checks."""

    def __init__(self, env: Env, work: LocalWork, judge: "Judge | None") -> None:
        self._env = env
        self._work = work
        self._judge = judge

    def differ(self, subject: Subject) -> Callable[[Content, Content], str]:
        """How two answers to a task differ; empty when they say the same."""
        return lambda one, other: _difference(answer_of(subject.skill, one), answer_of(subject.skill, other))

    async def check(
        self, name: CheckName, subject: Subject, result: Content, seed: bytes, timeout_s: float
    ) -> CheckMade:
        """Make one check; NoGradeError, with what it cost all the same, where it cannot be made."""
        wanted = subject.wanted
        least_ppm = FULL_SCORE_PPM if wanted.least_score_ppm is None else wanted.least_score_ppm
        answer = answer_of(subject.skill, result)
        match name:
            case "form":
                return _made(name, self._form(subject, result), FULL_SCORE_PPM)
            case "schema" if wanted.schema is not None:
                return _made(name, await self._env.offload(check_schema, wanted.schema, answer), FULL_SCORE_PPM)
            case "judge" if self._judge is not None:
                return await self._judged(subject, answer, timeout_s)
            case _ if len(result.data) > MAX_ANSWER_BYTES:
                return _made(name, Finding(0, (f"over {MAX_ANSWER_BYTES} bytes are not searched",)), least_ppm)
            case "citations":
                documents = documents_of(subject.work)
                return _made(name, await self._env.offload(check_citations, answer, documents), least_ppm)
            case _:
                finding, cost_micro = await self._recomputed(subject, answer, seed, timeout_s)
                return _made(name, finding, least_ppm, cost_micro=cost_micro)

    def most_micro(self, name: CheckName, subject: Subject, result: Content) -> int:
        """The most that somebody else can charge for making one check, for where it is cut short."""
        match name:
            case "judge" if self._judge is not None:
                return self._judge.most_micro(wording_of(subject.work), answer_of(subject.skill, result))
            case "recompute" if len(documents_of(subject.work)) > 1:
                skill = self._work.skill(subject.skill)
                return 0 if skill is None else worst_micro(skill, len(subject.work.data))
            case _:
                return 0

    def _form(self, subject: Subject, result: Content) -> Finding:
        skill = self._work.skill(subject.skill)
        allowed = (skill.output_media_type, *skill.other_output_media_types) if skill is not None else ()
        if allowed and result.media_type not in allowed:
            return Finding(0, (f"the result is {result.media_type}, not {' or '.join(allowed)}",))
        finding = check_form(result.data, result.media_type)
        if finding.score_ppm and not answer_of(subject.skill, result).strip():
            return Finding(0, ("the answer is empty",))
        return finding

    async def _judged(self, subject: Subject, answer: str, timeout_s: float) -> CheckMade:
        assert self._judge is not None
        graded = await self._judge.grade(wording_of(subject.work), answer, timeout_s=timeout_s)
        asked_ppm = subject.wanted.least_score_ppm
        least_ppm = self._judge.least_score_ppm if asked_ppm is None else asked_ppm
        finding = Finding(graded.grade.score_ppm, (f"{self._judge.name} says: {graded.grade.reason}",))
        return _made("judge", finding, least_ppm, cost_micro=graded.cost_micro)

    async def _recomputed(self, subject: Subject, answer: str, seed: bytes, timeout_s: float) -> tuple[Finding, int]:
        """Figures worked out again; and where the answer has a part for each document, one of them done again here.

        With what that was charged at, in micro-dollars.
        """
        documents = documents_of(subject.work)
        again, cost_micro = await self._done_again(subject, answer, documents, seed, timeout_s)
        figures = await self._env.offload(check_recomputation, answer, documents, subject.wanted.schema, seed)
        if again is None:
            return figures, cost_micro
        if again.score_ppm < FULL_SCORE_PPM or not figures.score_ppm:
            # Where there are no figures, the part that was done again is what there is to go by.
            return again, cost_micro
        return Finding(figures.score_ppm, (*figures.reasons, *again.reasons)), cost_micro

    async def _done_again(
        self, subject: Subject, answer: str, documents: tuple[Document, ...], seed: bytes, timeout_s: float
    ) -> tuple[Finding | None, int]:
        names = [one.name for one in documents]
        parts = parts_of(answer, names) if len(names) > 1 else {}
        if not parts or self._work.skill(subject.skill) is None:
            return None, 0
        name = names[int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") % len(names)]
        task = part_of(subject.work, name)
        if task is None:
            return None, 0
        try:
            done = await self._work.run(subject.skill, task, subject.effort, timeout_s=timeout_s)
        except NodeError as error:
            raise NoGradeError(f"{name} could not be done again here: {error}", error.spent_micro) from error
        charged_micro = 0
        if self._work.is_charged(subject.skill):
            units = await self._work.units(subject.skill, task)
            charged_micro = math.ceil(self._work.cost_micro(subject.skill, done, units))
        own = answer_of(subject.skill, Content(done.media_type, done.output))
        alike = max((likeness(parts[name], one) for one in (own, *parts_of(own, [name]).values())), default=0.0)
        if alike >= LEAST_LIKENESS:
            return Finding(FULL_SCORE_PPM, (f"{name} was done again here and comes to the same",)), charged_micro
        return Finding(0, (f"{name} was done again here and comes to something else",)), charged_micro


def _made(name: CheckName, finding: Finding, least_ppm: int, *, cost_micro: int = 0) -> CheckMade:
    return CheckMade(
        name=name,
        passed=finding.score_ppm >= max(1, least_ppm),
        score_ppm=finding.score_ppm,
        text="; ".join(finding.reasons),
        cost_micro=cost_micro,
    )


def _difference(one: str, other: str) -> str:
    alike = likeness(one, other)
    return "" if alike >= LEAST_LIKENESS else f"the two answers agree by {alike:.2f}, under {LEAST_LIKENESS:.2f}"
