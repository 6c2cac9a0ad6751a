"""The console over a real control socket: lines in, text and exit codes out."""

import asyncio
import io
import json
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from coalesced.cli.errors import INTERRUPTED, CliError
from coalesced.control.config import ControlConfig
from coalesced.control.facade import Node
from coalesced.control.server import ControlServer
from coalesced.repl.completion import ConsoleCompleter
from coalesced.repl.history import HISTORY_FILE, open_history
from coalesced.repl.names import Names
from coalesced.repl.output import MAX_KEPT_CHARS, KeepingOutput
from coalesced.repl.prompt import interact
from coalesced.repl.script import file_lines, given_lines, run_script
from coalesced.repl.session import MAX_JOB_CHARS, MAX_JOBS, ConsoleSession
from tests.harness.memory_node import MemoryNode

DEADLINE_S = 60.0


class RecordingOutput(DummyOutput):
    """A terminal for prompt_toolkit that remembers what was printed."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, data: str) -> None:
        self.text += data

    def write_raw(self, data: str) -> None:
        self.text += data


class Screen(io.StringIO):
    """What a person would see."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def node(home: Path) -> AsyncIterator[MemoryNode]:
    memory = MemoryNode()
    facade: Node = memory
    server = ControlServer(facade, ControlConfig(close_timeout_s=0.1), home / "control.sock")
    await server.start()
    yield memory
    memory.release.set()
    await server.stop()


@pytest.fixture
def out() -> Screen:
    return Screen()


@pytest.fixture
def err() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
async def session(node: MemoryNode, home: Path, out: Screen, err: io.StringIO) -> AsyncIterator[ConsoleSession]:
    async with ConsoleSession(home, out, err) as opened:
        yield opened


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  what is waited for is text on a screen
            await asyncio.sleep(0.005)


async def bounded(call: Awaitable[int]) -> int:
    return await asyncio.wait_for(call, DEADLINE_S)


# --- lines --------------------------------------------------------------------------------------------------


async def test_a_line_runs_the_command_lines_own_command(session: ConsoleSession, out: Screen) -> None:
    assert await session.execute("peers ls") == 0
    assert "k7m2qfab" in out.getvalue()


@pytest.mark.parametrize("text", ["", "   ", "# nothing"])
async def test_an_empty_line_does_nothing(session: ConsoleSession, out: Screen, text: str) -> None:
    assert await session.execute(text) == 0
    assert out.getvalue() == ""


async def test_the_last_result_can_be_asked_about_again(session: ConsoleSession, out: Screen) -> None:
    assert await session.execute("ask upper 'some words'") == 0
    assert session.last_result == "SOME WORDS"
    assert await session.execute('ask upper "<$_>"') == 0
    assert session.last_result == "<SOME WORDS>"


async def test_json_is_asked_for_with_a_bar(session: ConsoleSession, out: Screen) -> None:
    assert await session.execute("status | json") == 0
    assert json.loads(out.getvalue())["schema"] == "coalesced.status/1"


async def test_a_result_goes_into_a_file_byte_by_byte(session: ConsoleSession, out: Screen, tmp_path: Path) -> None:
    assert await session.execute(f"ask upper 'ä b' > '{tmp_path / 'a file'}'") == 0
    assert (tmp_path / "a file").read_bytes() == "Ä B".encode()
    assert out.getvalue() == ""
    assert session.last_result == ""


