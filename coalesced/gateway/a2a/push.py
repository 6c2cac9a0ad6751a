"""Push notifications: telling addresses that callers name of their tasks (addresses.py says which may be told)."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from a2a.server.tasks.push_notification_sender import PushNotificationEvent, PushNotificationSender
from a2a.types.a2a_pb2 import Task, TaskArtifactUpdateEvent, TaskPushNotificationConfig, TaskStatusUpdateEvent
from a2a.utils.constants import A2A_JSON_MEDIA_TYPE
from google.protobuf.json_format import MessageToDict

from coalesced.gateway.a2a.addresses import connector, url_check
from coalesced.gateway.a2a.taskstore import NodePushStore

log = structlog.get_logger()

TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)
"""The SDK tells of an event before it takes the next: a silent address must not hold a task up for long."""
TRIES: Final = 2
RETRY_S: Final = 0.5


class PushSender(PushNotificationSender):
    """Tells addresses of a task's events, in order; what cannot be told is logged."""

    def __init__(self, store: NodePushStore, *, allow_private: bool) -> None:
        self._store = store
        self._check = url_check(allow_private=allow_private)
        self._allow_private = allow_private
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop every connection."""
        if self._client is not None:
            await self._client.close()

    async def send_notification(self, task_id: str, event: PushNotificationEvent) -> None:
        """Tell all addresses of one event at once."""
        configs = await self._store.get_info_for_dispatch(task_id)
        if configs:
            body = msgspec.json.encode(_stream_response(event))
            await asyncio.gather(*(self._tell(task_id, config, body) for config in configs))

    async def _tell(self, task_id: str, config: TaskPushNotificationConfig, body: bytes) -> None:
        where = urlsplit(config.url).netloc[:100]
        for attempt in range(TRIES):
            try:
                if not await self._check(config.url):
                    log.warning("a2a.push_refused", task=task_id, where=where)
                    return
                async with self._session().post(
                    config.url, data=body, headers=_headers(config), allow_redirects=False, timeout=TIMEOUT
                ) as answer:
                    if answer.status < 300:
                        return
                    problem = f"HTTP {answer.status}"
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                problem = str(error) or type(error).__name__
            log.info("a2a.push_failed", task=task_id, where=where, problem=problem[:200], attempt=attempt + 1)
            if attempt + 1 < TRIES:
                await asyncio.sleep(RETRY_S)

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=connector(allow_private=self._allow_private), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._client


def _headers(config: TaskPushNotificationConfig) -> dict[str, str]:
    headers = {"Content-Type": A2A_JSON_MEDIA_TYPE}
    if config.token:
        headers["X-A2A-Notification-Token"] = config.token
    credentials = config.authentication
    if credentials.scheme and credentials.credentials:
        headers["Authorization"] = f"{credentials.scheme} {credentials.credentials}"
    return headers


def _stream_response(event: PushNotificationEvent) -> dict[str, object]:
    match event:
        case Task():
            return {"task": MessageToDict(event)}
        case TaskStatusUpdateEvent():
            return {"statusUpdate": MessageToDict(event)}
        case TaskArtifactUpdateEvent():
            return {"artifactUpdate": MessageToDict(event)}
