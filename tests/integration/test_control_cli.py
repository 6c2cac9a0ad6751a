"""Every command against a served node: what is printed on a terminal, in a pipe, as JSON, and the exit code."""

import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from coalesced.control.inputs import KEPT_VARIABLES
from node.views import ModelSource, TokenRate
from tests.harness.commandline import Ran
from tests.harness.served_node import ServedNode, serve

GROUPS = ("peers", "skills", "sell", "task", "journal", "config", "testnet", "ledger", "keys", "trust")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serve(tmp_path_factory.mktemp("home")) as node:
        yield node


@pytest.fixture(scope="module")
def done(served: ServedNode) -> str:
    """The id of a completed task."""
    Ran(served.home, "ask", "upper", "a task")
    return served.on_loop(lambda node: list(node.by_id)[-1])


# --- deciding and explaining ---


def test_a_decision_is_explained_in_the_form_of_the_design(served: ServedNode) -> None:
    ran = Ran(served.home, "decide", "upper", "x", "--explain")
    assert ran.lines == [
        "  option    price    +time    +risk    +verify  =total   p(good)",
        "> k7m2qfab  $0.0012  $0.0008  $0.0002  $0.0001  $0.0023  0.97",
        "  local     $0.0009  $0.0061  $0.0001  -        $0.0071  0.93",
        "Local wins if its p95 falls under 9 s. Explored: no.",
    ]


def test_a_dry_run_on_a_terminal_begins_with_the_decision(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "upper", "x", "--dry-run", terminal=True)
    assert ran.lines[0] == ("OUTSOURCE to k7m2qfab, verification cheap: $0.0023 expected, against $0.0071 here.")
    assert served.on_loop(lambda node: len(node.by_id)) == served.on_loop(lambda node: len(node.histories))


def test_a_decision_in_a_pipe_is_rows_of_raw_figures(served: ServedNode) -> None:
    assert Ran(served.home, "decide", "upper").lines[0].split("\t")[:7] == [
        *("k7m2qfab", "cheap", "1200", "800", "200", "100", "2300"),
    ]


def test_why_shows_decision_trials_and_timeline(served: ServedNode, done: str) -> None:
    ran = Ran(served.home, "why", done)
    text = ran.out
    assert ran.code == 0
    for part in ("upper: completed by k7m2qfab", "> k7m2qfab", "zzzzzzzz: refused, busy", "+100 ms  decided"):
        assert part in text
    assert Ran(served.home, "why", "nothing").code == 2


# --- looking ---


def test_status_is_one_screen_with_problems_last(served: ServedNode) -> None:
    ran = Ran(served.home, "status", terminal=True)
    assert len(ran.lines) < 24
    assert ran.lines[-1] == "no peer has the clock right  ->  coalesced doctor"
    assert "1 h 2 min" in ran.out
    assert Ran(served.home, "status", "--json").json["schema"] == "coalesced.status/1"


def test_json_may_be_asked_for_before_or_after_the_command(served: ServedNode) -> None:
    assert Ran(served.home, "--json", "peers", "ls").json == Ran(served.home, "peers", "ls", "--json").json


def test_a_table_is_drawn_on_a_terminal_and_bare_in_a_pipe(served: ServedNode) -> None:
    drawn = Ran(served.home, "skills", "find", "upper", terminal=True)
    assert drawn.lines[0].split()[:2] == ["seller", "endpoint"]
    piped = Ran(served.home, "skills", "find", "upper")
    assert len(piped.lines) == 2
    assert piped.lines[0].split("\t")[:4] == ["k7m2qfab", "127.0.0.1:7401", "900", "250000"]
    for ran in (drawn, piped):
        assert "\x1b[31m" not in ran.out
        assert "\\x1b[31malert" in ran.out


def test_a_price_limit_is_given_in_dollars(served: ServedNode) -> None:
    assert len(Ran(served.home, "skills", "find", "upper", "--max-price", "0.001").lines) == 1


def test_what_is_no_label_is_looked_for_by_what_it_means(served: ServedNode) -> None:
    by_meaning = Ran(served.home, "skills", "find", "make the letters loud", terminal=True)
    assert "nlp/upper" in by_meaning.out
    assert "\x1b[31m" not in by_meaning.out, "a seller's caption is no command to the terminal"
    parts = Ran(served.home, "skills", "find", "upper", "--explain", terminal=True)
    assert ".3 terms" in parts.out
    assert "read as: about work" in parts.out
    assert "looked under: language_processing" in parts.out
    trusted = Ran(served.home, "skills", "find", "upper", "--min-trust", "0.9", "--json")
    assert trusted.json["schema"] == "coalesced.matches/1"
    assert '"success_ppm":900000' in trusted.out
    assert "--min-trust" in Ran(served.home, "skills", "find", "upper", "--min-trust", "2").err
    for nothing in ("", "  ", "x y " * 300):
        refused = Ran(served.home, "skills", "find", nothing)
        assert (refused.code, "say what is to be done in 1 to 1000 characters" in refused.err) == (2, True)


