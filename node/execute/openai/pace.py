"""How fast an endpoint may be asked, where its owner counts requests by the minute."""

import asyncio
from collections import deque

from node.execute.errors import TimeLimitError


class Pace:
    """At most so many requests in any minute."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._starts: deque[float] = deque(maxlen=per_minute)
        """When the latest requests began, those yet to begin included."""

    async def wait(self, until_s: float) -> None:
        """Return when one more may begin; TimeLimitError when that is after `until_s`."""
        if self._per_minute is None:
            return
        now_s = asyncio.get_running_loop().time()
        is_full = len(self._starts) == self._per_minute
        begin_s = max(now_s, self._starts[0] + 60.0) if is_full else now_s
        if begin_s >= until_s:
            raise TimeLimitError(f"its endpoint takes {self._per_minute} requests a minute, and the time is up by then")
        self._starts.append(begin_s)
        if begin_s > now_s:
            await asyncio.sleep(begin_s - now_s)
