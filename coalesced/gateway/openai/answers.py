"""One task behind one request: seen to its end, cancelled with whoever leaves, and told in headers and figures.

A result came from a seller, whose word it is: it is decoded into what was asked for, bounded, and never more than text.
"""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from coalesced.cli.explain import headline
from coalesced.cli.units import MICRO
from coalesced.control.facade import Node
from coalesced.gateway.openai.errors import TaskEndedError
from node.decision.tokens import BYTES_PER_TOKEN, doubt
from node.errors import NodeError
from node.execute.openai.reply import ChatResult, ReportedUsage
from node.views import AskRequest, DecisionView, TaskView

MAX_HEADER_CHARS = 400
ENDS = frozenset({"stop", "length", "content_filter"})
MOST_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A task that is done, and its result."""

    task: TaskView
    decision: DecisionView | None
    data: bytes
    media_type: str

    def figures(self) -> dict[str, str]:
        """What the reply says about itself."""
        told = {
            "task": self.task.id,
            "decision": self.task.choice or "local",
            "seller": self.task.peer,
            "cost": f"{Decimal(self.task.cost_micro or 0) / MICRO:.6f}",
            "why": "" if self.decision is None else headline(msgspec.to_builtins(self.decision)),
        }
        return {name: text for name, text in told.items() if text}

    def headers(self) -> dict[str, str]:
        """The same as headers: printable ASCII on one line, whatever it was."""
        return {f"x-coalesced-{name}": _printable(text) for name, text in self.figures().items()}

    def chat(self, request_bytes: int) -> ChatResult:
        """The reply of a chat. Any other result is its own text; a count that cannot be true is made here."""
        result = _decoded(self.data, self.media_type)
        usage = result.usage
        written = len(result.content.encode(errors="replace"))
        if usage is None or doubt(
            usage.usage, size_bytes=request_bytes, written_bytes=written, max_written=MOST_TOKENS
        ):
            usage = ReportedUsage(prompt_tokens=_guess(request_bytes), completion_tokens=_guess(written))
        end = result.finish_reason if result.finish_reason in ENDS else "stop"
        return msgspec.structs.replace(result, usage=usage, finish_reason=end)


async def answered(node: Node, request: AskRequest) -> Answered:
    """Have a task done; TaskEndedError when it ends without a result. Cancelling this cancels the task."""
    task, decision = None, None
    try:
        async with aclosing(node.ask(request)) as events:  # type: ignore[type-var]  # an async generator, in fact
            async for event in events:
                task, decision = event.task or task, event.decision or decision
                if event.name == "input_required":
                    text = "the seller has a question, which no chat can pass on: use coalesced ask"
                    raise TaskEndedError("input_required", text, event.task_id)
    except (asyncio.CancelledError, TaskEndedError):
        if task is not None:
            with suppress(NodeError):
                await asyncio.shield(node.cancel(task.id))
        raise
    if task is None:
        raise TaskEndedError("failed", "the task was not taken on", "")
    if task.state != "completed":
        error = task.error
        code, text = (error.code, error.text) if error else (task.state, f"the task was {task.state}")
        raise TaskEndedError(code, text, task.id)
    data, media_type = await node.result(task.id)
    return Answered(task, decision, data, media_type)


def _decoded(data: bytes, media_type: str) -> ChatResult:
    if media_type == "application/json":
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return msgspec.json.decode(data, type=ChatResult)
    return ChatResult(content=data.decode(errors="replace"))


def _guess(size_bytes: int) -> int:
    return max(1, -(-size_bytes // BYTES_PER_TOKEN))


def _printable(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:MAX_HEADER_CHARS]