async def test_a_file_that_cannot_be_written_is_an_error_before_anything_is_asked(
    session: ConsoleSession, node: MemoryNode, err: io.StringIO
) -> None:
    assert await session.execute("ask upper x > /nowhere/at/all") == 1
    assert "cannot write /nowhere/at/all: No such file" in err.getvalue()
    assert node.by_id == {}


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        ("ask upper 'open", 2, "never closed"),
        ("nonsense", 2, "No such command 'nonsense'"),
        ("peer", 2, "Nearest: peers"),
        ("peers ls --nope", 2, "No such option"),
        ("start", 2, "a terminal of its own"),
        ("console", 2, "already"),
        ("ask nothing-like-it x", 2, "nearest: upper"),
        ("ask refuse x", 7, "the figures do not add up"),
        ("why 1234", 2, "no task '1234'"),
        ("expect friends > 1", 2, "choose one of"),
        ("use", 2, "use NODE"),
        ("use n99", 1, "testnet"),
        ("use /nowhere/at/all", 3, "no daemon listens"),
    ],
)
async def test_a_wrong_line_gives_the_command_lines_exit_code_and_a_clear_text(
    session: ConsoleSession,
    err: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.setenv("COALESCED_TESTNETS", str(tmp_path))
    assert await session.execute(text) == code
    assert complaint in err.getvalue()
    assert "Traceback" not in err.getvalue()


async def test_help_names_every_word(session: ConsoleSession, out: Screen) -> None:
    assert await session.execute("help") == 0
    for word in ("ask", "decide", "expect", "testnet", "$_", "^C", "use NODE", "jobs:", "exit:", "find:", "watch:"):
        assert word in out.getvalue()


# --- cancelling and the background --------------------------------------------------------------------------


async def test_cancelling_a_line_cancels_its_task(session: ConsoleSession, node: MemoryNode, err: io.StringIO) -> None:
    assert not session.cancel()
    running = asyncio.ensure_future(session.execute("ask slow x --stream"))
    await until(lambda: "progress" in err.getvalue())
    assert session.cancel()
    assert await bounded(running) == INTERRUPTED
    (task,) = node.by_id.values()
    assert task.state == "cancelled"


async def test_the_session_is_usable_after_a_cancelled_line(session: ConsoleSession, node: MemoryNode) -> None:
    running = asyncio.ensure_future(session.execute("expect peers > 99 within 60s"))
    await until(lambda: session.is_busy)
    session.cancel()
    assert await bounded(running) == INTERRUPTED
    assert await session.execute("status") == 0


async def test_a_background_line_does_not_hold_the_next(session: ConsoleSession, node: MemoryNode, out: Screen) -> None:
    assert await session.execute("ask slow 'in the back' &") == 0
    assert await session.execute("jobs") == 0
    assert "[1] ask slow 'in the back' &" in out.getvalue()
    assert await session.execute("ask upper front") == 0
    node.release.set()
    await until(lambda: "[1] done" in out.getvalue())
    assert "IN THE BACK" in out.getvalue()
    assert session.last_result == "FRONT"


async def test_a_long_answer_from_the_background_is_cut(session: ConsoleSession, node: MemoryNode, out: Screen) -> None:
    assert await session.execute(f"ask slow '{'x' * 5 * MAX_JOB_CHARS}' &") == 0
    node.release.set()
    await until(lambda: "[1] done" in out.getvalue() and "characters left out" in out.getvalue())
    answer = out.getvalue().partition("XXX")[2]
    assert len(answer) < MAX_JOB_CHARS + 200
    assert "why: coalesced --home " in answer, "its end is there"


async def test_a_pasted_command_line_is_understood(session: ConsoleSession, home: Path, out: Screen) -> None:
    assert await session.execute("coalesced skills ls") == 0
    assert await session.execute(f"coalesced --home {home} skills ls") == 0
    assert out.getvalue().count("does upper") == 2


async def test_a_failed_background_line_says_so(session: ConsoleSession, out: Screen) -> None:
    assert await session.execute("ask refuse x &") == 0
    await until(lambda: "[1] failed with exit code 7" in out.getvalue())
    assert "the figures do not add up" in out.getvalue()


async def test_the_number_of_background_lines_is_limited(
    session: ConsoleSession, node: MemoryNode, err: io.StringIO
) -> None:
    for _ in range(MAX_JOBS):
        assert await session.execute("ask slow x &") == 0
    assert await session.execute("ask slow x &") == 1
    assert f"{MAX_JOBS} lines run in the background already" in err.getvalue()


async def test_leaving_ends_what_runs_in_the_background(node: MemoryNode, home: Path, out: Screen) -> None:
    async with ConsoleSession(home, out, out) as session:
        await session.execute("tail &")
        await until(lambda: "started" in out.getvalue())
    assert "cancelled: tail &" in out.getvalue()


# --- expect and scripts -------------------------------------------------------------------------------------


async def test_an_expectation_that_holds_passes_at_once(session: ConsoleSession, out: Screen) -> None:
    assert await session.execute("expect peers >= 4 within 60s") == 0
    assert "peers = 4" in out.getvalue()


async def test_an_expectation_is_waited_for(session: ConsoleSession, node: MemoryNode) -> None:
    await session.execute("ask slow x &")
    waiting = asyncio.ensure_future(session.execute("expect completed = 1 within 60s"))
    await until(lambda: session.is_busy)
    node.release.set()
    assert await bounded(waiting) == 0


async def test_an_expectation_that_fails_says_what_was_found(session: ConsoleSession, err: io.StringIO) -> None:
    assert await session.execute("expect peers >= 7 within 50ms") == 1
    assert "expected peers >= 7 within 0.05 s; it is 4" in err.getvalue()


async def test_a_script_stops_at_the_first_error_and_names_its_line(
    session: ConsoleSession, node: MemoryNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "setup.txt"
    script.write_text("# first\nask upper one\n\nask refuse two\nask upper three\n")
    assert await run_script(session, file_lines(script)) == 7
    assert f"{script}:4: stopped here, exit code 7: ask refuse two" in capsys.readouterr().err
    assert len(node.by_id) == 2


async def test_a_script_may_leave_early(session: ConsoleSession, node: MemoryNode) -> None:
    assert await run_script(session, given_lines(["ask upper one", "exit", "ask upper two"])) == 0
    assert len(node.by_id) == 1


@pytest.mark.parametrize(("content", "complaint"), [(b"\xff", "not UTF-8"), (b"a" * (2**20 + 1), "longer than")])
def test_a_file_that_is_no_script_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "script").write_bytes(content)
    with pytest.raises(CliError, match=complaint):
        file_lines(tmp_path / "script")


def test_a_script_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="No such file"):
        file_lines(tmp_path / "script")


