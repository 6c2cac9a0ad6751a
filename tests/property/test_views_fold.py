"""A task's view is a total function of its row and its log, in whatever order events come."""

import typing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.errors import CANCELLED_EXIT_CODE, DeadlineError, NodeError, exit_code_of
from node.outsource.taskview import task_view
from node.store.tasks import TaskRow
from node.tasks.content import Content
from node.tasks.lifecycle import TRANSITIONS
from node.tasks.spec import Wishes, encode_specification, specify
from node.views import DecisionView, EventName, EventView, ReceiptView

ENCODED = encode_specification(
    specify(("risk",), Content("text/plain", b"x"), 1, Wishes(budget_micro=1, deadline_s=1.0), usual_score_ppm=0)
)
decisions = st.builds(
    DecisionView,
    skill=st.just("risk"),
    choice=st.sampled_from(["local", "outsource", "none"]),
    options=st.just(()),
    reasons=st.just(()),
    level=st.sampled_from(["none", "full"]),
    local_micro=st.none() | st.integers(0, 10**9),
    saving_micro=st.integers(-(10**9), 10**9),
)
receipts = st.builds(
    ReceiptView,
    id=st.just("r"),
    task_id=st.just("t"),
    skill=st.just("risk"),
    client=st.just("c"),
    client_did=st.just("d"),
    contractor=st.just("c"),
    contractor_did=st.just("d"),
    price_micro=st.integers(0, 100),
    started_unix_ms=st.just(0),
    finished_unix_ms=st.just(0),
    level=st.just("none"),
    verdict=st.just("accepted"),
    countersigned=st.booleans(),
    journal_height=st.none() | st.integers(1, 100),
    digest=st.just("d"),
)
events = st.builds(
    EventView,
    name=st.sampled_from(typing.get_args(EventName)),
    at_unix_ms=st.integers(0, 2**53),
    text=st.text(max_size=10),
    done_ppm=st.none() | st.integers(0, 10**6),
    question=st.text(max_size=10),
    level=st.sampled_from(["", "full"]),
    verdict=st.sampled_from(["", "accepted", "refused"]),
    score_ppm=st.none() | st.integers(0, 10**6),
    cost_micro=st.none() | st.integers(0, 10**9),
    result_bytes=st.none() | st.integers(0, 10**9),
    decision=st.none() | decisions,
    receipt=st.none() | receipts,
)


def row(**changes: Any) -> TaskRow:
    fields: dict[str, Any] = {
        "task_id": b"t" * 16,
        "role": "client",
        "specification": ENCODED,
        "skill": "risk",
        "created_unix_ms": 0,
        "deadline_unix_ms": 1000,
        **changes,
    }
    return TaskRow(**fields)


@given(
    st.lists(events, max_size=25),
    st.sampled_from(list(TRANSITIONS)),
    st.sampled_from(["client", "contractor"]),
    st.none() | st.just(b"p" * 32),
    st.none() | st.just(b"r" * 32),
)
def test_any_log_gives_a_view(
    log: list[EventView], state: Any, role: Any, peer: bytes | None, result: bytes | None
) -> None:
    view = task_view(row(state=state, role=role, peer=peer, result_sha256=result), log)
    assert view.state == state
    assert (view.question == "") or state == "input-required"
    assert state != "completed" or view.done_ppm == 1_000_000
    assert len(view.tried) == sum(event.name == "fell_back" for event in log)
    if view.choice == "local" and role == "client":
        assert view.peer == ""
    assert (view.result is not None) == (result is not None)


def test_what_a_failed_attempt_came_to_is_gone_after_the_next_decision() -> None:
    hired = DecisionView(skill="risk", choice="outsource", options=(), reasons=(), level="full")
    here = DecisionView(skill="risk", choice="local", options=(), reasons=())
    log = [
        EventView(name="decided", at_unix_ms=1, decision=hired),
        EventView(name="verified", at_unix_ms=2, level="full", verdict="refused", score_ppm=7),
        EventView(name="fell_back", at_unix_ms=3, text="it lied"),
        EventView(name="decided", at_unix_ms=4, decision=here),
    ]
    view = task_view(row(state="completed", peer=b"p" * 32), log)
    assert (view.choice, view.verdict, view.score_ppm, view.peer) == ("local", "", None, "")
    assert view.tried == ("it lied",)


def test_exit_codes_follow_the_errors_own() -> None:
    def kinds(kind: type[NodeError]) -> list[type[NodeError]]:
        return [kind, *(found for narrower in kind.__subclasses__() for found in kinds(narrower))]

    for kind in kinds(NodeError):
        assert exit_code_of(kind.code) == kind.exit_code, f"{kind.__name__} shares its code with a kind of another exit"
    assert exit_code_of("cancelled") == CANCELLED_EXIT_CODE
    assert exit_code_of("of an older version") == 1
    assert exit_code_of(DeadlineError.code) == 6
