"""The rules around models: what may be sold, what a name means, when to ask again, what a request becomes."""

import random
from typing import Any

import msgspec
import pytest

from coalesced.cli.units import parse_rate
from coalesced.gateway.openai.errors import RequestError
from coalesced.gateway.openai.names import Target, known_names, target_of
from coalesced.gateway.openai.requests import ChatBody, chat_of, chat_task, decode
from coalesced.options import micro_or_none
from node.decision.hardware import ApiPrice
from node.errors import UsageError
from node.execute.openai.offer import cost_rate, label_of
from node.execute.openai.policy import ResaleError, check_endpoint, check_key, is_near
from node.execute.openai.retry import RetryBudget, pause_s
from node.views import ModelSource, TokenRate

BUDGET = RetryBudget(attempts=4, first_pause_s=1.0, longest_pause_s=3.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:8000/v1",
        "http://[::1]:1/v1",
        "http://gpu:8000/v1",
        "http://192.168.1.7/v1",
        "http://box.local/v1",
        "https://api.openai.com/v1",
        "https://openrouter.ai/api/v1",
    ],
)
def test_own_servers_and_apis_billed_by_use_may_be_sold(url: str) -> None:
    check_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://chatgpt.com/backend-api/codex",
        "https://CLAUDE.AI/api",
        "https://api.individual.githubcopilot.com",
        "https://api2.cursor.sh/v1",
        "https://copilot-proxy.githubusercontent.com/v1",
    ],
)
def test_a_subscriptions_endpoint_is_refused_whatever_its_path_and_case(url: str) -> None:
    with pytest.raises(ResaleError, match="forbid resale"):
        check_endpoint(url)


@pytest.mark.parametrize("url", ["https://notclaude.ai.example/v1", "https://mychatgpt.com/v1"])
def test_a_host_that_only_looks_like_one_is_not_refused(url: str) -> None:
    check_endpoint(url)


def test_a_subscriptions_credential_is_refused_without_being_told() -> None:
    for url, key in (
        ("https://api.anthropic.com/v1", "sk-ant-oat01-abc"),
        ("https://api.openai.com/v1", "eyJhbGciOi.abc.def"),
        ("https://models.github.ai/inference", "ghu_abc"),
    ):
        with pytest.raises(ResaleError) as refused:
            check_key(url, key)
        assert key not in str(refused.value)
    check_key("https://api.anthropic.com/v1", "sk-ant-api03-abc")
    check_key("http://127.0.0.1:8000/v1", "eyJhbGciOi.abc.def")


def test_what_is_near_costs_time_and_what_is_hosted_costs_its_price() -> None:
    def cost(url: str, model: str, own: dict[str, ApiPrice] | None = None, **fields: Any) -> TokenRate | None:
        return cost_rate(ModelSource(url=url, model=model, **fields), own or {})

    assert is_near("http://10.0.0.3/v1")
    assert cost("http://10.0.0.3/v1", "any") is None
    assert cost("https://api.openai.com/v1", "gpt-4o-mini") == TokenRate(read_micro=150_000, written_micro=600_000)
    mine = {"llm.example.com/x": ApiPrice(input_usd=1.0, output_usd=2.0)}
    assert cost("https://llm.example.com/v1", "x", mine) == TokenRate(read_micro=10**6, written_micro=2 * 10**6)
    said = TokenRate(read_micro=1, written_micro=2)
    assert cost("https://llm.example.com/v1", "x", cost=said) == said
    with pytest.raises(UsageError, match="say it with --cost READ:WRITTEN"):
        cost("https://llm.example.com/v1", "x")


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "llm/qwen2.5-7b-instruct"),
        ("llama3.1:8b", "llm/llama3.1-8b"),
        ("llama3.1:latest", "llm/llama3.1"),
        ("gpt-4o-mini", "llm/gpt-4o-mini"),
        ("x" * 100, "llm/" + "x" * 60),
    ],
)
def test_a_models_label_is_the_same_for_buyer_and_seller(model: str, label: str) -> None:
    assert label_of(model) == label


def test_a_name_without_letters_gives_no_label() -> None:
    with pytest.raises(UsageError, match="name one with --label"):
        label_of("::")


def test_pauses_double_up_to_a_limit_and_end_with_the_budget() -> None:
    rng = random.Random(1)
    pauses = [pause_s(BUDGET, attempt, asked_s=None, left_s=100.0, rng=rng) for attempt in (1, 2, 3, 4)]
    assert pauses[3] is None
    for pause, most in zip(pauses[:3], (1.0, 2.0, 3.0), strict=True):
        assert pause is not None
        assert most / 2 <= pause <= most


