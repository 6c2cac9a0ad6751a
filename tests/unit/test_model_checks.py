"""What checks of models' answers are taken to find: as measured for a combination, never more than is known."""

import itertools

from node.decision.audit import audit_option
from node.decision.data.model_checks import BY_KIND, FOUND, REFUSED
from node.decision.inputs import InternalCost, LocalOption, VerificationOption
from node.decision.model_checks import FREE, Grading, option_of, power_of
from node.decision.verification import CheckFigures, VerificationConfig
from node.tasks.checks import CheckName

NAMES: tuple[CheckName, ...] = ("agreement", "citations", "judge", "recompute", "schema")
HERE = LocalOption(feasible=False, why_not="no model")


def option(*checks: CheckName, asked: Grading = FREE, config: VerificationConfig | None = None) -> VerificationOption:
    return option_of(
        "chat", "full", checks, own_micro=10.0, own_s=0.1, asked=asked, price_share=0.0, local=HERE,
        config=config or VerificationConfig(),
    )  # fmt: skip


def test_more_checks_find_no_less_and_refuse_no_less_of_good_work() -> None:
    for size in range(1, len(NAMES)):
        for names in itertools.combinations(NAMES, size):
            for more in set(NAMES) - set(names):
                both = tuple(sorted((*names, more)))
                assert FOUND[both][0] >= FOUND[names][0]
                assert REFUSED[both][0] >= REFUSED[names][0]


def test_the_total_is_that_of_all_kinds_of_bad_work() -> None:
    for name in NAMES:
        counts = [kinds[name] for kinds in BY_KIND.values()]
        assert FOUND[name,] == (sum(found for found, _ in counts), sum(tried for _, tried in counts))


def test_what_was_never_missed_is_not_taken_for_certain() -> None:
    assert 0.9 < power_of(("form", "citations", "recompute")).detection < 1.0
    assert "which is no language model" in power_of(("form", "schema")).basis


def test_the_form_alone_finds_nothing_and_is_no_audit() -> None:
    assert option("form").detection == 0.0
    assert audit_option([option("form")]) is None
    assert audit_option([option("form"), option("form", "judge")]) == option("form", "judge")


def test_what_is_asked_of_models_is_in_the_cost_of_the_level() -> None:
    grading = Grading(cost_micro=400.0, time_s=1.5, charged_micro=800.0)
    again = Grading(cost_micro=100.0, time_s=0.5, charged_micro=100.0)
    judged, plain = option("form", "judge", asked=grading.plus(again)), option("form", "schema")
    assert (judged.cost_micro, judged.time_s, judged.charged_micro) == (510.0, 2.1, 900.0)
    assert (plain.cost_micro, plain.charged_micro) == (10.0, 0.0)


def test_the_owners_own_figures_come_first() -> None:
    own = VerificationConfig(measured={"chat": {"full": CheckFigures(work_share=0.0, detection=0.42)}})
    found = option("form", "judge", config=own)
    assert (found.detection, found.assumed, found.basis) == (0.42, False, "as configured")


def test_good_work_that_is_refused_is_part_of_the_cost_where_it_can_be_done_again() -> None:
    local = LocalOption(feasible=True, time_s=1.0, p95_s=2.0, cost=InternalCost(compute_micro=1_000.0))
    assert option_of(
        "chat", "full", ("form", "agreement"), own_micro=0.0, own_s=0.0, asked=FREE, price_share=1.0, local=local,
        config=VerificationConfig(),
    ).cost_micro == power_of(("agreement",)).false_alarm * 1_000.0  # fmt: skip
