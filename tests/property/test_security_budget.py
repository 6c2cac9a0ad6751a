"""Security budgets: a task can only narrow them, less at stake is never refused where more is allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.identity import did_key
from node.decision.evidence import Evidence, Need
from node.decision.security import PROOFS, Demand, Exposure, Grant, Recipient, gate
from protocol.specification import PRIVACY_LEVELS

DIDS = ("did:key:zA", "did:key:zB")
REGIONS = ("eu", "us", "ch")
privacies = st.sampled_from(PRIVACY_LEVELS)
shown = st.lists(st.sampled_from(PROOFS), unique=True).map(tuple)
regions = st.lists(st.sampled_from(REGIONS), unique=True).map(tuple)
grants = st.builds(
    Grant,
    to=st.sampled_from([("*",), DIDS[:1], ("did:key:*",)]),
    skills=st.sampled_from([("*",), ("risk",), ("text/*",)]),
    data=st.sampled_from([("*",), ("text/*",)]),
    privacy=privacies,
    regions=regions,
    proofs=shown,
    most_value_micro=st.none() | st.integers(0, 10),
    most_bytes=st.none() | st.integers(0, 10),
)
budgets = st.lists(grants, max_size=4)
exposures = st.builds(
    Exposure,
    skill=st.sampled_from(["risk", "text/ocr"]),
    media_type=st.sampled_from(["text/plain", "image/png", ""]),
    privacy=privacies,
    value_micro=st.integers(0, 12).map(float),
    input_bytes=st.integers(0, 12),
)
recipients = st.builds(Recipient, did=st.sampled_from(DIDS), regions=regions, shown=shown)
demands = st.builds(Demand, only_to=st.sampled_from([(), DIDS[1:]]), proofs=shown)
FREE = Demand()


def changed(value: Exposure | Recipient, **fields: object) -> object:
    return type(value)(**{**{name: getattr(value, name) for name in value.__struct_fields__}, **fields})


@given(budgets, demands, exposures, recipients)
def test_a_task_can_only_narrow_what_its_owner_allows(
    budget: list[Grant], demand: Demand, what: Exposure, to: Recipient
) -> None:
    if gate(budget, FREE, what, to):
        assert gate(budget, demand, what, to)


@given(budgets, grants, exposures, recipients)
def test_one_more_grant_never_takes_away(budget: list[Grant], grant: Grant, what: Exposure, to: Recipient) -> None:
    if budget and not gate(budget, FREE, what, to):
        assert not gate([*budget, grant], FREE, what, to)


@given(budgets, demands, exposures, recipients, privacies, st.integers(0, 12), st.integers(0, 12))
def test_less_at_stake_is_never_refused_where_more_is_allowed(
    budget: list[Grant], demand: Demand, what: Exposure, to: Recipient, privacy: str, value: int, size: int
) -> None:
    least = min(privacy, what.privacy, key=PRIVACY_LEVELS.index)
    less = changed(
        what,
        privacy=least,
        value_micro=min(float(value), what.value_micro),
        input_bytes=min(size, what.input_bytes),
    )
    if not gate(budget, demand, what, to):
        assert not gate(budget, demand, less, to)  # type: ignore[arg-type]  # an exposure


@given(budgets, demands, exposures, recipients, shown)
def test_who_shows_more_is_never_refused_where_less_is_enough(
    budget: list[Grant], demand: Demand, what: Exposure, to: Recipient, more: tuple[str, ...]
) -> None:
    if not gate(budget, demand, what, to):
        assert not gate(budget, demand, what, changed(to, shown=tuple({*to.shown, *more})))  # type: ignore[arg-type]


@given(exposures, recipients)
def test_without_grants_and_demands_the_gate_is_open(what: Exposure, to: Recipient) -> None:
    assert gate((), FREE, what, to) == ""


@given(budgets, exposures, recipients)
def test_it_is_open_exactly_where_one_grant_alone_is(budget: list[Grant], what: Exposure, to: Recipient) -> None:
    alone = [not gate([grant], FREE, what, to) for grant in budget]
    assert (not gate(budget, FREE, what, to)) is (any(alone) or not budget)


def test_the_gate_says_what_is_missing_by_the_grant_that_comes_nearest() -> None:
    budget = (
        Grant(privacy="public", most_value_micro=1_000),
        Grant(to=(DIDS[0],), privacy="confidential", regions=("eu",), proofs=("certificate", "attestation")),
    )
    what = Exposure(skill="risk", media_type="text/csv", privacy="confidential", value_micro=5_000_000.0)
    to = Recipient(did=DIDS[0], regions=("eu",), shown=("attestation",))
    text = gate(budget, FREE, what, to)
    assert text == "has not shown a believed certificate lately: security.grants (grant 2 of 2 comes nearest)"
    assert gate(budget, FREE, what, Recipient(did=DIDS[0], regions=("eu",), shown=PROOFS)) == ""
    assert gate((), Demand(proofs=("at-least",)), what, to).endswith("an at-least proof lately, which the task demands")


DID = did_key(b"i" * 32)
proofs_shown = st.lists(
    st.builds(
        Evidence,
        proof=st.sampled_from(PROOFS),
        claim=st.sampled_from(["skill:risk", "skill:text/ocr", "resource:gpu", "compute", "memory", ""]),
        by=st.sampled_from(["", DID, DIDS[0]]),
        amount=st.integers(0, 4).map(float),
        age_s=st.integers(0, 4).map(float),
    ),
    max_size=4,
).map(tuple)
needed = st.builds(
    Need,
    proof=st.just("certificate"),
    claim=st.sampled_from(["*", "skill", "skill:text/*", "resource:*"]),
    by=st.sampled_from([(), (DID,), ("did:key:*",)]),
    within_s=st.none() | st.integers(1, 4).map(float),
    at_least=st.integers(0, 4).map(float),
)


@given(needed, proofs_shown, st.sampled_from(["risk", "text/ocr"]))
def test_a_need_is_met_exactly_where_one_thing_shown_meets_every_part_of_it(
    need: Need, shown: tuple[Evidence, ...], skill: str
) -> None:
    def meets(one: Evidence) -> bool:
        about = {
            "*": True,
            "skill": one.claim == f"skill:{skill}",
            "skill:text/*": one.claim.startswith("skill:text/"),
            "resource:*": one.claim.startswith("resource:"),
        }[need.claim]
        by = not need.by or one.by == DID or (need.by == ("did:key:*",) and one.by.startswith("did:key:"))
        fresh = need.within_s is None or one.age_s <= need.within_s
        return one.proof == need.proof and about and by and fresh and one.amount >= need.at_least

    to = Recipient(did=DIDS[0], evidence=shown)
    what = Exposure(skill=skill, privacy="public", value_micro=0.0)
    text = gate([Grant(needs=(need,))], FREE, what, to)
    assert (not text) is any(map(meets, shown))
    assert not text or text.startswith(f"has not shown {need.in_words(skill)}")


def test_what_a_seller_showed_before_it_seemed_to_change_is_said_to_count_no_more() -> None:
    what = Exposure(skill="risk", privacy="public", value_micro=0.0)
    to = Recipient(did=DIDS[0], drift="its machine was A and is B")
    since = "since it seems to have changed (its machine was A and is B)"
    assert gate([Grant(proofs=("attestation",))], FREE, what, to).startswith(f"has not shown an attestation {since}")
    need = Need(proof="attestation", claim="compute", at_least=40)
    assert gate([Grant(needs=(need,))], FREE, what, to).startswith(
        f"has not shown an attestation of compute, at least 40 {since}"
    )
    assert gate((), Demand(proofs=("attestation",)), what, to) == (
        f"has not shown an attestation {since}, which the task demands"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"proof": "attestation", "claim": "skill"}, "write compute or memory"),
        ({"proof": "attestation", "by": (DID,)}, "leave `by` out"),
        ({"proof": "at-least", "claim": "skill:risk"}, "write resource:NAME"),
        ({"proof": "certificate", "claim": "compute"}, "write skill"),
        ({"proof": "certificate", "by": ("bob",)}, "no did:key"),
        ({"proof": "certificate", "at_least": -1.0}, "at_least"),
        ({"proof": "oath"}, "proof"),
    ],
)
def test_a_need_that_nobody_could_meet_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Need(**fields)


def test_a_grant_with_a_figure_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="most_bytes"):
        Grant(most_bytes=-1)
