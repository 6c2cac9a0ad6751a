"""Runs `coalesced` with a profiler on its main thread, the event loop's: SIGUSR1 starts it, SIGUSR2 writes what it saw.

    python profiled.py FILE start --home ...

FILE then is as cProfile writes it, in CPU seconds of that thread; beside it, FILE.cpu holds the CPU seconds of the
thread and of the whole process over the same time, in text.
"""

import cProfile
import signal
import sys
import time
from pathlib import Path

from coalesced.__main__ import main


def install(file: Path) -> None:
    """Have the two signals start and end a profile."""
    profiler = cProfile.Profile(time.thread_time)
    began = (0.0, 0.0)

    def start(*_: object) -> None:
        nonlocal began
        began = (time.thread_time(), time.process_time())
        profiler.enable()

    def end(*_: object) -> None:
        profiler.disable()
        thread_s, process_s = time.thread_time() - began[0], time.process_time() - began[1]
        profiler.dump_stats(file)
        file.with_suffix(".partial").write_text(f"{thread_s} {process_s}")
        file.with_suffix(".partial").rename(file.with_suffix(".cpu"))  # Appears when everything is written.

    signal.signal(signal.SIGUSR1, start)
    signal.signal(signal.SIGUSR2, end)


if __name__ == "__main__":
    install(Path(sys.argv.pop(1)))
    main()
