"""The endpoint itself: a loopback port, its token at the door, and its calls."""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp import web

from coalesced.control.facade import Node
from coalesced.control.replies import Handler, is_loopback_name
from coalesced.gateway.openai.answers import Answered, answered
from coalesced.gateway.openai.config import OpenAiConfig
from coalesced.gateway.openai.errors import STATUS, RequestError, TaskEndedError, error_body, error_reply, reply_to
from coalesced.gateway.openai.names import Target, known_names, target_of
from coalesced.gateway.openai.replies import chunks, completion, described, embeddings, event, listed
from coalesced.gateway.openai.requests import (
    ChatBody,
    EmbeddingsBody,
    chat_of,
    chat_task,
    decode,
    embeddings_task,
)
from coalesced.gateway.openai.token import TokenFile, ensure_token
from node.errors import NodeError
from node.views import AskRequest, ModelKind

log = structlog.get_logger()

CLOSE_TIMEOUT_S = 2.0


class OpenAiServer:
    """Serves one node to programs on its machine. `start` and `stop` once each."""

    def __init__(self, node: Node, config: OpenAiConfig, token_file: Path) -> None:
        self._node = node
        self._config = config
        self._token_file = token_file
        self._token = TokenFile(token_file)
        self._runner: web.AppRunner | None = None
        self.port = 0
        """In use, once started."""

    @property
    def url(self) -> str:
        """The base address for clients; empty while it does not listen."""
        return f"http://127.0.0.1:{self.port}/v1" if self._runner is not None else ""

    async def start(self) -> None:
        """Listen, if a port is configured; NodeError when it cannot be had."""
        port = self._config.port
        if port is None:
            return
        try:
            ensure_token(self._token_file)
        except OSError as error:
            raise NodeError(f"cannot write the token to {self._token_file}: {error.strerror}") from error
        app = web.Application(middlewares=[self._at_the_door], client_max_size=self._config.max_request_bytes)
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.get("/v1/models/{name:.+}", self._model),
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/embeddings", self._embeddings),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_TIMEOUT_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError as error:
            text = f"port 127.0.0.1:{port} is not free ({error.strerror}): set openai.port to another"
            raise NodeError(text) from error
        self.port = self._runner.addresses[0][1]
        log.info("openai.listening", url=self.url)

    async def stop(self) -> None:
        """Close the port; requests under way are broken off, and their tasks cancelled."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _at_the_door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may come in, and what they learn when something goes wrong: never a traceback."""
        if not is_loopback_name(request.host):
            # A web page that rebinds its name to this machine sends that name.
            return error_reply(HTTPStatus.MISDIRECTED_REQUEST, "usage", "this endpoint answers to 127.0.0.1 alone")
        if not self._token.admits(request.headers.get("Authorization", "")):
            text = "no valid token: send `Authorization: Bearer TOKEN`; `coalesced gateway token` prints it"
            return error_reply(HTTPStatus.UNAUTHORIZED, "invalid_api_key", text)
        try:
            return await handler(request)
        except (RequestError, TaskEndedError, NodeError) as error:
            return reply_to(error)
        except web.HTTPRequestEntityTooLarge:
            text = f"the request is larger than {self._config.max_request_bytes} bytes (openai.max_request_bytes)"
            return error_reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", text)
        except web.HTTPException as error:
            text = f"{request.method} {request.path[:200]}: {error.reason}"
            return error_reply(HTTPStatus(error.status), "usage", text)
        except ConnectionError:
            raise
        except Exception as error:
            log.error("openai.call_failed", path=request.path, exc_info=error)
            text = f"a bug in the daemon ({type(error).__name__}); its log has the details"
            return error_reply(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", text)

    async def _models(self, request: web.Request) -> web.Response:
        return _json(listed(await self._names()))

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in await self._names():
            text = f"no model {name[:100]!r}: GET /v1/models lists them"
            raise RequestError(text, param="model", code="model_not_found", status=HTTPStatus.NOT_FOUND)
        return _json(described(name))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body, plain = decode(ChatBody, raw)
        chat = chat_of(body, plain)
        target = await self._target(body.model, "chat")
        task = chat_task(target, chat, body.coalesced, request.headers.get("Idempotency-Key", ""))
        if body.stream:
            return await self._stream(request, body, task, len(raw))
        answer = await answered(self._node, task)
        return _json(completion(answer, answer.chat(len(raw)), body.model), answer.headers())

    async def _embeddings(self, request: web.Request) -> web.Response:
        body, _ = decode(EmbeddingsBody, await request.read())
        if body.encoding_format not in ("float", "base64"):
            raise RequestError("encoding_format is float or base64", param="encoding_format")
        target = await self._target(body.model, "embeddings")
        task = embeddings_task(target, body, request.headers.get("Idempotency-Key", ""))
        answer = await answered(self._node, task)
        count = 1 if isinstance(body.input, str) else len(body.input)
        as_base64 = body.encoding_format == "base64"
        return _json(embeddings(answer, count, body.model, as_base64=as_base64), answer.headers())

    async def _stream(
        self, request: web.Request, body: ChatBody, task: AskRequest, request_bytes: int
    ) -> web.StreamResponse:
        """A reply in events. What goes wrong before it has begun is an ordinary error; later, its last event."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(_outcome(self._node, task))
                done, _ = await asyncio.wait([working], timeout=self._config.heartbeat_s)
                if done:
                    outcome = working.result()
                    if not isinstance(outcome, Answered):
                        return reply_to(outcome)
                    response.headers.update(outcome.headers())
                await response.prepare(request)
                while not done:
                    await response.write(b": at work\n\n")
                    done, _ = await asyncio.wait([working], timeout=self._config.heartbeat_s)
                outcome = working.result()
                if isinstance(outcome, Answered):
                    with_usage = body.stream_options is not None and body.stream_options.include_usage
                    for chunk in chunks(outcome, outcome.chat(request_bytes), body.model, with_usage=with_usage):
                        await response.write(chunk)
                else:
                    code = outcome.code
                    status = STATUS.get(code, HTTPStatus.BAD_GATEWAY)
                    await response.write(event(error_body(status, code, str(outcome))))
                await response.write_eof()
        except* ConnectionError:
            log.debug("openai.caller_left")
        return response

    async def _target(self, name: str, kind: ModelKind) -> Target:
        own = {skill.label for skill in (await self._node.skills()).skills}
        return target_of(name, kind, own, self._config.auto_skill)

    async def _names(self) -> list[str]:
        own = [skill.label for skill in (await self._node.skills()).skills]
        seen = [row.skill for row in (await self._node.market(None)).markets]
        return known_names(own, seen, self._config.auto_skill)


async def _outcome(node: Node, task: AskRequest) -> Answered | TaskEndedError | NodeError:
    try:
        return await answered(node, task)
    except (TaskEndedError, NodeError) as error:
        return error


def _json(value: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", headers=headers)