def test_a_skill_is_shown_or_the_nearest_named(served: ServedNode) -> None:
    assert "does upper" in Ran(served.home, "skills", "show", "upper").out
    unsold = Ran(served.home, "skills", "show", "upper").lines
    assert "its price\tnot on sale; to sell it: coalesced sell upper" in unsold
    assert f"try\tcoalesced --home {served.home} ask upper -f FILE" in unsold
    missing = Ran(served.home, "skills", "show", "uper")
    assert (missing.code, "try: coalesced skills show upper" in missing.err) == (2, True)


def test_a_skill_is_shown_with_an_example_its_price_and_a_command_to_paste(served: ServedNode) -> None:
    lines = Ran(served.home, "skills", "show", "draws").lines
    assert "its size\t4,000,000 random draws" in lines
    assert "its time\tabout 100 ms here" in lines
    assert "its price\t$0.000300 when this node is idle: $0.000075 for 1,000,000 random draws" in lines
    name, _, command = lines[-1].partition("\t")
    assert name == "try"
    assert shlex.split(command) == ["coalesced", "--home", str(served.home), "ask", "draws", '{"it\'s": 1}']


def test_the_first_model_of_an_endpoint_is_sold_as_chat_too_and_its_key_stays_where_it_is(
    served: ServedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models = ("--openai", "http://127.0.0.1:1/v1", "--model", "first", "--model", "second")
    ran = Ran(served.home, "sell", *models, "--price", "0.15:0.60", "--key-file", "key", "--per-minute", "60")
    assert ran.code == 0, ran.err
    request = served.on_loop(lambda node: node.sell_request)
    assert request is not None
    assert request.label == "chat"
    assert request.remote == ModelSource(
        url="http://127.0.0.1:1/v1",
        model="first",
        key_file=str(tmp_path / "key"),
        per_minute=60,
        price=TokenRate(read_micro=150_000, written_micro=600_000),
    )
    assert Ran(served.home, "sell", *models, "--embeddings").code == 0
    request = served.on_loop(lambda node: node.sell_request)
    assert request is not None
    assert isinstance(request.remote, ModelSource)
    assert (request.label, request.remote.model, request.remote.kind) == (None, "second", "embeddings")
    assert Ran(served.home, "sell", *models, "--label", "one").code == 2
    assert Ran(served.home, "sell", "rm", "chat").code == 0
    assert Ran(served.home, "sell", "rm", "http://127.0.0.1:1/v1").code == 0


def test_the_gateways_token_is_made_once_printed_on_request_and_replaced_on_request(served: ServedNode) -> None:
    first = Ran(served.home, "gateway", "token").out.strip()
    assert first.startswith("sk-coalesced-")
    assert Ran(served.home, "gateway", "token").out.strip() == first
    assert Ran(served.home, "gateway", "token", "--new").out.strip() != first
    told = Ran(served.home, "gateway").out
    assert "off; to switch it on: coalesced start --openai-port" in told
    file = served.home / "openai.token"
    assert str(file) in told
    file.chmod(0o644)
    assert "chmod 600" in Ran(served.home, "gateway", "token").err
    file.unlink()


def test_selling_listing_and_taking_off_sale(
    served: ServedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("API_TOKEN", "hunter2")
    assert Ran(served.home, "sell", "mod:fn", "--label", "up", "--price", "0.002", "--memory", "512M").code == 0
    request = served.on_loop(lambda node: node.sell_request)
    assert request is not None
    assert (request.target, request.price_micro, request.memory_bytes) == ("mod:fn", 2000, 512 * 2**20)
    assert request.directory == str(tmp_path)
    languages = {name for name in os.environ if name.startswith("LC_")}
    assert {"PATH", "LC_TIME"} <= set(request.environment) <= KEPT_VARIABLES | languages
    assert Ran(served.home, "sell", "mod:fn", "--env", "API_TOKEN").code == 0
    request = served.on_loop(lambda node: node.sell_request)
    assert request is not None
    assert request.environment["API_TOKEN"] == "hunter2"
    unset = Ran(served.home, "sell", "mod:fn", "--env", "NOT_SET")
    assert (unset.code, "no variable of that name is set" in unset.err) == (2, True)
    assert Ran(served.home, "sell", "ls").lines[0].split("\t")[0] == "up"
    assert Ran(served.home, "sell", "rm", "up").out == "up is no longer on sale\n"
    assert Ran(served.home, "sell", "rm", "up").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("peers ls", "127.0.0.1:7401"),
        ("peers ping k7m2qfab", "12 ms from 127.0.0.1:7401"),
        ("peers block k7m2qfab", "k7m2qfab is blocked"),
        ("peers unblock k7m2qfab", "no longer blocked"),
        ("skills ls", "does upper"),
        ("task ls", "completed"),
        ("task ls --state completed -n 1", "upper"),
        ("journal tail", "receipt"),
        ("journal show 1", "skill"),
        ("journal verify", "holds"),
        ("tail -n 1", "peer_connected  k7m2qfab"),
        ("reload", "nothing changed"),
    ],
)
def test_a_command_prints_what_the_node_said(served: ServedNode, done: str, arguments: str, said: str) -> None:
    for terminal in (False, True):
        ran = Ran(served.home, *arguments.split(), terminal=terminal)
        assert (ran.code, ran.err) == (0, "")
        assert said in ran.out
    schemas = [msgspec.json.decode(line)["schema"] for line in Ran(served.home, *arguments.split(), "--json").lines]
    assert all(schema.startswith("coalesced.") for schema in schemas)


