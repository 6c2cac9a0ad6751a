"""Random decisions to be made: sellers, tasks, ways to check, settings; for properties that hold of all."""

from hypothesis import strategies as st

from node.decision.config import DecisionConfig
from node.decision.inputs import (
    NO_VERIFICATION,
    Candidate,
    Inputs,
    InternalCost,
    LocalOption,
    TaskFacts,
    VerificationOption,
)
from protocol.specification import LEVELS, PRIVACY_LEVELS, Level

share = st.floats(0, 1)
prices = st.integers(0, 3_000)
seconds = st.floats(0.001, 100)


@st.composite
def candidates(draw: st.DrawFn, key: bytes = b"?") -> Candidate:
    duration_s = draw(seconds)
    return Candidate(
        key=key,
        name=key.hex(),
        price_micro=draw(prices),
        duration_s=duration_s,
        p95_s=duration_s * draw(st.floats(1, 4)),
        rtt_s=draw(st.floats(0, 1)),
        audit_draw=draw(st.floats(0, 1)),
        bandwidth_bytes_per_s=draw(st.none() | st.floats(1e5, 1e9)),
        claimed_success=draw(st.floats(0.5, 1)),
        advertised_success=draw(st.sampled_from((1.0, 0.9))),
        successes=draw(st.sampled_from((0.0, 3.0)) | st.floats(0, 200)),
        failures=draw(st.sampled_from((0.0, 1.0)) | st.floats(0, 50)),
        jobs=draw(st.integers(0, 9)),
        breach_probabilities=tuple(draw(st.lists(share, max_size=2))),
        channel_strength=draw(st.none() | share),
    )


@st.composite
def sellers(draw: st.DrawFn, least: int = 0) -> list[Candidate]:
    count = draw(st.integers(least, 6))
    return [draw(candidates(bytes([65 + index]))) for index in range(count)]


@st.composite
def locals_(draw: st.DrawFn) -> LocalOption:
    time_s = draw(seconds)
    return LocalOption(
        feasible=draw(st.sampled_from((True, True, True, False))),
        time_s=time_s,
        p95_s=time_s * draw(st.floats(1, 4)),
        success=draw(st.floats(0.5, 1)),
        cost=InternalCost(compute_micro=draw(st.floats(0, 6_000)), energy_micro=draw(st.floats(0, 300))),
    )


@st.composite
def levels(draw: st.DrawFn) -> list[VerificationOption]:
    names: list[Level] = [level for level in LEVELS[1:] if draw(st.booleans())]
    return [NO_VERIFICATION] + [
        VerificationOption(
            level=name,
            cost_micro=draw(st.floats(0, 300)),
            time_s=draw(st.floats(0, 5)),
            price_share=1.0 if name == "redundant" else 0.0,
            detection=draw(st.floats(0.5, 1)),
        )
        for name in names
    ]


@st.composite
def worlds(draw: st.DrawFn, least: int = 0) -> Inputs:
    facts = TaskFacts(
        skill="risk",
        budget_micro=draw(st.sampled_from((0, 1_000, 10_000)) | st.integers(0, 4_000)),
        deadline_s=draw(st.sampled_from((200.0, 600.0)) | st.floats(0, 300)),
        value_micro=draw(st.none() | st.integers(0, 20_000)),
        input_bytes=draw(st.integers(0, 10**8)),
        privacy=draw(st.sampled_from(PRIVACY_LEVELS[:3])),
        prefer=draw(st.sampled_from(("auto", "local", "cheap", "fast"))),
    )
    return Inputs(
        facts=facts,
        local=draw(locals_()),
        candidates=tuple(draw(sellers(least))),
        options=tuple(draw(levels())),
        config=DecisionConfig(
            time_value_micro_per_s=draw(st.floats(0, 50)), risk_weight=draw(st.sampled_from((0.0, 0.0, 0.3)))
        ),
    )
