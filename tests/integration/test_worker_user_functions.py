"""A user's functions in their own worker process: environment, input, output, questions, errors, its end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from node.execute.config import ExecuteConfig
from node.execute.errors import ExecutionError, InputError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.processes import ProcessExecutor
from node.execute.user import UserSkill

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def executor() -> AsyncIterator[ProcessExecutor]:
    one = ProcessExecutor(ExecuteConfig(max_workers=2))
    yield one
    await one.stop()


async def offer(executor: ProcessExecutor, folder: Path, code: str, function: str = "work", **changes: Any) -> None:
    (folder / "mine.py").write_text(code)
    found = await executor.describe_user_function(
        f"mine:{function}", directory=str(folder), environment=dict(os.environ), python=sys.executable
    )
    fields = {
        "label": "mine",
        "module": "mine",
        "function": function,
        "directory": str(folder),
        "input_media_types": found.input_media_types,
        "output_media_type": found.output_media_type,
        **changes,
    }
    executor.register(UserSkill(**fields))


async def run(executor: ProcessExecutor, data: bytes, media_type: str = "text/plain", **more: Any) -> Execution:
    return await executor.run(Job("mine", data, media_type, timeout_s=30, **more))


async def test_an_async_function_reports_progress_and_asks(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "from coalesced.skill import ask, progress, skill\n"
        "@skill('mine', price='0.002/page', caption='Greets')\n"
        "async def work(text: str) -> str:\n"
        "    progress(250_000, 'thinking')\n"
        "    return f'{text}, ' + await ask('your name?')\n"
    )
    await offer(executor, tmp_path, code)
    seen: list[tuple[int, str]] = []
    asked: list[str] = []

    async def answer(question: str) -> str:
        asked.append(question)
        return "Zoë"

    done = await run(executor, b"hello", on_progress=lambda ppm, text: seen.append((ppm, text)), ask=answer)
    assert done.output.decode() == "hello, Zoë"
    assert done.media_type == "text/plain"
    assert asked == ["your name?"]
    assert seen == [(250_000, "thinking")]


async def test_a_question_that_nobody_answers_raises_in_the_function(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "import coalesced.skill\n"
        "async def work(text: str) -> str:\n"
        "    try:\n"
        "        return await coalesced.skill.ask('?')\n"
        "    except RuntimeError as error:\n"
        "        return str(error)\n"
    )
    await offer(executor, tmp_path, code)
    assert b"takes no questions" in (await run(executor, b"x")).output


async def test_the_users_own_modules_win_over_ours(executor: ProcessExecutor, tmp_path: Path) -> None:
    for name in ("crypto", "node", "protocol", "frames", "worker", "skill"):
        (tmp_path / f"{name}.py").write_text(f"mark = 'the user: {name}'\n")
    code = (
        "import crypto, node, protocol, frames, worker, skill\n"
        "from coalesced.skill import progress\n"
        "def work(text: str) -> list[str]:\n"
        "    return [module.mark for module in (crypto, node, protocol, frames, worker, skill)]\n"
    )
    await offer(executor, tmp_path, code)
    marks = json.loads((await run(executor, b"x")).output)
    assert marks == [f"the user: {name}" for name in ("crypto", "node", "protocol", "frames", "worker", "skill")]


async def test_our_packages_are_not_importable_from_a_users_function(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "import importlib.util\n"
        "def work(text: str) -> list[str]:\n"
        "    return [n for n in ('crypto', 'node', 'dht', 'protocol') if importlib.util.find_spec(n)] + ['end']\n"
    )
    await offer(executor, tmp_path, code)
    assert json.loads((await run(executor, b"x")).output) == ["end"]


async def test_directory_and_environment_are_the_callers(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "import os\n"
        "def work(text: str) -> dict[str, str]:\n"
        "    return {'directory': os.getcwd(), 'value': os.environ['MINE']}\n"
    )
    await offer(executor, tmp_path, code, environment={**os.environ, "MINE": "7"})
    found = json.loads((await run(executor, b"x")).output)
    assert found == {"directory": str(tmp_path.resolve()), "value": "7"}


async def test_prints_and_reads_do_not_disturb_the_result(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys\n"
        "def work(text: str) -> str:\n"
        "    print('noise'); os.write(1, b'raw noise'); sys.stdout.buffer.write(b'more')\n"
        "    subprocess.run([sys.executable, '-c', 'print(1)'], check=True)\n"
        "    return repr(sys.stdin.read())\n"
    )
    await offer(executor, tmp_path, code)
    assert (await run(executor, b"x")).output == b"''"


async def test_a_failure_names_the_error_and_keeps_its_traceback_for_the_seller(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    await offer(executor, tmp_path, "def work(text: str) -> str:\n    raise KeyError('no such page')\n")
    with pytest.raises(ExecutionError, match="KeyError: 'no such page'") as caught:
        await run(executor, b"x")
    assert "Traceback" in caught.value.stderr_tail
    assert "mine.py" in caught.value.stderr_tail


async def test_a_dying_process_is_reported_with_its_last_words(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = "import os, sys\ndef work(text: str) -> str:\n    print('last words', flush=True); os._exit(7)\n"
    await offer(executor, tmp_path, code)
    with pytest.raises(ExecutionError, match="exit code 7") as caught:
        await run(executor, b"x")
    assert "last words" in caught.value.stderr_tail


async def test_calling_exit_is_a_failure_not_an_end(executor: ProcessExecutor, tmp_path: Path) -> None:
    await offer(executor, tmp_path, "def work(text: str) -> str:\n    raise SystemExit(3)\n")
    for _ in range(2):
        with pytest.raises(ExecutionError, match=r"exit\(3\)"):
            await run(executor, b"x")


async def test_state_stays_warm_between_tasks(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "import asyncio\n"
        "loops = []\n"
        "async def work(text: str) -> int:\n"
        "    loops.append(asyncio.get_running_loop())\n"
        "    return len(loops) if len(set(loops)) == 1 else -1\n"
    )
    await offer(executor, tmp_path, code)
    assert [(await run(executor, b"x")).output for _ in range(3)] == [b"1", b"2", b"3"]


async def test_typed_arguments_come_as_json_and_are_checked(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "from typing import Literal, TypedDict\n"
        "class Line(TypedDict):\n"
        "    name: str\n"
        "    price: float\n"
        "def work(\n"
        "    lines: list[Line], currency: Literal['usd', 'eur'] = 'usd', tax: float | None = None\n"
        ") -> dict[str, float]:\n"
        "    return {currency: sum(line['price'] for line in lines) * (1 + (tax or 0))}\n"
    )
    await offer(executor, tmp_path, code)
    good = {"lines": [{"name": "a", "price": 2}, {"name": "b", "price": 3.5}], "currency": "eur", "tax": 1}
    done = await run(executor, json.dumps(good).encode(), "application/json")
    assert json.loads(done.output) == {"eur": 11.0}
    for bad, message in (
        ({"lines": [{"name": "a"}]}, r"lines\[0\]\.price is missing"),
        ({"lines": [{"name": "a", "price": "2"}]}, r"lines\[0\]\.price is str, not float"),
        ({"lines": [], "currency": "gbp"}, "currency is str"),
        ({"lines": [], "taxes": 1}, "'taxes' is not a parameter"),
        ({}, "'lines' is missing"),
        ([], "not a JSON object"),
    ):
        with pytest.raises(InputError, match=message):
            await run(executor, json.dumps(bad).encode(), "application/json")


async def test_an_envelope_is_joined_for_text_and_unpacked_for_bytes(executor: ProcessExecutor, tmp_path: Path) -> None:
    await offer(executor, tmp_path, "def work(text: str) -> str:\n    return text\n")
    envelope = {"text": "compare", "files": [{"name": "a", "text": "one"}, {"name": "b", "base64": "dHdv"}]}
    done = await run(executor, json.dumps(envelope).encode(), "application/json")
    assert done.output == b"compare\n\none\n\ntwo"
    folder = tmp_path / "bytes"
    folder.mkdir()
    await offer(executor, folder, "def work(data: bytes) -> bytes:\n    return data[::-1]\n")
    one = {"files": [{"name": "b", "base64": "dHdv"}]}
    done = await run(executor, json.dumps(one).encode(), "application/json")
    assert (done.output, done.media_type) == (b"owt", "application/octet-stream")
    with pytest.raises(InputError, match="takes one file, got 2"):
        await run(executor, json.dumps(envelope).encode(), "application/json")


async def test_a_result_that_breaks_the_declaration_is_a_failure(executor: ProcessExecutor, tmp_path: Path) -> None:
    await offer(executor, tmp_path, "def work(text: str) -> list[int]:\n    return [1, 'two']\n")
    with pytest.raises(ExecutionError, match=r"the result\[1\] is str, not int"):
        await run(executor, b"x")


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("", "gone:work", "there is no module 'gone'"),
        ("def wrok(text: str) -> str: ...", "mine:work", "has no 'work'; it has wrok"),
        ("def work(text) -> str: ...", "mine:work", "parameter 'text' of mine:work has no type"),
        ("def work(text: str): ...", "mine:work", "does not say what it returns"),
        ("def work() -> str: ...", "mine:work", "takes no input"),
        ("def work(*texts: str) -> str: ...", "mine:work", "cannot be filled by name"),
        ("def work(text: str) -> None: ...", "mine:work", "returns null"),
        ("def work(when: complex) -> str: ...", "mine:work", "is complex, which JSON cannot carry"),
        ("def work(text: 'Missing') -> str: ...", "mine:work", "type hints of mine:work cannot be read"),
        ("async def work(text: str) -> str:\n    yield 'x'", "mine:work", "not a plain function"),
        ("work = 3", "mine:work", "not a plain function"),
        ("import no_such_library", "mine:work", "needs 'no_such_library', which is not installed"),
        ("1 / 0", "mine:work", "importing 'mine' failed: ZeroDivisionError"),
        ("raise SystemExit", "mine:work", "importing 'mine' failed: SystemExit"),
        ("", "mine.py", "write module:function"),
        ("", "../mine:work", "write module:function"),
    ],
)
async def test_a_function_that_cannot_be_offered_says_why(
    executor: ProcessExecutor, tmp_path: Path, code: str, target: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(code + "\n")
    with pytest.raises(InputError, match=message):
        await executor.describe_user_function(
            target, directory=str(tmp_path), environment=dict(os.environ), python=sys.executable
        )


async def test_a_missing_directory_or_python_is_a_clear_error(executor: ProcessExecutor, tmp_path: Path) -> None:
    for directory, python in ((str(tmp_path / "gone"), sys.executable), (str(tmp_path), "/no/such/python")):
        with pytest.raises(ExecutionError, match="cannot start"):
            await executor.describe_user_function(
                "mine:work", directory=directory, environment=dict(os.environ), python=python
            )


async def test_the_description_carries_decorator_and_schema(executor: ProcessExecutor, tmp_path: Path) -> None:
    code = (
        "from coalesced.skill import skill\n"
        "@skill('ocr/pages', price='0.002/page')\n"
        "async def work(data: bytes, language: str = 'en') -> dict[str, object]:\n"
        "    '''Text of scanned pages.\n\n    Slowly.'''\n"
        "    return {}\n"
    )
    (tmp_path / "mine.py").write_text(code)
    found = await executor.describe_user_function(
        "mine:work", directory=str(tmp_path), environment=dict(os.environ), python=sys.executable
    )
    assert (found.label, found.price_micro, found.unit, found.is_async) == ("ocr/pages", 2_000, "page", True)
    assert found.caption == "Text of scanned pages."
    assert found.input_media_types == ("application/octet-stream",)
    assert found.output_media_type == "application/json"
    assert found.parameters == (("data", "bytes", True), ("language", "str", False))


async def test_a_changed_function_is_imported_anew_when_it_is_offered_again(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    await offer(executor, tmp_path, "def work(text: str) -> str:\n    return 'first'\n")
    assert (await run(executor, b"x")).output == b"first"
    await offer(executor, tmp_path, "def work(text: str) -> str:\n    return 'the second'\n")
    assert (await run(executor, b"x")).output == b"the second"


HOST = """
import asyncio, sys
from node.execute.job import Job
from node.execute.processes import ProcessExecutor
from node.execute.user import UserSkill

async def main() -> None:
    executor = ProcessExecutor()
    executor.register(UserSkill(label="mine", module="mine", function="work", directory=sys.argv[1]))
    report = lambda done_ppm, text: print(text, flush=True)
    await executor.run(Job("mine", b"x", "text/plain", timeout_s=60, on_progress=report))

asyncio.run(main())
"""


async def test_the_work_dies_with_the_daemon_and_so_do_its_children(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, subprocess, time\n"
        "from coalesced.skill import progress\n"
        "def work(text: str) -> str:\n"
        "    child = subprocess.Popen(['sleep', '300'])\n"
        "    progress(1, f'{os.getpid()} {child.pid}')\n"
        "    time.sleep(300)\n"
        "    return ''\n"
    )
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(tmp_path), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert host.stdout is not None
    async with asyncio.timeout(60):
        pids = [int(word) for word in (await host.stdout.readline()).split()]
    assert len(pids) == 2
    host.send_signal(signal.SIGKILL)
    await host.wait()
    async with asyncio.timeout(60):
        while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