def test_a_task_is_shown_with_result_and_receipt(served: ServedNode, done: str) -> None:
    assert "upper: completed by k7m2qfab" in Ran(served.home, "task", "show", done).out
    assert Ran(served.home, "task", "result", done).out == "A TASK\n"
    assert "by both" in Ran(served.home, "task", "receipt", done).out
    assert Ran(served.home, "task", "watch", done).out == "A TASK\n"
    assert Ran(served.home, "task", "show", "none").code == 2


@pytest.mark.parametrize("name", ["", " ", ".", "..", '{"a": 1}', "a" * 9000])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("why", "is not a task id: `coalesced task ls` lists them"),
        ("task show", "is not a task id: `coalesced task ls` lists them"),
        ("task watch", "is not a task id: `coalesced task ls` lists them"),
        ("decide --replay", "is not a task id: `coalesced task ls` lists them"),
        ("peers ping", "is not a peer: `coalesced peers ls` lists them"),
        ("sell rm", "is not a skill label: `coalesced skills ls` lists them"),
    ],
)
def test_a_name_that_is_none_is_refused_before_it_is_sent(
    served: ServedNode, command: str, said: str, name: str
) -> None:
    ran = Ran(served.home, *command.split(), name)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err) < 200


def test_an_empty_answer_is_refused(served: ServedNode, done: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert Ran(served.home, "task", "answer", done).code == 2
    refused = Ran(served.home, "task", "answer", done, "1999")
    assert (refused.code, "waits for no answer" in refused.err) == (1, True)


def test_doctor_adds_its_own_checks_and_writes_a_bundle(served: ServedNode, tmp_path: Path) -> None:
    import zipfile

    ran = Ran(served.home, "doctor", "--bundle", str(tmp_path / "bundle.zip"))
    assert ran.code == 0
    assert {line.split("\t")[1] for line in ran.lines} >= {"python", "home", "journal", "clock", "daemon"}
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert set(bundle.namelist()) == {
            *("doctor.json", "versions.json", "settings.json", "status.json", "metrics.txt"),
        }


def test_stop_waits_until_the_node_is_gone(tmp_path: Path) -> None:
    with serve(tmp_path) as own:
        ran = Ran(tmp_path, "stop", "--now")
        assert (ran.code, ran.out) == (0, "stopped\n")
        assert own.node.stopped is False
    assert Ran(tmp_path, "status").code == 3


# --- without a daemon ---


@pytest.mark.parametrize("arguments", ["status", "ask upper x", "task ls", "tail", "stop", "sell ls", "why x"])
def test_without_a_daemon_the_exit_code_is_3(tmp_path: Path, arguments: str) -> None:
    ran = Ran(tmp_path, *arguments.split())
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"error: no daemon listens on {tmp_path}/control.sock. Start it: coalesced start\n"


def test_init_makes_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = Ran(home, "init", "--json").json
    key = (home / "identity.key").read_bytes()
    assert (home / "identity.key").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    again = Ran(home, "init")
    assert "kept the key" in again.out
    assert (home / "identity.key").read_bytes() == key
    assert Ran(home, "keys", "export").out.strip() == made["did"]
    assert Ran(home, "keys", "--json").json == Ran(home, "keys", "show", "--json").json
    shown = Ran(home, "keys")
    assert str(home / "identity.key") in shown.out
    assert not any(line in shown.out for line in key.decode().splitlines() if not line.startswith("-"))
    assert Ran(home, "config", "check").out.endswith("not a default: 0 settings\n")


@pytest.mark.parametrize("command", [("keys", "backup", "-o", "copy"), ("keys", "restore", "copy")])
def test_a_passphrase_file_that_others_can_read_is_no_bug_of_ours(tmp_path: Path, command: tuple[str, ...]) -> None:
    file, home = tmp_path / "passphrase", tmp_path / "home"
    file.write_text("p\n")
    file.chmod(0o644)
    if command[1] == "backup":
        assert Ran(home, "init").code == 0
    refused = Ran(home, *command, "--passphrase-file", str(file))
    assert refused.code == 2
    assert refused.err == f"error: others can read the passphrase file {file}: run `chmod 600 {file}`\n"


def test_init_can_seal_the_key_with_a_passphrase_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pass"
    file.write_text("correct horse\n")
    refused = Ran(tmp_path / "home", "init", "--passphrase-file", str(file))
    assert (refused.code, "chmod 600" in refused.err) == (2, True)
    file.chmod(0o600)
    assert Ran(tmp_path / "home", "init", "--passphrase-file", str(file)).code == 0
    assert "sealed" in Ran(tmp_path / "home", "keys").err


def test_keys_without_a_key_points_at_init(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "keys")
    assert (ran.code, "try: coalesced init" in ran.err) == (1, True)


def test_a_wrong_configuration_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[node]\nport = 70000\n")
    for command in ("start", "config check", "config show"):
        ran = Ran(tmp_path, *command.split())
        assert ran.code == 2
        assert f"{tmp_path}/config.toml:2: node.port = 70000: write a whole number from 0 to 65535" in ran.err


def test_config_show_says_where_a_value_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("[log]\nlevel = 'debug'\n")
    monkeypatch.setenv("COALESCED_PORT", "7")
    ran = Ran(tmp_path, "config", "show", "--origin", "--set")
    assert ran.lines == ["node.port\t7\tCOALESCED_PORT", f'log.level\t"debug"\t{tmp_path}/config.toml:2']


def test_doctor_without_a_daemon_checks_what_it_can(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Ran(home, "init")
    (home / "identity.key").chmod(0o644)
    ran = Ran(home, "doctor")
    by_name = {line.split("\t")[1]: line.split("\t") for line in ran.lines}
    assert ran.code == 1
    assert (by_name["key"][0], by_name["daemon"][0], by_name["home"][0]) == ("fail", "skip", "pass")
    assert by_name["key"][3] == f"chmod 600 {home}/identity.key"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(tmp_path: Path, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    Ran(tmp_path, "completion", shell)
    assert "_COALESCED_COMPLETE" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "aks")
    assert (ran.code, "Nearest: ask" in ran.err) == (2, True)


@pytest.mark.parametrize("arguments", [(), ("peers",), ("sell",), ("config",)])
def test_a_command_without_its_arguments_prints_its_help_as_it_stands(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = Ran(tmp_path, *arguments)
    assert (ran.code, ran.out, ran.err.splitlines()[0].split()[0]) == (2, "", "Usage:")
    assert len(ran.err.splitlines()) > 5


def test_a_group_without_a_command_is_an_error_object_as_json(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "--json", "peers")
    assert (ran.code, ran.json["code"], ran.err) == (2, "usage", "")


def test_a_usage_error_ends_its_sentence_before_it_points_at_the_help(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "ask", "upper", "x", "--budget", "0.0000001")
    assert re.search(r"6 decimals at most\. Try: \S.* ask --help$", ran.err)


def test_the_choices_of_a_missing_argument_are_one_line(tmp_path: Path) -> None:
    assert "Choose from: claude-code, cursor, codex, vscode. Try:" in Ran(tmp_path, "connect").err


def test_a_command_with_an_open_quote_is_a_mistake_and_no_bug(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "sell", "--mcp", "'python server.py")
    assert (ran.code, "is not a command: No closing quotation" in ran.err) == (2, True)


def test_every_command_is_described_in_one_line_that_is_not_cut_off(tmp_path: Path) -> None:
    listed = [line for group in GROUPS for line in Ran(tmp_path, group).err.splitlines()]
    assert not [line for line in listed if line.endswith("...") and "[ARGS]" not in line]
    assert any(line.lstrip().startswith("verify") for line in listed)
