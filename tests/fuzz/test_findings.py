"""What fuzzing once found, each as the claim that was wrong."""

import io
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from coalesced.cli import units
from coalesced.cli.errors import CliError
from coalesced.cli.request import _plan_files, read_plan
from coalesced.paths import PathError, expanded, find_paths
from coalesced.repl.session import ConsoleSession
from coalesced.testnet.manifest import TestnetError, decode, default_directory
from crypto.pkcs8 import decode_private_key
from node.env import Env
from node.execute.builtin.document_analysis import check as document_analysis
from node.execute.builtin.portfolio import check as portfolio
from node.execute.builtin.risk import check as risk
from node.execute.builtin.sentiment.task import size
from node.execute.config import ExecuteConfig
from node.execute.corpus import Case, analysis_case, portfolio_case, risk_case
from node.execute.errors import InputError
from node.execute.frames import LENGTHS, MAX_HEADER_BYTES, FrameError, FrameReader
from node.execute.processes import ProcessExecutor
from node.execute.skill import JSON
from node.execute.user_function import InputError as FunctionInputError
from node.execute.user_function import call, load
from node.ledger.journal import Chain, genesis, next_entry, note_record, sign_head
from node.outsource.delivered import find_delivered
from node.owner.records import _body
from node.tasks.verify import MAX_REASON_CHARS
from tests.fuzz.areas import workers
from tests.harness.jobs import CLIENT

DEEP = b"[" * 100_000 + b"]" * 100_000
SEED = b"\x05" * 32


def delivered(case: Case) -> dict[str, Any]:
    """An honest result, to be spoilt."""
    package = f"node.execute.builtin.{case.label.replace('-', '_')}"
    result: dict[str, Any] = json.loads(import_module(f"{package}.work").run(case.input, JSON, "full", lambda *_: None))
    return result


def test_portfolio_weights_whose_sum_overflows_are_refused() -> None:
    case = portfolio_case(1, assets=4, points=2)
    result = delivered(case)
    result["points"][0]["weights"] = {"0": 1e308, "1": 1e308}
    found = portfolio.check(case.input, JSON, json.dumps(result).encode(), level="full", seed=SEED)
    assert found.score_ppm == 0
    assert "do not sum to 1" in found.reasons[0]


def test_a_long_made_up_asset_is_not_quoted_whole() -> None:
    case = portfolio_case(1, assets=4, points=2)
    result = delivered(case)
    result["points"][0]["weights"] = {"x" * 10_000: 1.0}
    found = portfolio.check(case.input, JSON, json.dumps(result).encode(), level="full", seed=SEED)
    assert len(found.reasons[0]) < 200


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"components": {"0": 1e308, "1": 1e308}}, "do not add up"),
        ({"value_at_risk": 1e308, "expected_shortfall": 1e308}, "too large to be money"),
        ({"blocks": [[0, 0.0, 0.0]]}, "losses beyond VaR"),
        ({"blocks": [[10**400, 0.0, 0.0]]}, "more losses beyond VaR than paths"),
        ({"blocks": [[-1, 0.0, 0.0]]}, "fewer than none"),
    ],
)
def test_risk_figures_that_cannot_be_are_refused(spoilt: dict[str, Any], reason: str) -> None:
    """So few paths that one loss beyond VaR is expected: none at all is within one of it."""
    task = json.loads(risk_case(2, assets=2, paths=1_000, horizon=1, distribution="student").input)
    case = Case("risk", json.dumps({**task, "confidence": 0.9999}).encode())
    result = delivered(case)
    if "components" in spoilt:
        spoilt = {"components": dict.fromkeys(result["components"], 1e308)}
    output = json.dumps({**result, **spoilt}).encode()
    found = risk.check(case.input, JSON, output, level="full", seed=SEED)
    assert found.score_ppm == 0
    assert reason in found.reasons[0]


@pytest.mark.parametrize("field", ["passages", "document_frequency"])
def test_counts_beyond_all_arithmetic_are_no_document_analysis(field: str) -> None:
    case = analysis_case(1, documents=1, pages=1, questions=1)
    result = delivered(case)
    statistics = result["statistics"]
    statistics[field] = 10**400 if field == "passages" else dict.fromkeys(statistics[field], 10**400)
    found = document_analysis.check(case.input, JSON, json.dumps(result).encode(), level="full", seed=SEED)
    assert found.score_ppm == 0
    assert "not a document analysis" in found.reasons[0]


def test_base64_that_is_not_even_ascii_is_an_input_error() -> None:
    envelope = {"files": [{"name": "a", "base64": "eyJ\u0130"}]}
    with pytest.raises(InputError, match="file 'a' is not text"):
        size(json.dumps(envelope).encode(), JSON)


@pytest.mark.parametrize(
    ("function", "payload"),
    [
        ("takes_text", {"text": "hell\ud83d"}),
        ("takes_text", {"files": [{"name": "f", "text": "hell\ud83d"}]}),
        ("takes_text", {"files": [{"name": "f", "base64": "\u0130"}]}),
        ("takes_typed", {"name": "a\ud83d", "counts": [1]}),
    ],
)
def test_half_a_character_is_the_inputs_fault_not_the_functions(function: str, payload: object) -> None:
    bound = load(workers.__name__, function)
    with pytest.raises(FunctionInputError):
        call(bound, json.dumps(payload).encode(), JSON)


