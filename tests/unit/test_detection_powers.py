"""What checks find of dishonest work: the figures that decisions read, and the forgeries that they were measured on."""

import importlib
import random
from functools import cache

import msgspec
import pytest
from msgspec.structs import replace

from node.decision.config import DecisionConfig
from node.decision.data.skill_checks import AS_OF, FOUND, REFUSED, SOURCE, TRIED, WORK_SHARE
from node.decision.engine import decide
from node.decision.explain import explain
from node.decision.inputs import Candidate, InternalCost, LocalOption, TaskFacts, VerificationOption
from node.decision.verification import SPARING, CheckFigures, VerificationConfig, figures, verification_options
from node.execute import corpus
from node.execute.builtin.risk.task import RiskResult
from node.execute.catalogue import PACKAGES, SKILLS
from protocol.specification import Effort, Level
from scripts.bench.forgers import KINDS, Stock, forge
from scripts.bench.skills import CASES

LABELS = [skill.label for skill in SKILLS]
SCALE = 0.1


@cache
def stock(label: str) -> Stock:
    work = importlib.import_module(f"{PACKAGES[label]}.work")

    def run(seed: int, effort: Effort) -> bytes:
        case = CASES[label](seed, SCALE)
        return bytes(work.run(case.input, case.media_type, effort, lambda done_ppm, text: None))

    case = CASES[label](1, SCALE)
    return Stock(case.input, case.media_type, run(1, "full"), run(1, "cheap"), run(2, "full"))


def is_refused(label: str, output: bytes, level: Level, seed: int = 0) -> bool:
    check = importlib.import_module(f"{PACKAGES[label]}.check").check
    skill = next(skill for skill in SKILLS if skill.label == label)
    held = stock(label)
    finding = check(held.input, held.media_type, output, level=level, seed=seed.to_bytes(32, "big"))
    return bool(finding.score_ppm < skill.min_score_ppm["full"])


@pytest.mark.parametrize("label", LABELS)
def test_a_full_check_refuses_what_spared_work_and_takes_honest_work(label: str) -> None:
    held = stock(label)
    assert not is_refused(label, held.full, "full")
    assert not is_refused(label, held.full, "cheap")
    for kind in SPARING:
        forged = forge(label, kind, held, random.Random(1))
        assert forged != held.full
        assert any(is_refused(label, forged, "full", seed) for seed in range(8)), kind


def test_a_cheap_check_sees_answers_left_out_and_answers_that_do_not_stand_in_their_passage() -> None:
    for kind in ("truncated", "tampered"):
        forged = forge("document-analysis", kind, stock("document-analysis"), random.Random(2))
        assert all(is_refused("document-analysis", forged, "cheap", seed) for seed in range(8)), kind


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("level", ["cheap", "full", "redundant"])
def test_a_builtin_check_counts_for_what_it_finds_of_the_kind_it_finds_least_of(label: str, level: Level) -> None:
    assert set(FOUND[label][level]) == set(KINDS)
    found = figures(label, level, VerificationConfig())
    least = min(FOUND[label][level][kind] for kind in SPARING)
    assert found.detection == (least + 1) / (TRIED + 2)
    assert found.work_share == WORK_SHARE[label][level] + REFUSED[label][level] / TRIED
    assert f"{least} of {TRIED}" in found.basis
    assert SOURCE in found.basis
    assert AS_OF in found.basis


def test_the_split_of_a_students_shortfall_over_the_assets_is_checked_on_the_repeated_blocks() -> None:
    work, check = (importlib.import_module(f"{PACKAGES['risk']}.{part}") for part in ("work", "check"))
    case = corpus.risk_case(3, paths=40_000, distribution="student")
    honest = work.run(case.input, case.media_type, "full", lambda done_ppm, text: None)
    result = msgspec.json.decode(honest, type=RiskResult)
    names, parts = list(result.components), list(result.components.values())
    turned = replace(result, components=dict(zip(names, [parts[-1], *parts[:-1]], strict=True)))
    for output, is_right in ((honest, True), (msgspec.json.encode(turned), False)):
        finding = check.check(case.input, case.media_type, output, level="full", seed=bytes(32))
        assert (finding.score_ppm > 0) is is_right, finding.reasons


def option(config: VerificationConfig, skill: str) -> VerificationOption:
    *_, full = verification_options(skill, ("full",), work_micro=100, work_s=1, config=config)
    return full


def test_an_option_says_whether_its_figures_are_configured_measured_or_assumed() -> None:
    own = VerificationConfig(measured={"risk": {"full": CheckFigures(work_share=0.1, detection=0.6)}})
    assert (option(own, "risk").detection, option(own, "risk").basis) == (0.6, "as configured")
    measured = option(VerificationConfig(), "risk")
    assert (measured.assumed, measured.basis) == (False, figures("risk", "full", VerificationConfig()).basis)
    unknown = option(VerificationConfig(), "acme/unheard-of")
    assert (unknown.assumed, unknown.basis) == (True, "for any skill")


def test_an_explained_decision_says_what_each_check_finds_and_how_that_is_known() -> None:
    facts = TaskFacts(skill="risk", budget_micro=10**8, deadline_s=600, value_micro=50_000_000)
    here = LocalOption(feasible=True, time_s=60, p95_s=80, samples=9, cost=InternalCost(compute_micro=30_000_000))
    seller = Candidate(key=b"a", name="aaaa", price_micro=9_000_000, duration_s=10.0, p95_s=15.0)
    for skill, known in (
        ("risk", f"measured: {FOUND['risk']['cheap']['cut']} of {TRIED}"),
        ("acme/new", "assumed: for"),
    ):
        options = verification_options(skill, ("cheap",), work_micro=30_000_000, work_s=60)
        said = explain(decide(facts, here, [seller], options, DecisionConfig())).sentences
        assert any("A cheap check finds" in sentence and known in sentence for sentence in said), said
