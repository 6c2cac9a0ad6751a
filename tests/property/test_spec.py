"""From any request that decodes to a specification, or to one clear refusal."""

import asyncio
import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.decision.internal_cost import MachineRates
from node.decision.verification import VerificationConfig
from node.env import Env
from node.errors import UsageError
from node.execute.config import ExecuteConfig
from node.execute.inline import BuiltinWork, InlineExecutor
from node.outsource.client.request import ask_of, files_of, plan_of, single_content, wishes_of
from node.outsource.config import ClientConfig
from node.outsource.localwork import LocalWork
from node.store.calibration import Calibrations
from node.store.database import Database
from node.store.migrations import NODE
from node.tasks.content import Content
from node.tasks.spec import Wishes, digest, encode_specification, specify
from node.views import AskRequest, InputFile
from protocol.packing import unpack
from protocol.specification import EFFORTS, LEVELS, PRIVACY_LEVELS, Specification

texts = st.text(st.characters(), max_size=200)
names = st.text(st.characters(), min_size=1, max_size=20)
files = st.builds(
    InputFile,
    name=names,
    media_type=st.sampled_from(["text/plain", "application/json", "application/pdf"]),
    data=st.binary(max_size=200),
)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None as well: left to the node's configuration."""
    return st.none() | strategy


requests = st.builds(
    AskRequest,
    skill=st.sampled_from(["sentiment", "risk", "portfolio", "document-analysis", "translation"]) | names,
    text=texts,
    files=st.lists(files, max_size=3).map(tuple),
    budget_micro=optional(st.integers(0, 10**15)),
    value_micro=optional(st.integers(0, 10**15)),
    deadline_s=optional(st.floats(1e-9, 30 * 86_400)),
    prefer=st.sampled_from(["auto", "local", "cheap", "fast"]),
    privacy=optional(st.sampled_from(PRIVACY_LEVELS)),
    regions=st.lists(st.text(min_size=1, max_size=64), max_size=3).map(tuple),
    effort=optional(st.sampled_from(EFFORTS)),
    least_level=optional(st.sampled_from(LEVELS)),
    min_score_ppm=optional(st.integers(0, 10**6)),
    plan=st.sampled_from(["", "{}", "[", "null", '{"step": [{"name": "a", "skill": "risk"}]}']) | texts,
    split=st.booleans(),
)


def work() -> LocalWork:
    """Local work as a node without history has it; nothing is run or stored here."""
    executor = InlineExecutor(ExecuteConfig(), BuiltinWork(), lambda label, units: 0.0, probes={})
    calibrations = Calibrations(Database(None, NODE, durable=False, inline=True, before_commit=None))
    return LocalWork(executor, calibrations, MachineRates(), VerificationConfig(), Env().unix_ms)


@given(requests)
def test_any_request_gives_a_specification_or_a_clear_refusal(request: AskRequest) -> None:
    config = ClientConfig()
    try:
        if plan_of(request) is not None:
            return
        content = single_content(request, config)
        wishes = wishes_of(request, config)
        asked = ask_of(
            b"t" * 16,
            request.skill,
            content,
            wishes,
            value_micro=request.value_micro,
            prefer=request.prefer,
            work=work(),
        )
        ask = asyncio.run(asked)
    except UsageError:
        return
    assert unpack(Specification, ask.encoded) == ask.specification, "what is sent is what is meant"
    assert ask.specification.input.size_bytes == len(content.data)
    assert len(ask.specification_sha256) == 32


@given(
    st.builds(
        Wishes,
        budget_micro=st.integers(),
        deadline_s=st.floats(),
        memory_bytes=st.integers(),
        max_output_bytes=st.integers(),
    )
)
def test_wishes_out_of_range_are_refused_by_name(wishes: Wishes) -> None:
    try:
        specification = specify(("risk",), Content("text/plain", b"x"), 1, wishes, usual_score_ppm=500_000)
    except UsageError:
        return
    assert unpack(Specification, encode_specification(specification)) == specification


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"deadline_s": 0.0}, "deadline is 0.0 s"),
        ({"deadline_s": float("nan")}, "deadline is nan s"),
        ({"budget_micro": -1}, "budget_micro"),
        ({"regions": ("",)}, "regions"),
        ({"memory_bytes": 2**41}, "memory_bytes"),
    ],
)
def test_the_refusal_names_the_field(change: dict[str, object], text: str) -> None:
    wishes = dataclasses.replace(Wishes(budget_micro=1, deadline_s=1.0), **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=text):
        specify(("risk",), Content("text/plain", b"x"), 1, wishes, usual_score_ppm=0)


def test_a_digest_is_of_the_exact_bytes() -> None:
    assert digest(b"a") != digest(b"b")
    request = AskRequest(skill="risk", files=(InputFile(name="a", media_type="text/plain", data=b"x"),))
    assert files_of(request)[0].data == b"x"
    assert msgspec.structs.asdict(request)["skill"] == "risk"
