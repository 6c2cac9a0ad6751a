"""The doctor's checks of what speaks another protocol: agents to hire, servers of sold tools, models that help here."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from coalesced.config import Config
from node.daemon import Parts
from node.errors import UsageError
from node.execute.openai.model import check_model
from node.outsource.client.agents import Agents
from node.owner.doctor import Outcome, all_of
from node.store.offers import SoldFunction
from node.views import ModelSource

SOLD_TOOL: Final = "coalesced.gateway.mcp.sold"
"""The module of functions that call tools (coalesced/cli/sell_tool.py)."""
LINES_SHOWN: Final = 2
"""Of what was said last: by the tool's server, then by what called it."""
MAX_SAID_BYTES: Final = 64 * 2**10


def outside_checks(config: Config, parts: Parts, agents: Agents) -> Mapping[str, Callable[[], Awaitable[Outcome]]]:
    """Each by its name."""

    async def hired() -> Outcome:
        return await all_of(agents.checks(), "see [[a2a.sellers]]: start the agent, or correct its table")

    async def tools() -> Outcome:
        sold = [one for one in await parts.sales.remembered() if one.target.startswith(f"{SOLD_TOOL}:")]
        checks = {one.label: partial(_started, one) for one in sold}
        return await all_of(checks, "see that its command runs; sell it again, or coalesced sell rm LABEL")

    async def judge() -> Outcome:
        judging = config.verification.judge
        if judging is None:
            return await all_of({}, "")
        from node.execute.openai.judge import judge_source

        fix = "see [verification.judge]: url, model, key_env, key_file"
        return await all_of({judging.model: partial(check_model, judge_source(judging))}, fix)

    async def planner() -> Outcome:
        label = config.client.planner
        if not label:
            return await all_of({}, "")
        from node.outsource.client.planner import drafter

        async def has_model() -> None:
            drafter(parts.work, label)

        return await all_of({label: has_model}, "see planner in [client]; or put that model on sale")

    async def meaning() -> Outcome:
        endpoint = config.meaning
        if not endpoint.embeddings_url:
            return await all_of({}, "")
        source = ModelSource(
            url=endpoint.embeddings_url, model=endpoint.embeddings_model, key_env=endpoint.embeddings_key_env
        )
        fix = "see [meaning]: embeddings_url, embeddings_model, embeddings_key_env"
        return await all_of({source.model: partial(check_model, source)}, fix)

    return {"agents to hire": hired, "tools": tools, "judge": judge, "planner": planner, "embeddings": meaning}


async def _started(sold: SoldFunction) -> None:
    """Start the tool's server as a task would, in its own process group; UsageError when it does not come up."""
    process = await asyncio.create_subprocess_exec(
        sold.python,
        "-m",
        SOLD_TOOL,
        cwd=sold.directory,
        env=sold.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        said = b""
        while more := await process.stderr.read(MAX_SAID_BYTES):
            said = (said + more)[-MAX_SAID_BYTES:]
        if await process.wait() != 0:
            lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
            why = "; ".join(lines[-LINES_SHOWN:])[:300] or "it gave no reason"
            raise UsageError(f"{sold.shown or 'its server'} does not come up: {why}")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
