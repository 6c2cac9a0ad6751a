"""A model behind a real endpoint, as a skill of an executor: its replies, its tokens, and all that goes wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from node.decision.tokens import Usage
from node.errors import UsageError
from node.execute.config import ExecuteConfig
from node.execute.errors import BusyError, ExecutionError, InputError, OutOfOrderError, TimeLimitError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.openai.model import OpenAiModel
from node.execute.openai.offer import skill_of
from node.execute.openai.retry import RetryBudget
from node.execute.processes import ProcessExecutor
from node.views import ModelSource, TokenRate
from tests.harness.openai_backend import Backend, Fault, answer, backend, embedded, read_tokens, tokens

TEXT = b"Give me statistics: Ships carry goods. Goods are bought, and goods are sold."
QUICK = RetryBudget(attempts=3, first_pause_s=0.001)


@pytest.fixture
async def served() -> AsyncIterator[Backend]:
    async with backend() as one:
        yield one


@pytest.fixture
async def executor() -> AsyncIterator[ProcessExecutor]:
    one = ProcessExecutor(ExecuteConfig(max_workers=1, max_queued=2))
    yield one
    await one.stop()


def offer(executor: ProcessExecutor, served: Backend, **changes: Any) -> OpenAiModel:
    source = ModelSource(**{"url": served.url, "model": "small-1", **changes})
    model = OpenAiModel(source, skill_of(source, "llm/small-1", "", None), QUICK)
    executor.register_remote(model)
    return model


async def run(executor: ProcessExecutor, data: bytes = TEXT, media_type: str = "text/plain", **more: Any) -> Execution:
    return await executor.run(Job("llm/small-1", data, media_type, **{"timeout_s": 10.0, **more}))


def chat(text: str, **fields: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **fields}).encode()


async def test_a_text_is_answered_with_a_text_and_the_tokens_are_those_that_the_endpoint_counted(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served)
    done = await run(executor)
    assert done.media_type == "text/plain"
    assert done.output.decode() == answer(TEXT.decode())
    assert done.usage == Usage(read_tokens(served.requests[0]), tokens(done.output.decode()))
    assert served.requests[0]["stream"] is True


async def test_a_chat_in_json_is_answered_in_json_with_its_end_and_its_usage(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served)
    done = await run(executor, chat("Sum up: One. Two. Three.", max_tokens=2, temperature=0.0), "application/json")
    reply = json.loads(done.output)
    assert done.media_type == "application/json"
    assert (reply["finish_reason"], reply["usage"]["completion_tokens"]) == ("length", 2)
    assert served.requests[0]["temperature"] == 0.0


async def test_a_file_beside_a_text_reaches_the_model_under_its_name(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served)
    envelope = {"text": "Sum up:", "files": [{"name": "a.txt", "media_type": "text/plain", "text": "Rain fell."}]}
    await run(executor, json.dumps(envelope).encode(), "application/json")
    assert served.requests[0]["messages"][0]["content"] == "Sum up:\n\n--- a.txt ---\nRain fell."


async def test_a_reply_holds_no_more_tokens_than_its_seller_allows(executor: ProcessExecutor, served: Backend) -> None:
    offer(executor, served, max_tokens=3)
    await run(executor, chat("Sum up: One. Two.", max_tokens=1000), "application/json")
    assert served.requests[0]["max_tokens"] == 3


async def test_what_is_no_chat_is_refused_before_the_endpoint_is_asked(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served)
    for wrong in (b"{", b'{"messages": []}', chat("x", tools=[{"type": "function"}])):
        with pytest.raises(InputError):
            await run(executor, wrong, "application/json")
    assert served.requests == []


@pytest.mark.parametrize(
    "fault",
    [Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.CUT, Fault.INVALID_JSON, Fault.ERROR_IN_STREAM],
    ids=lambda fault: fault.value,
)
async def test_what_fails_in_passing_is_asked_again(executor: ProcessExecutor, served: Backend, fault: Fault) -> None:
    offer(executor, served)
    served.next_faults.extend([fault, fault])
    done = await run(executor)
    assert done.output.decode() == answer(TEXT.decode())
    assert (len(served.requests), served.completed) == (3, 1)


async def test_the_budget_of_attempts_ends_and_the_buyer_learns_how_it_failed_and_nothing_more(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served)
    served.fault = Fault.SERVER_ERROR
    with capture_logs() as logs, pytest.raises(ExecutionError) as failed:
        await run(executor)
    assert str(failed.value) == "the model's endpoint answered 500, 3 times"
    assert "The server had an error" in next(row for row in logs if row["event"] == "model.failed")["why"]
    assert len(served.requests) == 3


@pytest.mark.parametrize("fault", [Fault.NO_CREDIT, Fault.ENDLESS], ids=lambda fault: fault.value)
async def test_what_would_fail_again_is_not_asked_again(
    executor: ProcessExecutor, served: Backend, fault: Fault
) -> None:
    offer(executor, served)
    served.fault = fault
    with pytest.raises(ExecutionError):
        await run(executor)
    assert len(served.requests) == 1


async def test_a_pause_longer_than_the_task_has_ends_it_at_once(executor: ProcessExecutor, served: Backend) -> None:
    offer(executor, served)
    served.fault, served.retry_after_s = Fault.RATE_LIMIT, 3600.0
    with pytest.raises(ExecutionError, match="answered 429"):
        await run(executor)
    assert len(served.requests) == 1


async def test_a_slow_endpoint_costs_the_task_its_time_and_no_more(executor: ProcessExecutor, served: Backend) -> None:
    offer(executor, served)
    served.fault = Fault.SLOW
    with pytest.raises(TimeLimitError):
        await run(executor, timeout_s=0.2)


async def test_cancelling_a_task_leaves_the_endpoint(executor: ProcessExecutor, served: Backend) -> None:
    offer(executor, served)
    served.fault = Fault.SLOW
    running = asyncio.create_task(run(executor))
    await served.asked(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(60):
        while served.at_once:  # noqa: ASYNC110  # the server notices by itself
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("fault", [Fault.WRONG_USAGE, Fault.NO_USAGE], ids=lambda fault: fault.value)
async def test_a_usage_that_cannot_be_true_counts_as_none(
    executor: ProcessExecutor, served: Backend, fault: Fault
) -> None:
    offer(executor, served)
    served.fault = fault
    done = await run(executor)
    assert (done.output.decode(), done.usage) == (answer(TEXT.decode()), None)


@pytest.mark.parametrize(
    "dialect", ["refuses_stream_options", "wants_completion_tokens", "ignores_stream"], ids=lambda name: name
)
async def test_servers_that_speak_differently_are_understood(
    executor: ProcessExecutor, served: Backend, dialect: str
) -> None:
    setattr(served, dialect, True)
    offer(executor, served)
    for _ in range(2):
        assert (await run(executor)).output.decode() == answer(TEXT.decode())
    # What an endpoint does not know is learnt once, and takes nothing from the budget of attempts.
    assert len(served.requests) == (2 if dialect == "ignores_stream" else 3)


async def test_no_more_run_at_once_than_allowed_and_the_rest_wait_or_are_refused(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served, at_once=2)
    served.fault = Fault.SLOW
    running = [asyncio.create_task(run(executor)) for _ in range(4)]
    await served.asked(2)
    assert (executor.lane("llm/small-1").running, executor.lane("llm/small-1").queued) == (2, 2)
    assert executor.free_slots == 1, "the node's own workers have nothing to do with it"
    with pytest.raises(BusyError):
        await run(executor)
    served.gate.set()
    await asyncio.gather(*running)
    assert served.most_at_once == 2


async def test_more_requests_than_a_minute_may_have_wait_for_the_next(
    executor: ProcessExecutor, served: Backend
) -> None:
    offer(executor, served, per_minute=2)
    await run(executor)
    await run(executor)
    with pytest.raises(TimeLimitError, match="2 requests a minute"):
        await run(executor, timeout_s=1.0)
    assert len(served.requests) == 2


async def test_embeddings_come_in_the_order_of_their_texts(executor: ProcessExecutor, served: Backend) -> None:
    offer(executor, served, kind="embeddings")
    data = json.dumps({"input": ["a ship", "a house"]}).encode()
    done = await run(executor, data, "application/json")
    assert json.loads(done.output)["vectors"] == [pytest.approx(embedded(text)) for text in ("a ship", "a house")]
    assert done.usage is not None
    assert done.usage.written == 0


async def test_the_key_is_read_from_its_variable_each_time_and_told_to_nobody_else(
    executor: ProcessExecutor, served: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.api_key = "sk-test-0123456789"
    offer(executor, served, key_env="SMALL_KEY")
    monkeypatch.setenv("SMALL_KEY", "sk-old")
    with capture_logs() as logs, pytest.raises(ExecutionError) as refused:
        await run(executor)
    monkeypatch.setenv("SMALL_KEY", "sk-test-0123456789")
    assert (await run(executor)).output
    monkeypatch.delenv("SMALL_KEY")
    with pytest.raises(ExecutionError, match="cannot be used at the moment"):
        await run(executor)
    assert "sk-" not in str(refused.value) + str(logs)


async def test_a_key_file_that_others_can_read_is_refused(
    executor: ProcessExecutor, served: Backend, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-test-1\n")
    model = offer(executor, served, key_file=str(file))
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        await model.check()
    file.chmod(0o600)
    served.api_key = "sk-test-1"
    await model.check()


async def test_an_endpoint_is_checked_before_it_is_sold(executor: ProcessExecutor, served: Backend) -> None:
    await offer(executor, served).check()
    with pytest.raises(UsageError, match=r"has no model 'large-9'; it has 'small-1'"):
        await offer(executor, served, model="large-9").check()
    served.api_key = "sk-test-1"
    with pytest.raises(UsageError, match="answered 401"):
        await offer(executor, served).check()
    with pytest.raises(UsageError, match="no answer from the endpoint"):
        await offer(executor, served, url="http://127.0.0.1:1/v1").check()


async def test_a_redirect_is_not_followed(executor: ProcessExecutor, served: Backend) -> None:
    offer(executor, served, url=served.url.replace("/v1", "/moved"))
    with pytest.raises(ExecutionError, match="answered 307"):
        await run(executor)
    assert served.requests == []


COST = TokenRate(read_micro=2_000_000, written_micro=8_000_000)
WORST_MICRO = -(-len(TEXT) // 4) * 2 + 1024 * 8
"""One attempt at TEXT whose reply is as long as it may be."""


@pytest.mark.parametrize(
    ("fault", "attempts"), [(Fault.CUT, 3), (Fault.INVALID_JSON, 3), (Fault.SERVER_ERROR, 0), (Fault.NO_CREDIT, 0)]
)
async def test_attempts_that_may_be_billed_count_at_the_worst_and_refusals_nothing(
    executor: ProcessExecutor, served: Backend, fault: Fault, attempts: int
) -> None:
    charged(executor, served)
    served.fault = fault
    with pytest.raises(ExecutionError) as failed:
        await run(executor)
    assert failed.value.spent_micro == attempts * WORST_MICRO


async def test_a_result_carries_what_the_attempts_before_it_may_be_billed_at(
    executor: ProcessExecutor, served: Backend
) -> None:
    charged(executor, served)
    served.next_faults.extend([Fault.CUT, Fault.SERVER_ERROR])
    assert (await run(executor)).wasted_micro == WORST_MICRO


async def test_an_attempt_that_takes_too_long_counts_at_the_worst(executor: ProcessExecutor, served: Backend) -> None:
    charged(executor, served)
    served.fault = Fault.SLOW
    with pytest.raises(TimeLimitError) as late:
        await run(executor, timeout_s=0.3)
    served.gate.set()
    assert late.value.spent_micro == WORST_MICRO


async def test_an_endpoint_that_cannot_be_reached_bills_nothing(executor: ProcessExecutor) -> None:
    async with backend() as gone:
        charged(executor, gone)
    with pytest.raises(OutOfOrderError) as failed:
        await run(executor)
    assert failed.value.spent_micro == 0


def charged(executor: ProcessExecutor, served: Backend) -> None:
    """Offer the model at an endpoint that bills for tokens."""
    source = ModelSource(url=served.url, model="small-1", cost=COST)
    executor.register_remote(OpenAiModel(source, skill_of(source, "llm/small-1", "", COST), QUICK))
