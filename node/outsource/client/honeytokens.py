"""Plants a unique string in confidential inputs, so that a leak can be traced to who was sent it."""

from node.env import Env
from node.examination.honeytokens import PLANTED_TYPES, honeytoken, planted
from node.store.examinations import Examinations
from node.tasks.content import Content, is_json
from protocol.specification import Privacy


class Honeytokens:
    """`is_on` is the owner's choice: the input that a seller gets is a line longer than the one that was handed in."""

    def __init__(self, *, env: Env, key: bytes, examinations: Examinations, is_on: bool) -> None:
        self._env = env
        self._key = key
        self._examinations = examinations
        self._is_on = is_on

    async def plant(self, task_id: bytes, content: Content, privacy: Privacy) -> Content:
        """The input with its token, where it is confidential text; the input itself otherwise."""
        if not self._is_on or privacy != "confidential" or content.media_type not in PLANTED_TYPES:
            return content
        if is_json(content.data):  # Nobody could read it with a line more.
            return content
        token = honeytoken(self._key, task_id)
        await self._examinations.planted(token, task_id, self._env.unix_ms())
        return Content(content.media_type, planted(content.data, token))
