"""Limits of execution. Every number has its unit in its name and its reason here."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ExecuteConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of this machine tasks may take."""

    max_workers: Annotated[int, Meta(ge=0, le=256)] = 0
    """Tasks in execution at once; 0 = one a core, since builtin skills each keep one core busy."""
    max_checkers: Annotated[int, Meta(ge=1, le=64)] = 1
    """Verifications at once, beside the workers: checking a bought result must not wait behind sold work."""
    max_queued: Annotated[int, Meta(ge=0, le=10_000)] = 64
    """Tasks that may wait for a worker; more are refused as busy, so that a buyer learns it at once."""
    memory_limit_bytes: Annotated[int, Meta(ge=64 * 2**20, le=2**44)] = 2 * 2**30
    """Memory one task may use unless it states less; 2 GiB holds every builtin task within its input limits."""
    time_limit_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] = 3_600.0
    """Longest run of one task, whatever its deadline."""
    start_limit_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    """Time a worker may take to start and import; a user's module may load a model."""
    idle_limit_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    """An idle worker is kept warm this long: a start costs about 0.2 s, its memory about 60 MB."""
    max_tasks_per_worker: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    """A worker is replaced after this many tasks, which bounds what leaks in a user's code can hold."""
    stderr_tail_bytes: Annotated[int, Meta(ge=0, le=2**20)] = 4_000
    """What is kept of a worker's stderr for its seller: the last traceback and a little before."""
    memory_watch_s: Annotated[float, Meta(gt=0, le=60)] = 0.25
    """Interval between two looks at a worker's resident memory."""
