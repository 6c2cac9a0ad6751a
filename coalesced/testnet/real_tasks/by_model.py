"""Has the paper's 240 tasks done by a language model, through a running node, and reports what the tokens cost.

    coalesced sell --openai http://127.0.0.1:11434/v1 --model llama3.1:8b      # on this node, or on one that it finds
    scripts/run_240_model --skill llm/llama3.1-8b --rate 0.10:0.40

The node decides each task as any other: here, or by whoever sells the skill. Tokens are those that the model's endpoint
reported; a reply without a count is counted as such and adds nothing. The inputs are those of scripts/run_240, smaller,
so that they fit into a model's context. How good the answers are is not judged here.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from coalesced.cli.escape import escaped
from coalesced.cli.units import money, parse_rate
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.paths import find_paths
from node.decision.tokens import Usage, charge_micro
from node.execute.mix import COUNTS, MixedTask, mixed
from node.execute.openai.reply import ChatResult
from node.execute.openai.request import ChatMessage, ChatRequest
from node.views import TokenRate

SCALE: Final = 0.02
"""Of the middle task beside scripts/run_240: a few thousand tokens."""
PROMPTS: Final = {
    "document-analysis": "Answer each question from the documents, in one sentence with the document's name.",
    "risk": "Estimate value at risk and expected shortfall of this portfolio. Answer with two numbers.",
    "portfolio": "Choose long-only weights with the best ratio of return to risk. Answer with the ten largest.",
    "sentiment": "Judge the sentiment of each text from -1 to 1. Answer with one number a line.",
}
TITLES: Final = (
    *("tasks", "completed", "hired", "no count", "tokens read", "written"),
    *("bytes a token", "tokens' cost", "booked", "mean time"),
)
MAX_TOKENS: Final = 512
DEADLINE_S: Final = 300.0
SHOWN_ERRORS: Final = 5


class Done(Struct, frozen=True, kw_only=True):
    """One task. Money in micro-dollars, as the node books it."""

    skill: str
    state: str
    choice: str = ""
    booked_micro: int = 0
    wall_s: float = 0.0
    input_bytes: int = 0
    usage: Usage | None = None
    error: str = ""


class Line(Struct, frozen=True, kw_only=True):
    """All tasks of one kind."""

    skill: str
    tasks: int
    completed: int
    hired: int
    uncounted: int
    """Completed, and the endpoint reported no tokens."""
    read: int
    written: int
    bytes_per_token: float | None
    charged_micro: float | None
    """What the reported tokens cost at the given rate; None without one."""
    booked_micro: int
    wall_s: float
    """Mean of a completed task, from the request to the result."""


def chat_of(task: MixedTask) -> bytes:
    """A task as a conversation: what to do, and its input."""
    case = task.case()
    message = ChatMessage(role="user", content=f"{PROMPTS[task.label]}\n\n{case.input.decode()}")
    return msgspec.json.encode(ChatRequest(messages=(message,), max_tokens=MAX_TOKENS, temperature=0.0, seed=task.seed))


async def one(client: ControlClient, label: str, task: MixedTask, budget_micro: int | None) -> Done:
    """One task through the node."""
    data = await asyncio.to_thread(chat_of, task)
    request: shapes.AskRequest = {
        "skill": label,
        "files": [{"name": "chat.json", "media_type": "application/json", "data": data}],
        "budget_micro": budget_micro,
        "deadline_s": DEADLINE_S,
    }
    began_s, ended = time.monotonic(), None
    done = Done(skill=task.label, state="failed", input_bytes=len(data))
    try:
        async for event in client.ask(request):
            ended = event["task"] or ended
        if ended is None:
            return done
        done = msgspec.structs.replace(
            done,
            state=ended["state"],
            choice=ended["choice"],
            booked_micro=ended["cost_micro"] or 0,
            wall_s=time.monotonic() - began_s,
            error=ended["error"]["text"] if ended["error"] else "",
        )
        if done.state != "completed":
            return done
        output, _ = await client.result(ended["id"])
        return msgspec.structs.replace(done, usage=_usage(output))
    except ControlError as error:
        return msgspec.structs.replace(done, error=error.text)


def _usage(output: bytes) -> Usage | None:
    try:
        usage = msgspec.json.decode(output, type=ChatResult).usage
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if usage is None else usage.usage


def lines(done: Sequence[Done], rate: TokenRate | None) -> list[Line]:
    """One line a kind, and one of all together."""
    kinds = [(label, [one for one in done if one.skill == label]) for label in COUNTS]
    return [_line(label, found, rate) for label, found in [*kinds, ("all", list(done))] if found]


def _line(label: str, done: Sequence[Done], rate: TokenRate | None) -> Line:
    completed = [one for one in done if one.state == "completed"]
    counted = [(one.input_bytes, one.usage) for one in completed if one.usage is not None]
    total = Usage(sum(usage.read for _, usage in counted), sum(usage.written for _, usage in counted))
    return Line(
        skill=label,
        tasks=len(done),
        completed=len(completed),
        hired=sum(one.choice == "outsource" for one in completed),
        uncounted=len(completed) - len(counted),
        read=total.read,
        written=total.written,
        bytes_per_token=sum(size for size, _ in counted) / total.read if total.read else None,
        charged_micro=None if rate is None else charge_micro(rate, total),
        booked_micro=sum(one.booked_micro for one in completed),
        wall_s=sum(one.wall_s for one in completed) / len(completed) if completed else 0.0,
    )


def table(found: Iterable[Line]) -> str:
    """The lines as Markdown."""
    rows = [
        f"| {' | '.join(TITLES)} |",
        f"|{'-|' * len(TITLES)}",
    ]
    for line in found:
        ratio = "-" if line.bytes_per_token is None else f"{line.bytes_per_token:.2f}"
        charged = "-" if line.charged_micro is None else money(round(line.charged_micro))
        rows.append(
            f"| {line.skill} | {line.completed} of {line.tasks} | {line.hired} | {line.uncounted} | {line.read:,} | "
            f"{line.written:,} | {ratio} | {charged} | {money(line.booked_micro)} | {line.wall_s:.2f} s |"
        )
    return "\n".join(rows)


async def run(given: argparse.Namespace) -> list[Done]:
    """Every task, one at a time."""
    done = []
    tasks = mixed(given.seed, scale=given.scale, count=given.tasks)
    async with ControlClient(find_paths(given.home, environ=os.environ).socket) as client:
        await client.status()
        for number, task in enumerate(tasks, 1):
            done.append(await one(client, given.skill, task, given.budget_micro))
            if number % 20 == 0 or number == len(tasks):
                print(f"  {number} of {len(tasks)} tasks", file=sys.stderr, flush=True)
    return done


def main(words: Sequence[str] | None = None) -> int:
    """Run and report; 1 when a task was not completed."""
    parser = argparse.ArgumentParser(
        prog="scripts/run_240_model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="of the running node (default: COALESCED_HOME)")
    parser.add_argument("--skill", default="chat", help="the model's label (default: chat)")
    parser.add_argument("--tasks", type=int, default=240, help="a multiple of 12 (default: 240)")
    parser.add_argument("--scale", type=float, default=SCALE, help=f"size of the middle task (default: {SCALE})")
    parser.add_argument("--seed", type=int, default=1, help="of inputs, sizes and orders (default: 1)")
    parser.add_argument("--rate", type=parse_rate, help="dollars for a million tokens, READ:WRITTEN")
    parser.add_argument("--budget-micro", type=int, help="micro-dollars that one task may cost")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every task there")
    given = parser.parse_args(words)
    try:
        done = asyncio.run(run(given))
    except (ControlError, ValueError) as error:
        print(f"scripts/run_240_model: {escaped(str(error))}", file=sys.stderr)
        return 1
    rate = None if given.rate is None else TokenRate(read_micro=given.rate[0], written_micro=given.rate[1])
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=1) + b"\n")
    print(table(lines(done, rate)))
    errors = dict.fromkeys(one.error for one in done if one.error)
    for text in list(errors)[:SHOWN_ERRORS]:
        print(f"failed: {escaped(text)}", file=sys.stderr)
    return 0 if all(one.state == "completed" for one in done) else 1


if __name__ == "__main__":
    sys.exit(main())
