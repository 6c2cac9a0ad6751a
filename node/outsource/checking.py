"""Checking what was delivered: at which price that can be done, and doing it.

What builtin skills deliver is checked by their own checks (node/execute). What models deliver, and whatever a task
asks to be checked otherwise, is checked by node/verification: here these checks get their material and their money.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from node.decision.inputs import LocalOption, VerificationOption
from node.decision.model_checks import FREE, Grading, option_of, seconds_of
from node.decision.verification import VerificationConfig
from node.env import Env
from node.errors import UsageError
from node.execute.openai.material import documents_of
from node.execute.openai.offer import is_chat
from node.outsource.localwork import LocalWork
from node.tasks.checks import CheckMade, CheckName
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Judgement
from node.verification.bundles import Subject, Wanted, bundle
from node.verification.judging import NoGradeError
from protocol.specification import LEVELS, Level, Privacy

if TYPE_CHECKING:
    from node.outsource.inspection import Inspection
    from node.outsource.judge import Judge

USUAL_ANSWER_BYTES: Final = 4_096
"""Of an answer that has not come yet, for the price of judging it."""


class Checking:
    """Prices and makes checks. One instance a node."""

    def __init__(self, env: Env, work: LocalWork, config: VerificationConfig, judge: "Judge | None") -> None:
        self._env = env
        self._work = work
        self._config = config
        self._judge = judge

    def _wanted(self, subject: Subject) -> Wanted:
        """What is asked for, without what the skill's own checks do anyway."""
        skill, wanted = self._work.skill(subject.skill), subject.wanted
        if skill is None or not skill.is_builtin or "recompute" not in wanted.checks:
            return wanted
        return dataclasses.replace(wanted, checks=tuple(name for name in wanted.checks if name != "recompute"))

    def admit(self, wanted: Wanted, privacy: Privacy) -> None:
        """UsageError for what this node cannot check, or not without telling others."""
        if "judge" not in wanted.checks:
            return
        if self._judge is None:
            raise UsageError("no judge is configured: name a model below [verification.judge]")
        if privacy == "secret" and self._judge.host_away:
            raise UsageError(f"secret work never leaves this node, and its judge is at {self._judge.host_away}")

    def options(self, subject: Subject, local: LocalOption, *, seconds: int) -> tuple[VerificationOption, ...]:
        """The levels to choose from. `seconds`: how many sellers there are for a second result."""
        usual = {option.level: option for option in self._work.checks(subject.skill, local, seconds=seconds)}
        if not self._is_composed(subject):
            return tuple(usual.values())
        found = [usual["none"]]
        for level in LEVELS[1:]:
            checks, own = self._bundle(subject, level), usual.get(level)
            # What the skill's own checks do at a level stays; a second result takes somebody to make it.
            if is_chat(subject.skill) and level != "redundant":
                own = None
            if not checks or (own is None and level == "redundant"):
                continue
            option = self._composed(subject, level, checks, local)
            found.append(option if own is None else _together(own, option, subject.wanted.results))
        return tuple(found)

    def _composed(
        self, subject: Subject, level: Level, checks: tuple[CheckName, ...], local: LocalOption
    ) -> VerificationOption:
        own_s, again = seconds_of(checks), self._again(subject, checks, local)
        judged = self._grading(subject) if "judge" in checks else FREE
        return option_of(
            subject.skill,
            level,
            checks,
            own_micro=self._work.spent_micro(own_s),
            own_s=own_s,
            asked=judged.plus(again),
            price_share=0.0,
            local=local,
            config=self._config,
        )

    def _bundle(self, subject: Subject, level: Level) -> tuple[CheckName, ...]:
        """The single checks of a level. Beside a skill's own checks, those alone that were asked for."""
        wanted = self._wanted(subject)
        if is_chat(subject.skill):
            return bundle(level, wanted, has_judge=self._judge is not None)
        skill = self._work.skill(subject.skill)
        beside = level in ("cheap", "redundant") or (skill is not None and level in skill.verification)
        return bundle(level, wanted, has_judge="judge" in wanted.checks) or (
            bundle("cheap", wanted, has_judge=False) if beside else ()
        )

    async def verify(
        self, subject: Subject, result: Content, *, level: Level, seed: bytes, timeout_s: float
    ) -> Judgement:
        """Judge a result; a second one is compared by whoever has it (`differ`)."""
        first = Judgement(accepted=True, score_ppm=FULL_SCORE_PPM)
        if level == "none" or not is_chat(subject.skill):
            first = await self._work.verify(
                subject.skill,
                subject.work,
                result,
                level=level,
                min_score_ppm=subject.min_score_ppm,
                seed=seed,
                timeout_s=timeout_s,
            )
        if level == "none" or not first.accepted or not self._is_composed(subject):
            return first
        inspection = self._inspecting()
        ends = asyncio.get_running_loop().time() + timeout_s
        made: list[CheckMade] = []
        unmade = ""
        for name in self._bundle(subject, level):
            if name == "agreement":
                continue
            text, left_s = "", ends - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout_at(ends):
                    made.append(await inspection.check(name, subject, result, seed, left_s))
            except TimeoutError:
                text = f"no time was left for the check by {name}"
                cost_micro = inspection.most_micro(name, subject, result) if left_s > 0 else 0
            except NoGradeError as error:
                text, cost_micro = str(error), error.cost_micro
            if text:
                made.append(_unmade(name, text, cost_micro))
                unmade = unmade or (text if name in subject.wanted.checks else "")
            if not made[-1].passed:
                break
        return _judgement(first, made, unmade)

    def most_micro(self, subject: Subject, result: Content, level: Level) -> int:
        """The most that others can charge for judging a result: for a judgement that outlasts its task."""
        if level == "none" or not self._is_composed(subject):
            return 0
        inspection = self._inspecting()
        return sum(inspection.most_micro(name, subject, result) for name in self._bundle(subject, level))

    def differ(self, subject: Subject) -> Callable[[Content, Content], str] | None:
        """How two answers of models differ, empty when they say the same; None for work that always comes out alike."""
        return self._inspecting().differ(subject) if is_chat(subject.skill) else None

    def _inspecting(self) -> "Inspection":
        """The checks themselves, which a node loads that has something to check by them."""
        from node.outsource.inspection import Inspection

        return Inspection(self._env, self._work, self._judge)

    def _is_composed(self, subject: Subject) -> bool:
        """Whether its levels are made up of single checks: a model's are, and whatever checks were asked for."""
        return is_chat(subject.skill) or bool(self._wanted(subject).checks)

    def _grading(self, subject: Subject) -> Grading:
        return self._judge.grading(len(subject.work.data) + USUAL_ANSWER_BYTES) if self._judge is not None else FREE

    def _again(self, subject: Subject, checks: tuple[CheckName, ...], local: LocalOption) -> Grading:
        """What doing one of several documents again takes here."""
        count = len(documents_of(subject.work)) if "recompute" in checks and local.feasible else 0
        if count < 2:
            return FREE
        cost_micro, time_s = local.cost.total_micro / count, local.time_s / count
        return Grading(cost_micro, time_s, cost_micro if self._work.is_charged(subject.skill) else 0.0)


