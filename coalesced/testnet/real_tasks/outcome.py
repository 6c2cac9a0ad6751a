"""What one task came to with one node, and whether its result is good: judged here, whatever the node accepted."""

import importlib
import os

import msgspec
from msgspec import Struct

from coalesced.testnet.manifest import Conduct
from node.execute.catalogue import PACKAGES, SKILLS
from node.execute.corpus import Case
from node.tasks.verify import FULL_SCORE_PPM, Judgement, check_form, judge


class Award(Struct, frozen=True, kw_only=True):
    """One hire: who, and how it ends to do what it is paid for."""

    seller: str
    conduct: Conduct


class Outcome(Struct, frozen=True, kw_only=True):
    """One task with one node. Money in micro-dollars, times in seconds."""

    number: int
    skill: str
    size: float
    by: str
    """The policy of the node, or `all-local`."""
    state: str
    choice: str = ""
    """`local` or `outsource`: where it was done in the end."""
    contractor: str = ""
    awards: tuple[Award, ...] = ()
    """Every hire on the way, the last one last."""
    price_micro: int = 0
    """Paid to the contractor."""
    booked_micro: int = 0
    """What the node itself says that the task cost: the price, or the work done here."""
    cpu_s: float | None = None
    """Processor time of the node and its workers, the work and the checks included; None where it could not be read."""
    wall_s: float = 0.0
    predicted_s: float | None = None
    """What the node expected the work to take here."""
    quotes_micro: tuple[int, ...] = ()
    topsis_ppm: int | None = None
    explored: bool = False
    level: str = ""
    fallbacks: tuple[str, ...] = ()
    """What failed before, in words."""
    error: str = ""
    good: bool = False
    """The result passes a full check that this harness makes."""
    score_ppm: int = 0

    @property
    def is_completed(self) -> bool:
        """Whether there is a result."""
        return self.state == "completed"

    @property
    def is_hired(self) -> bool:
        """Whether it was done by a contractor in the end."""
        return self.is_completed and self.choice == "outsource"


def judged(case: Case, output: bytes, media_type: str) -> Judgement:
    """A result against a full check with fresh samples, at the score that full effort must reach."""
    skill = next(skill for skill in SKILLS if skill.label == case.label)
    least_ppm = skill.min_score_ppm.get("full", FULL_SCORE_PPM)
    form = check_form(output, media_type, expected_media_type=skill.output_media_type)
    if form.score_ppm == 0:
        return judge(form, min_score_ppm=least_ppm, cpu_s=0.0)
    module = importlib.import_module(f"{PACKAGES[case.label]}.check")
    finding = module.check(case.input, case.media_type, output, level="full", seed=os.urandom(32))
    return judge(finding, min_score_ppm=least_ppm, cpu_s=0.0)


def with_result(outcome: Outcome, case: Case, output: bytes, media_type: str) -> Outcome:
    """The outcome with what its result is worth."""
    judgement = judged(case, output, media_type)
    return msgspec.structs.replace(outcome, good=judgement.accepted, score_ppm=judgement.score_ppm)