# --- at the prompt ------------------------------------------------------------------------------------------


def completions(names: Names, text: str) -> list[str]:
    return [found.text for found in ConsoleCompleter(names).get_completions(Document(text), CompleteEvent())]


async def test_words_options_and_names_are_completed(session: ConsoleSession) -> None:
    names = Names()
    await session.execute("ask upper x")
    await names.refresh(session.client)
    (task_id,) = names.tasks
    assert completions(names, "pe") == ["peers"]
    assert completions(names, "ex") == ["exit", "expect"]
    assert completions(names, "st") == ["status", "stop"]  # not start
    assert "ping" in completions(names, "peers ")
    assert completions(names, "peers ping k") == ["k7m2qfab"]
    assert completions(names, "why ") == [task_id]
    assert completions(names, "ask up") == ["upper"]
    assert completions(names, "expect pe") == ["peers"]
    assert completions(names, "status --wa") == ["--watch"]
    assert completions(names, "testnet chaos k") == ["kill"]
    assert completions(names, "no such thing ") == []


async def test_names_survive_a_node_that_is_away(session: ConsoleSession, home: Path) -> None:
    names = Names()
    await names.refresh(session.client)
    async with ConsoleSession(home / "nobody", io.StringIO(), io.StringIO()) as lonely:
        await names.refresh(lonely.client)
    assert names.peers == ("k7m2qfab",)


def test_history_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_text("")
    (tmp_path / HISTORY_FILE).chmod(0o644)
    open_history(tmp_path).append_string("ask upper secret")
    assert stat.S_IMODE((tmp_path / HISTORY_FILE).stat().st_mode) == 0o600
    assert "secret" in (tmp_path / HISTORY_FILE).read_text()


def test_history_without_a_directory_is_kept_in_memory(tmp_path: Path) -> None:
    open_history(tmp_path / "missing").append_string("a line")
    assert not (tmp_path / "missing").exists()


async def test_the_console_reads_runs_and_leaves_at_end_of_file(
    node: MemoryNode, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):
        keyboard.send_text("ask upper words\n")
        keyboard.send_text("half a line\x03")  # ^C drops it
        keyboard.send_text("ask upper $_-again\n\x04")
        assert await bounded(interact(home)) == 0
    assert [data for data, _ in node.results.values()] == [b"WORDS", b"WORDS-AGAIN"]
    assert "ask upper words" in (home / HISTORY_FILE).read_text()
    assert "node k7m2qfab on network main" in capsys.readouterr().out


async def test_an_event_is_printed_above_the_prompt(node: MemoryNode, home: Path) -> None:
    terminal = RecordingOutput()
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=terminal):
        console = asyncio.ensure_future(interact(home))
        keyboard.send_text("half a li")
        await until(lambda: "peer_connected" in terminal.text)
        keyboard.send_text("\x03\x04")
        assert await bounded(console) == 0


def test_what_is_kept_for_the_last_result_is_bounded() -> None:
    screen = Screen()
    output = KeepingOutput(screen)
    for _ in range(3):
        output.write("x" * MAX_KEPT_CHARS)
    assert len(output.text) == MAX_KEPT_CHARS
    assert len(screen.getvalue()) == 3 * MAX_KEPT_CHARS
