"""Canaries in live traffic: orders with known answers, sent to sellers that have just been hired (node/examination)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from crypto.identity import did_key, short_id
from node.background import Background
from node.env import Env
from node.errors import NodeError, UsageError
from node.examination.canaries import delay_s, is_followed, like
from node.examination.items import Item, read_items
from node.outsource.client.marking import Marking
from node.store.examinations import Examinations
from node.tasks.content import Content
from node.views import AskRequest, InputFile

log = structlog.get_logger()

Order = Callable[[AskRequest], Awaitable[Content | None]]
"""Sees an ordinary task through to its result; None where it was not done."""


class Canaries:
    """Follows some hired orders with one whose answer is known; a wrong answer is a failure of that seller."""

    def __init__(
        self,
        *,
        env: Env,
        items: Mapping[str, tuple[Item, ...]],
        share: float,
        key: bytes,
        examinations: Examinations,
        marking: Marking,
        in_background: Background,
    ) -> None:
        self._env = env
        self._items = items
        self._share = share
        self._key = key
        self._examinations = examinations
        self._marking = marking
        self._in_background = in_background

    def follow(self, task_id: bytes, skill: str, seller: bytes, size_bytes: int, order: Order) -> None:
        """Perhaps send a canary, a random time after this order."""
        if self._items.get(skill) and is_followed(self._key, task_id, self._share):
            self._in_background(self._sent(task_id, skill, seller, size_bytes, order))

    async def _sent(self, task_id: bytes, skill: str, seller: bytes, size_bytes: int, order: Order) -> None:
        await asyncio.sleep(delay_s(self._key, task_id))
        items = self._items[skill]
        retired = await self._examinations.retired([item.input_sha256 for item in items])
        left = [item for item in items if item.input_sha256 not in retired]
        at = like(size_bytes, [len(item.input.encode()) for item in left])
        if at is None:
            log.info("canary.none_left", skill=skill, unused=len(left))  # each would stand out, or was used
            return
        item = left[at]
        await self._examinations.asked(item.input_sha256, self._env.unix_ms())
        files = (InputFile(name="input", media_type=item.media_type, data=item.input.encode()),)
        try:
            result = await order(AskRequest(skill=skill, files=files, only=did_key(seller)))
        except NodeError as error:
            log.info("canary.not_sent", skill=skill, error=str(error))
            return
        if result is None:
            return
        good = await self._marking.is_right("canary", task_id, seller, skill, item, result)
        await self._examinations.canary(seller, skill, self._env.unix_ms(), good=good)
        if not good:
            log.warning("canary.answered_wrong", skill=skill, seller=short_id(seller))


def items_of(files: Mapping[str, str], setting: str) -> dict[str, tuple[Item, ...]]:
    """The items of each skill's file, as a setting names them. UsageError for a file that cannot be read."""
    found = {}
    for skill, name in files.items():
        try:
            found[skill] = read_items(Path(name).expanduser().read_text(encoding="utf-8"), b"").items
        except (OSError, ValueError) as error:
            raise UsageError(f"{setting}: {skill}: {name}: {error}") from error
    return found