def _together(own: VerificationOption, more: VerificationOption, results: int) -> VerificationOption:
    """A level that makes other checks beside those in `own`: it finds at least what the better of both finds.

    What was measured comes before what is assumed.
    """
    best = own if not own.assumed and own.detection >= more.detection else more
    return replace(
        own,
        cost_micro=own.cost_micro + more.cost_micro,
        time_s=own.time_s + more.time_s,
        price_share=own.price_share * (results - 1) if own.level == "redundant" else own.price_share,
        detection=best.detection,
        assumed=best.assumed,
        checks=more.checks,
        charged_micro=more.charged_micro,
        basis=best.basis,
    )


def _unmade(name: CheckName, text: str, cost_micro: int) -> CheckMade:
    """A check that could not be made, which is not the fault of whoever delivered."""
    return CheckMade(name=name, passed=True, score_ppm=FULL_SCORE_PPM, text=f"not made: {text}", cost_micro=cost_micro)


def _judgement(first: Judgement, made: list[CheckMade], unmade: str) -> Judgement:
    """What single checks come to, after a skill's own: the least of them."""
    failed = tuple(f"{one.name}: {one.text or 'failed'}" for one in made if not one.passed)
    return dataclasses.replace(
        first,
        accepted=not failed,
        score_ppm=min((first.score_ppm, *(one.score_ppm for one in made))),
        reasons=(*first.reasons, *failed),
        checks=tuple(made),
        cost_micro=sum(one.cost_micro for one in made),
        unmade=unmade if not failed else "",
    )
