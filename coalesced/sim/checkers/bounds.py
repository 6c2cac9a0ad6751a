"""Everything that a node holds in memory has a bound, and goes when nothing is under way."""

from collections import Counter
from collections.abc import Iterator

from node.daemon import Parts
from node.outsource.config import ClientConfig

MAX_RUNNING = ClientConfig().max_running_tasks
MAX_SESSIONS_OF_A_PEER = 8
"""Both sides dial, connections break unnoticed, ages end: a handful at a time, never more."""
TASKS_OF_A_NODE = 64
"""asyncio tasks of an idle node, without sessions: loops of its parts and what they wait for."""
TASKS_OF_A_SESSION = 6
TASKS_OF_A_JOB = 48
"""A quote round asks twenty sellers at once, each with its dial."""


def stays_bounded(tasks: int, parts: Parts) -> Iterator[str]:
    """At any time. `tasks`: how many asyncio tasks the node has."""
    sessions = parts.peers.open_sessions()
    jobs = len(parts.running) + parts.executor.running + parts.executor.queue_depth
    if len(parts.running) > MAX_RUNNING:
        yield f"{len(parts.running)} tasks run, over the limit of {MAX_RUNNING}"
    for key, count in Counter(session.peer_key for session in sessions).items():
        if count > MAX_SESSIONS_OF_A_PEER:
            yield f"{count} sessions are open with {key.hex()[:8]}"
    most = TASKS_OF_A_NODE + TASKS_OF_A_SESSION * len(sessions) + TASKS_OF_A_JOB * jobs
    if tasks > most:
        yield f"{tasks} asyncio tasks for {len(sessions)} sessions and {jobs} jobs"


def is_at_rest(tasks: int, parts: Parts) -> Iterator[str]:
    """Once no task is under way anywhere."""
    jobs = {
        "tasks run": len(parts.running),
        "jobs wait for input": len(parts.contractor.intake._jobs),
        "jobs are under way": len(parts.contractor._running),
        "requests are open": sum(not session.is_idle for session in parts.peers.open_sessions()),
    }
    for what, count in jobs.items():
        if count:
            yield f"{count} {what} though nothing is under way"
    sessions = len(parts.peers.open_sessions())
    if tasks > TASKS_OF_A_NODE + TASKS_OF_A_SESSION * sessions:
        yield f"{tasks} asyncio tasks are left, with {sessions} sessions"
