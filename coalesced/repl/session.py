"""One console session: runs lines against one node, in order or in the background, until told to leave.

A command is the command line's own, run in a worker thread with a Face whose calls are handed to the session's loop
and open client. So words, options, drawings, errors and exit codes are the command line's by construction.
"""

import asyncio
import io
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

from coalesced.cli.errors import INTERRUPTED
from coalesced.cli.escape import escaped
from coalesced.cli.main import COMMANDS, run
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.paths import PathError, expanded, find_paths
from coalesced.repl.expect import ExpectError, parse_expectation
from coalesced.repl.expecting import QUANTITIES, fulfilled
from coalesced.repl.face import ConsoleFace
from coalesced.repl.grammar import GrammarError, Line, parse
from coalesced.repl.output import KeepingOutput
from coalesced.repl.words import ALIASES, GRAMMAR_HELP, OWN, WordError, meaning
from coalesced.testnet.manifest import TestnetError, default_directory, load

MAX_JOBS: Final = 16
"""Background lines at once; each holds a thread while it waits."""
MAX_JOB_CHARS: Final = 2_000
"""Of what a background line printed, shown when it ends: somebody is typing meanwhile."""
LEAVE_TIMEOUT_S: Final = 6.0
"""A cancelled `ask` takes up to 5 s to cancel its task."""
USAGE: Final = 2


