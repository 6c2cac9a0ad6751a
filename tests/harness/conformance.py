"""Runs the A2A conformance kit against a whole node, once for each way to switch the server, and counts.

    python -m tests.harness.conformance --kit PATH [--python PYTHON] [--only NAME]

PATH is a checkout of a2aproject/a2a-tck (branch 1.0-dev, commit 357c4a8); PYTHON has what its pyproject.toml asks for.
"""

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).parents[2]
START_S = 60
KIT_S = 900
REQUIRED = "urn:a2a:tck:required-extension"
"""The extension whose absence the kit's own test is about."""


REST_STREAMING = "tests/compatibility/core_operations/test_transport_behavior.py::TestRestStreaming"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run: what is said to the agent, and to the kit's pytest."""

    name: str
    agent: tuple[str, ...] = ()
    kit: tuple[str, ...] = ()


WAYS = (
    Way("everything on"),
    # The kit means to skip where a stream is refused, and fails itself: it reads an answer that it has closed unread.
    Way("no streaming", ("--without", "streaming"), ("--deselect", f"{REST_STREAMING}::test_streaming_content_type")),
    Way("no push notifications", ("--without", "push_notifications")),
    Way("no extended card", ("--without", "extended_card")),
    # Every other test of the kit sends no extension, so that every call of theirs has to fail.
    Way("a required extension", ("--required", REQUIRED), ("-k", "required_extension")),
)


@contextmanager
def agent(arguments: tuple[str, ...]) -> Iterator[str]:
    """A running agent; its address."""
    command = [sys.executable, "-m", "tests.harness.a2a_agent", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = next((line.strip() for line in process.stdout if line.startswith("http")), "")
        try:
            if not address:
                raise SystemExit("the agent did not start")
            yield address
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait(START_S)


def run_kit(kit: Path, python: str, way: Way) -> Counter[str]:
    """How many tests passed, failed, were expected to fail, or were skipped, by binding."""
    with agent(way.agent) as address:
        command = [python, "run_tck.py", "--sut-host", address, "--", "-p", "no:cacheprovider", *way.kit]
        done = subprocess.run(command, cwd=kit, capture_output=True, text=True, timeout=KIT_S, check=False)
    counts = Counter(_outcomes(kit / "reports" / "junitreport.xml"))
    if any(name.startswith(("failed", "error")) for name in counts) or not counts:
        print(done.stdout[-6000:], done.stderr[-2000:], file=sys.stderr)
    return counts


def _outcomes(report: Path) -> Iterator[str]:
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "") + case.get("name", "")
        binding = next((one for one in ("grpc", "jsonrpc", "http_json") if one in name.lower()), "both")
        kinds = {child.tag: child for child in case}
        skipped = kinds.get("skipped")
        if "failure" in kinds or "error" in kinds:
            yield f"failed {binding}"
        elif skipped is None:
            yield f"passed {binding}"
        else:
            yield f"{'xfailed' if 'xfail' in skipped.get('type', '') else 'skipped'} {binding}"


def main() -> int:
    """Run all ways; 1 when something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, metavar="PATH")
    parser.add_argument("--python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--only", choices=[way.name for way in WAYS])
    wanted = parser.parse_args()
    if not (wanted.kit / "run_tck.py").exists():
        parser.error(f"{wanted.kit} is no checkout of the kit: it has no run_tck.py")
    print("| switched | passed | failed | expected to fail | skipped | of these gRPC |\n|-|-|-|-|-|-|")
    has_failed = False
    for way in WAYS:
        if wanted.only in (None, way.name):
            counts = run_kit(wanted.kit, wanted.python, way)
            columns = [sum(counts[key] for key in counts if key.startswith(kind)) for kind in ("passed", "failed")]
            columns += [sum(counts[key] for key in counts if key.startswith(kind)) for kind in ("xfailed", "skipped")]
            print(f"| {way.name} | {' | '.join(map(str, columns))} | {counts['skipped grpc']} |", flush=True)
            has_failed |= columns[1] > 0 or columns[0] == 0
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