def test_an_endpoints_own_pause_is_kept_and_one_past_the_tasks_time_ends_it() -> None:
    rng = random.Random(1)
    assert pause_s(BUDGET, 1, asked_s=7.0, left_s=8.0, rng=rng) == 7.0
    assert pause_s(BUDGET, 1, asked_s=7.0, left_s=7.0, rng=rng) is None
    assert pause_s(BUDGET, 1, asked_s=0.0, left_s=1.0, rng=rng) == 0.0


def test_a_models_name_means_a_skill_and_where_it_is_done() -> None:
    own = {"chat", "llm/small-1", "sentiment"}
    assert target_of("auto", "chat", own, "chat") == Target("chat")
    assert target_of("local", "chat", own, "chat") == Target("chat", "local")
    assert target_of("local", "chat", {"llm/small-1"}, "chat") == Target("llm/small-1", "local")
    assert target_of("skill:sentiment", "chat", own, "chat") == Target("sentiment")
    assert target_of("llm/other", "chat", own, "chat") == Target("llm/other")
    assert target_of("Other:8b", "chat", own, "chat") == Target("llm/other-8b")
    assert target_of("bge-m3", "embeddings", own, "chat") == Target("embed/bge-m3")
    for name, has in (("local", {"sentiment"}), ("skill:No", own), ("::", own)):
        with pytest.raises(RequestError) as refused:
            target_of(name, "chat", has, "chat")
        assert refused.value.code == "model_not_found"
    assert known_names(own, ["risk"], "chat") == ["auto", "local", "llm/small-1", "skill:risk", "skill:sentiment"]
    assert known_names(["risk"], [], "chat") == ["auto", "skill:risk"]


def read(**fields: Any) -> tuple[ChatBody, dict[str, Any]]:
    asked = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], **fields}
    return decode(ChatBody, msgspec.json.encode(asked))


def test_bookkeeping_parameters_are_ignored_and_those_of_the_answer_are_passed_on() -> None:
    body, plain = read(user="me", store=True, metadata={"a": "b"}, temperature=0.5, max_completion_tokens=9, tools=[])
    chat = chat_of(body, plain)
    assert (chat.temperature, chat.max_tokens) == (0.5, 9)
    task = chat_task(Target("chat"), chat, body.coalesced, "")
    assert msgspec.json.decode(task.files[0].data) == {
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }


@pytest.mark.parametrize("budget", ["a lot", -1, float("1e10"), "nan", ""])
def test_a_budget_that_is_none_is_quoted_as_it_was_written(budget: str | float) -> None:
    body, plain = read(coalesced={"budget": budget})
    with pytest.raises(RequestError, match=r"coalesced\.budget: '.*' is (not an amount|out of range)"):
        chat_task(Target("chat"), chat_of(body, plain), body.coalesced, "")
    with pytest.raises(ValueError, match=r"'.*' is (not an amount|out of range)"):
        micro_or_none(budget)


def test_another_skill_gets_the_last_message_as_text() -> None:
    for text in ("not bad", '{"texts": ["a"]}'):
        body, plain = read(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": text}])
        [file] = chat_task(Target("sentiment"), chat_of(body, plain), body.coalesced, "").files
        assert (file.media_type, file.data.decode()) == ("text/plain", text)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}
    body, plain = read(response_format=form)
    assert chat_task(Target("sentiment"), chat_of(body, plain), body.coalesced, "").result_schema == '{"type":"array"}'
    body, plain = read(messages=[{"role": "assistant", "content": "me"}])
    with pytest.raises(RequestError, match="must be the user's"):
        chat_task(Target("sentiment"), chat_of(body, plain), body.coalesced, "")


def test_a_picture_is_refused_with_its_place() -> None:
    image = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    body, plain = read(messages=[{"role": "user", "content": image}])
    with pytest.raises(RequestError) as refused:
        chat_of(body, plain)
    assert refused.value.param == "messages[0].content[0].type"


def test_a_rate_is_one_amount_or_two() -> None:
    assert parse_rate("0.15:0.60") == (150_000, 600_000)
    assert parse_rate("$2") == (2_000_000, 2_000_000)
    with pytest.raises(ValueError, match="not an amount"):
        parse_rate("0.15:cheap")
