"""Checking what was delivered: at which price that can be done, and doing it.

What builtin skills deliver is checked by their own checks (node/execute). What models deliver, and whatever a task
asks to be checked otherwise, is checked by node/verification: here these checks get their material and their money.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.decision.inputs import LocalOption, VerificationOption
from node.decision.model_checks import FREE, Grading, option_of, seconds_of
from node.decision.verification import VerificationConfig
from node.env import Env
from node.errors import NodeError, UsageError
from node.execute.openai.material import answer_of, documents_of, part_of, wording_of
from node.execute.openai.offer import is_chat
from node.outsource.localwork import LocalWork
from node.tasks.checks import CheckMade, CheckName
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Finding, Judgement, check_form
from node.verification.agreement import LEAST_LIKENESS, likeness
from node.verification.bundles import Wanted, bundle
from node.verification.citations import check_citations
from node.verification.judging import NoGradeError
from node.verification.material import Document
from node.verification.parts import parts_of
from node.verification.recomputation import check_recomputation
from node.verification.schema import check_schema
from protocol.specification import LEVELS, Effort, Level

if TYPE_CHECKING:
    from node.outsource.judge import Judge

MAX_ANSWER_BYTES: Final = 4 * 2**20
"""Of an answer that is searched for quotes and figures; a model writes a thousandth of that."""
USUAL_ANSWER_BYTES: Final = 4_096
"""Of an answer that has not come yet, for the price of judging it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be checked, and how."""

    skill: str
    work: Content
    effort: Effort
    wanted: Wanted
    min_score_ppm: int


class Checking:
    """Prices and makes checks. One instance a node."""

    def __init__(self, env: Env, work: LocalWork, config: VerificationConfig, judge: "Judge | None") -> None:
        self._env = env
        self._work = work
        self._config = config
        self._judge = judge

    def admit(self, wanted: Wanted) -> None:
        """UsageError for what this node cannot check."""
        if "judge" in wanted.checks and self._judge is None:
            raise UsageError("no judge is configured: name a model below [verification.judge]")

    def options(self, subject: Subject, local: LocalOption, *, seconds: int) -> tuple[VerificationOption, ...]:
        """The levels to choose from. `seconds`: how many sellers there are for a second result."""
        usual = self._work.checks(subject.skill, local, seconds=seconds)
        if not self._is_composed(subject):
            return usual
        own_answer = 0 if seconds >= 2 else 1
        can_compare = seconds >= 2 or (seconds == 1 and local.feasible)
        found = [option for option in usual if option.level == "none"]
        for level in LEVELS[1:]:
            checks = bundle(level, subject.wanted, has_judge=self._judge is not None)
            if not checks or (level == "redundant" and not can_compare):
                continue
            own_s = seconds_of(checks) + self._again_s(subject, checks, local)
            share, answer_micro, answer_s = 0.0, 0.0, 0.0
            if level == "redundant":
                share = 0.0 if own_answer else float(subject.wanted.results - 1)
                answer_micro, answer_s = own_answer * local.cost.total_micro, local.time_s
            option = option_of(
                subject.skill,
                level,
                checks,
                own_micro=self._work.spent_micro(own_s) + answer_micro,
                own_s=own_s + answer_s,
                grading=self._grading(subject) if "judge" in checks else FREE,
                price_share=share,
                local=local,
                config=self._config,
            )
            found.append(option)
        return tuple(found)

    async def verify(
        self, subject: Subject, result: Content, *, level: Level, seed: bytes, timeout_s: float
    ) -> Judgement:
        """Judge a result; a second one is compared by whoever has it (`differ`)."""
        if not self._is_composed(subject) or level == "none":
            return await self._work.verify(
                subject.skill,
                subject.work,
                result,
                level=level,
                min_score_ppm=subject.min_score_ppm,
                seed=seed,
                timeout_s=timeout_s,
            )
        checks = bundle(level, subject.wanted, has_judge=self._judge is not None)
        made: list[CheckMade] = []
        unmade = ""
        async with asyncio.timeout(timeout_s):
            for name in checks:
                if name == "agreement":
                    continue
                try:
                    made.append(await self._check(name, subject, result, seed, timeout_s))
                except NoGradeError as error:
                    made.append(CheckMade(name=name, passed=True, score_ppm=FULL_SCORE_PPM, text=f"not made: {error}"))
                    unmade = str(error) if name in subject.wanted.checks else ""
                if not made[-1].passed:
                    break
        return _judgement(made, unmade)

    def differ(self, subject: Subject) -> Callable[[Content, Content], str] | None:
        """How two answers of models differ, empty when they say the same; None for work that always comes out alike."""
        if not is_chat(subject.skill):
            return None
        return lambda one, other: _broadly(answer_of(subject.skill, one), answer_of(subject.skill, other))

    def _is_composed(self, subject: Subject) -> bool:
        """Whether its levels are made up of single checks: a model's are, and whatever checks were asked for."""
        return is_chat(subject.skill) or bool(subject.wanted.checks)

    def _grading(self, subject: Subject) -> Grading:
        return self._judge.grading(len(subject.work.data) + USUAL_ANSWER_BYTES) if self._judge is not None else FREE

    def _again_s(self, subject: Subject, checks: tuple[CheckName, ...], local: LocalOption) -> float:
        """The time that doing one of several documents again takes here."""
        if "recompute" not in checks or not local.feasible:
            return 0.0
        count = len(documents_of(subject.work))
        return local.time_s / count if count > 1 else 0.0

    # --- single checks

    async def _check(
        self, name: CheckName, subject: Subject, result: Content, seed: bytes, timeout_s: float
    ) -> CheckMade:
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
                return _made(name, await self._recomputed(subject, answer, seed, timeout_s), least_ppm)

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

    async def _recomputed(self, subject: Subject, answer: str, seed: bytes, timeout_s: float) -> Finding:
        """Figures worked out again; and where the answer has a part for each document, one of them done again here."""
        documents = documents_of(subject.work)
        again = await self._done_again(subject, answer, documents, seed, timeout_s)
        figures = await self._env.offload(check_recomputation, answer, documents, subject.wanted.schema, seed)
        if again is None:
            return figures
        if again.score_ppm < FULL_SCORE_PPM or not figures.score_ppm:
            # Where there are no figures, the part that was done again is what there is to go by.
            return again
        return Finding(figures.score_ppm, (*figures.reasons, *again.reasons))

    async def _done_again(
        self, subject: Subject, answer: str, documents: tuple[Document, ...], seed: bytes, timeout_s: float
    ) -> Finding | None:
        names = [one.name for one in documents]
        parts = parts_of(answer, names) if len(names) > 1 else {}
        if not parts or self._work.skill(subject.skill) is None:
            return None
        name = names[int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") % len(names)]
        task = part_of(subject.work, name)
        if task is None:
            return None
        try:
            done = await self._work.run(subject.skill, task, subject.effort, timeout_s=timeout_s)
        except NodeError as error:
            raise NoGradeError(f"{name} could not be done again here: {error}") from error
        own = answer_of(subject.skill, Content(done.media_type, done.output))
        alike = max((likeness(parts[name], one) for one in (own, *parts_of(own, [name]).values())), default=0.0)
        if alike >= LEAST_LIKENESS:
            return Finding(FULL_SCORE_PPM, (f"{name} was done again here and comes to the same",))
        return Finding(0, (f"{name} was done again here and comes to something else",))


def _made(name: CheckName, finding: Finding, least_ppm: int, *, cost_micro: int = 0) -> CheckMade:
    return CheckMade(
        name=name,
        passed=finding.score_ppm >= max(1, least_ppm),
        score_ppm=finding.score_ppm,
        text="; ".join(finding.reasons),
        cost_micro=cost_micro,
    )


def _judgement(made: list[CheckMade], unmade: str) -> Judgement:
    """What single checks come to: the least of them."""
    failed = tuple(f"{one.name}: {one.text or 'failed'}" for one in made if not one.passed)
    return Judgement(
        accepted=not failed,
        score_ppm=min((one.score_ppm for one in made), default=FULL_SCORE_PPM),
        reasons=failed,
        checks=tuple(made),
        cost_micro=sum(one.cost_micro for one in made),
        unmade=unmade if not failed else "",
    )


def _broadly(one: str, other: str) -> str:
    alike = likeness(one, other)
    return "" if alike >= LEAST_LIKENESS else f"the two answers agree by {alike:.2f}, under {LEAST_LIKENESS:.2f}"
