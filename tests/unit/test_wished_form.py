"""Asking with a form until the endpoint refuses one."""

from typing import Any

import pytest

from node.execute.errors import ExecutionError, FormatError
from node.execute.openai.form import WishedForm

REQUEST = {"messages": [], "response_format": {"type": "json_object"}}


class Endpoint:
    """Keeps what it was asked; fails as told."""

    def __init__(self, *, takes_forms: bool, fails: bool = False) -> None:
        self.takes_forms = takes_forms
        self.fails = fails
        self.asked: list[list[str]] = []

    async def ask(self, request: dict[str, Any]) -> str:
        self.asked.append(sorted(request))
        if "response_format" in request and not self.takes_forms:
            raise FormatError("leave it out")
        if self.fails:
            raise ExecutionError("no")
        return "done"


async def test_a_form_goes_along_for_as_long_as_it_is_taken() -> None:
    form, endpoint = WishedForm(), Endpoint(takes_forms=True)
    assert [await form.asked(REQUEST, endpoint.ask) for _ in range(2)] == ["done", "done"]
    assert endpoint.asked == [["messages", "response_format"]] * 2


async def test_a_refused_form_is_left_out_at_once_and_from_then_on() -> None:
    form, endpoint = WishedForm(), Endpoint(takes_forms=False)
    assert [await form.asked(REQUEST, endpoint.ask) for _ in range(2)] == ["done", "done"]
    assert endpoint.asked == [["messages", "response_format"], ["messages"], ["messages"]]
    assert "response_format" in REQUEST, "the caller's own stays whole"


async def test_other_failures_pass_and_teach_nothing() -> None:
    form, endpoint = WishedForm(), Endpoint(takes_forms=True, fails=True)
    for _ in range(2):
        with pytest.raises(ExecutionError):
            await form.asked(REQUEST, endpoint.ask)
    assert endpoint.asked == [["messages", "response_format"]] * 2