class ConsoleSession:
    """Runs lines. Open it with `async with`; leaving it cancels what runs in the background."""

    def __init__(self, home: Path | None, out: TextIO, err: TextIO, *, as_json: bool = False) -> None:
        """`as_json` makes every line end with `| json`, so to say."""
        self.home = home
        self._as_json = as_json
        self.last_result = ""
        self.wants_to_leave = False
        self.has_reader = True
        """Whether somebody still reads the output."""
        self._out = out
        self._err = err
        self._stack = AsyncExitStack()
        self._threads = ThreadPoolExecutor(max_workers=MAX_JOBS + 1, thread_name_prefix="console")
        self._foreground: ConsoleFace | asyncio.Task[Any] | None = None
        self._jobs: dict[int, tuple[str, asyncio.Task[None], ConsoleFace]] = {}
        self._jobs_started = 0
        self.client = ControlClient(self._socket(home))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, _, face in self._jobs.values():
            face.cancel()
        await asyncio.gather(*(job for _, job, _ in self._jobs.values()), return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._stack.aclose()

    @property
    def name(self) -> str:
        """The node's directory by its last part, for the prompt; empty for the default node."""
        return self.home.name if self.home is not None else ""

    @property
    def is_busy(self) -> bool:
        """Whether a line runs in the foreground."""
        return self._foreground is not None

    def cancel(self) -> bool:
        """Cancel the line in the foreground; False when there is none."""
        if self._foreground is None:
            return False
        self._foreground.cancel()
        return True

    async def execute(self, text: str) -> int:
        """Run one line; its exit code, as the command line's. 0 for an empty line or a job that was started."""
        try:
            line = parse(text, last_result=self.last_result)
            if not line.words:
                return 0
            meant = meaning(line.words)
        except (GrammarError, WordError) as error:
            return self._complain(str(error))
        if meant.own:
            return await self._own(meant.own, meant.arguments)
        return await self._command(text, meant.arguments, line)

    # --- commands of the command line ---

    async def _command(self, text: str, arguments: tuple[str, ...], line: Line) -> int:
        try:
            file = open_for_writing(line.into_file) if line.into_file else None
        except OSError as error:
            return self._complain(f"cannot write {line.into_file}: {error.strerror}", code=1)
        except PathError as error:
            return self._complain(str(error), code=1)
        if line.in_background:
            return self._start_job(text, arguments, line, file)
        kept = KeepingOutput(self._out)
        face = self._face(line, file or kept, self._err)
        self._foreground = face
        try:
            code = await self._run(arguments, face, file)
        finally:
            self._foreground = None
        self.has_reader &= face.has_reader
        if code == 0 and kept.text:
            self.last_result = kept.text
        return code

    def _face(self, line: Line, out: TextIO, err: TextIO) -> ConsoleFace:
        return ConsoleFace(self.home, self.client, self._loop, as_json=line.as_json or self._as_json, out=out, err=err)

    async def _run(self, arguments: tuple[str, ...], face: ConsoleFace, file: TextIO | None) -> int:
        ended = self._loop.run_in_executor(self._threads, run, arguments, face)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            # The thread must be out of its call before the client that it uses is closed.
            face.cancel()
            await asyncio.wait([ended], timeout=LEAVE_TIMEOUT_S)
            raise
        finally:
            if file is not None:
                file.close()

    # --- the background ---

    def _start_job(self, text: str, arguments: tuple[str, ...], line: Line, file: TextIO | None) -> int:
        if len(self._jobs) >= MAX_JOBS:
            return self._complain(f"{MAX_JOBS} lines run in the background already: wait for one (jobs)", code=1)
        self._jobs_started += 1
        number = self._jobs_started
        written = io.StringIO()
        face = self._face(line, file or written, written)
        job = self._loop.create_task(self._job(number, arguments, face, file, written))
        self._jobs[number] = (text.strip(), job, face)
        self._say(f"[{number}] started")
        return 0

    async def _job(
        self, number: int, arguments: tuple[str, ...], face: ConsoleFace, file: TextIO | None, written: io.StringIO
    ) -> None:
        code = await self._run(arguments, face, file)
        text, _, _ = self._jobs.pop(number)
        ended = "cancelled" if code == INTERRUPTED else "done" if code == 0 else f"failed with exit code {code}"
        self._say(f"[{number}] {ended}: {text}")
        self._say(shortened(written.getvalue().rstrip("\n")))

    # --- the console's own words ---

    async def _own(self, word: str, arguments: tuple[str, ...]) -> int:
        match word:
            case "expect":
                return await self._expect(arguments)
            case "use":
                return await self._use(arguments)
            case "jobs":
                self._say("\n".join(f"[{n}] {text}" for n, (text, _, _) in self._jobs.items()) or "nothing runs")
            case "exit":
                self.wants_to_leave = True
            case _:
                self._say(OWN[arguments[0]] if arguments else _help())
        return 0

    async def _expect(self, arguments: tuple[str, ...]) -> int:
        try:
            expectation = parse_expectation(arguments, tuple(QUANTITIES))
        except ExpectError as error:
            return self._complain(str(error))
        self._foreground = self._loop.create_task(fulfilled(self.client, expectation))
        try:
            holds, value = await self._foreground
        except asyncio.CancelledError:
            return INTERRUPTED
        except ControlError as error:
            return self._complain(error.text, code=error.exit_code)
        finally:
            self._foreground = None
        if not holds:
            return self._complain(f"expected {expectation}; it is {value:g}", code=1)
        self._say(f"{expectation.quantity} = {value:g}")
        return 0

    async def _use(self, arguments: tuple[str, ...]) -> int:
        if len(arguments) != 1:
            return self._complain(OWN["use"])
        try:
            home = _home_called(arguments[0])
        except (TestnetError, PathError) as error:
            return self._complain(str(error), code=1)
        client = ControlClient(self._socket(home))
        try:
            await self._stack.enter_async_context(client)
            status = await client.status()
        except ControlError as error:
            return self._complain(error.text, code=error.exit_code)
        self.home, self.client = home, client
        self._say(f"talking to {status['node']} in {status['home']}")
        return 0

    # --- how ---

    @staticmethod
    def _socket(home: Path | None) -> Path:
        return find_paths(home, environ=os.environ).socket

    def _say(self, text: str) -> None:
        if text:
            print(text, file=self._out, flush=True)

    def _complain(self, text: str, *, code: int = USAGE) -> int:
        print(f"error: {escaped(text)}", file=self._err, flush=True)
        return code


def shortened(text: str) -> str:
    """What a background line printed, cut in the middle where it is long: its end says how it went."""
    if len(text) <= MAX_JOB_CHARS:
        return text
    half = MAX_JOB_CHARS // 2
    cut = f"\n... {len(text) - 2 * half:,} characters left out; whole: `task result ID`, or > FILE before the & ...\n"
    return text[:half] + cut + text[-half:]


def open_for_writing(name: str) -> TextIO:
    """The file that a line writes into; OSError or PathError when it cannot be."""
    return expanded(name).open("w", encoding="utf-8")


def _home_called(word: str) -> Path:
    """The home that `word` names: a directory, or a node of the usual testnet."""
    directory = expanded(word)
    if "/" in word or directory.is_dir():
        return directory.absolute()
    manifest = load(default_directory("default", environ=os.environ))
    return manifest.home(manifest.node(word))


def _help() -> str:
    sections = [f"{title}:  " + " ".join(section) for title, section in COMMANDS.items()]
    own = [f"  {line}" for line in OWN.values()]
    own += [f"  {word}: short for {' '.join(meant)}" for word, meant in ALIASES.items()]
    return "\n".join([*sections, "Here, besides:", *own, "Anywhere:", GRAMMAR_HELP, "More: help COMMAND"])