def test_a_deeply_nested_input_of_a_function_is_an_input_error() -> None:
    with pytest.raises(FunctionInputError):
        call(load(workers.__name__, "takes_typed"), DEEP, JSON)
    assert call(load(workers.__name__, "takes_text"), DEEP, JSON) == ("text/plain", DEEP)


def test_a_deeply_nested_frame_header_is_a_frame_error() -> None:
    with pytest.raises(FrameError, match="not JSON"):
        FrameReader().feed(LENGTHS.pack(len(DEEP), 0) + DEEP)


def test_a_note_that_only_looks_like_a_delivery_is_none() -> None:
    note = note_record({"what": "delivered", "task_id": bytes(16), "quote": b"x", "award": 5})
    assert find_delivered([next_entry(1, genesis(bytes(32)), 1, "note", note)]) is None


def test_a_plan_that_names_an_impossible_file_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"step": [{"name": "a", "skill": "risk", "files": ["a\0b"]}]}))
    with pytest.raises(CliError, match="no file can be called"):
        _plan_files(plan, read_plan(plan)[1], [])


@pytest.mark.parametrize("name", ["plan.json", "plan.toml"])
def test_a_deeply_nested_plan_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"a = " * name.endswith("toml") + DEEP)
    with pytest.raises(CliError, match="is not a plan"):
        read_plan(tmp_path / name)


def test_a_deeply_nested_manifest_is_refused() -> None:
    with pytest.raises(TestnetError, match="not described as it should be"):
        decode(DEEP, where="this testnet")


@pytest.mark.parametrize("text", ["~nobody-of-this-name/x", "a\0b", "\ud800"])
def test_what_can_be_no_path_is_refused(text: str) -> None:
    with pytest.raises(PathError, match="is no path"):
        expanded(text)
    with pytest.raises(PathError, match="is no path"):
        find_paths(environ={"COALESCED_HOME": text})
    with pytest.raises(PathError, match="is no path"):
        default_directory("default", environ={"COALESCED_TESTNETS": text})


def test_a_circle_of_links_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(PathError, match="leads nowhere"):
        find_paths(tmp_path / "a", environ={})


async def test_a_console_line_into_an_impossible_file_is_an_error(tmp_path: Path) -> None:
    errors = io.StringIO()
    session = ConsoleSession(tmp_path, io.StringIO(), errors)
    assert await session.execute("status > ~nobody-of-this-name/x") == 1
    assert await session.execute("use ~nobody-of-this-name/x") == 1
    assert errors.getvalue().count("is no path here") == 2


def test_a_key_file_that_openssl_has_no_word_for_is_no_key() -> None:
    pem = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VvBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n"
    with pytest.raises(ValueError, match="no readable unencrypted PKCS8 key"):
        decode_private_key(pem + b"-----END PRIVATE KEY-----\n")


@pytest.mark.parametrize("changed", [{"unix_ms": 2**63}, {"kind": "no\ud800te"}])
def test_an_entry_that_could_never_be_written_breaks_the_chain(changed: dict[str, Any]) -> None:
    entry = next_entry(1, genesis(CLIENT.public_key), 1, "note", note_record({}))
    chain = Chain(CLIENT.public_key, sign_head(CLIENT, 1, entry.hash))
    broken = chain.feed([replace(entry, **changed)])
    assert broken is not None
    assert "does not give its hash" in broken.reason


async def test_a_result_that_fills_its_refusal_is_still_refused() -> None:
    """The decoder quotes an unknown field whole: more than the header of a worker's frame can hold."""
    case = portfolio_case(1, assets=2, points=1)
    output = b'{"' + b"x" * (2 * MAX_HEADER_BYTES) + b'": 1}'
    executor = ProcessExecutor(ExecuteConfig(max_workers=1), Env())
    try:
        judged = await executor.verify(
            "portfolio", case.input, JSON, output, level="full", min_score_ppm=1, seed=SEED, timeout_s=30.0
        )
    finally:
        await executor.stop()
    assert not judged.accepted
    assert "not a portfolio result" in judged.reasons[0]
    assert len(judged.reasons[0]) <= MAX_REASON_CHARS


def test_a_moment_beyond_the_calendar_is_shown_as_a_number() -> None:
    """A client signs the times of a receipt; the contractor's owner reads them."""
    assert units.moment(2**53) == f"{2**53} ms"
    assert units.clock(2**53) == f"{2**53} ms"


def test_a_deeply_nested_note_is_shown_as_far_as_anybody_reads() -> None:
    note: object = b"\x01"
    for _ in range(400):
        note = [note]
    entry = next_entry(1, genesis(bytes(32)), 1, "note", note_record({"what": "x", "deep": note}))
    assert json.dumps(_body(entry)).count("[") == 16
