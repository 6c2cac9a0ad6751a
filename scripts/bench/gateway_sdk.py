"""The protocol alone, as a user of the A2A SDK has it: its client against its server on starlette, in this process.

The same exchange as in gateway_protocol.py: a quote, a contract over it and a receipt, each a JWS; requests signed by
RFC 9421 and checked, the card signed and checked once, as a channel's handshake is made once. The agent behind it is
the same, and so is what signs: only client, server and what they make of a message are the SDK's.
"""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import uvicorn
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coalesced.gateway.a2a.buying.card import read_card
from coalesced.gateway.a2a.callers import Callers
from coalesced.gateway.a2a.cards import RPC_PATH
from coalesced.gateway.a2a.economics import QuoteTerms, ReceiptTerms, contract, digest, read
from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from coalesced.gateway.a2a.shared import ECONOMICS
from coalesced.gateway.a2a.words import plain, struct
from crypto.identity import Identity
from crypto.jcs import canonical
from crypto.jws import sign_parts
from scripts.bench.gateway_protocol import ENV, IDENTITY, LABEL, TIMEOUT_S, Contractor, Exchange

BUYER = Identity(b"b" * 32)
HEADERS = {"A2A-Extensions": ECONOMICS}


class Signing(httpx.Auth):
    """Signs every request of the client."""

    requires_request_body = True

    def auth_flow(self, request: httpx.Request) -> Any:
        """Add the signature's headers."""
        to_sign = SignedRequest.to(request.method, str(request.url), dict(request.headers), request.content)
        nonce = os.urandom(16).hex()
        request.headers.update(sign_request(BUYER, to_sign, created_unix_s=ENV.unix_ms() // 1000, nonce=nonce))
        yield request


class Signed:
    """Lets signed requests in, in the name of their key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._callers = Callers({}, anonymous=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        request = SignedRequest(scope["method"], "http", headers["host"], path, query, headers, body)
        caller = self._callers.identify(request, scope["client"][0], ENV.unix_ms() // 1000)
        scope["user"] = SimpleUser(caller.name)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


class Server(uvicorn.Server):
    """One that leaves signals to the benchmark."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield


@asynccontextmanager
async def over_sdk(text: str) -> AsyncIterator[Exchange]:
    """Exchanges between the SDK's client and its server."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    card = _card(url)
    routes = create_jsonrpc_routes(DefaultRequestHandler(Contractor(), InMemoryTaskStore(), card), RPC_PATH)
    app = Starlette(routes=[*create_agent_card_routes(card), *routes])
    config = uvicorn.Config(Signed(app), log_level="error", access_log=False, lifespan="off")
    server = Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        async with httpx.AsyncClient(auth=Signing(), timeout=TIMEOUT_S, headers=HEADERS) as http:
            shown = await A2ACardResolver(http, url).get_agent_card()
            known = read_card(MessageToDict(shown), where=url, skill_id=LABEL, key=IDENTITY.public_key)
            client = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(shown)

            async def said(told: str, economics: dict[str, str], task_id: str = "") -> pb.Task:
                message = pb.Message(
                    message_id=os.urandom(16).hex(),
                    role=pb.Role.ROLE_USER,
                    parts=[pb.Part(text=told)],
                    task_id=task_id,
                    metadata=struct({"skill": LABEL, ECONOMICS: economics}),
                )
                (answer,) = [one async for one in client.send_message(pb.SendMessageRequest(message=message))]
                return answer.task

            async def exchange() -> None:
                task = await said(text, {"want": "quote"})
                quote = str(plain(task.status.message.metadata)[ECONOMICS]["quote"])
                terms, _ = read(QuoteTerms, quote, known.signer)
                assert terms.task_id == task.id
                agreed = contract(BUYER, quote, terms, now_unix_ms=ENV.unix_ms())
                task = await said("agreed", {"contract": agreed}, task.id)
                assert task.status.state == pb.TaskState.TASK_STATE_COMPLETED
                (artifact,) = task.artifacts
                receipt, _ = read(ReceiptTerms, plain(artifact.metadata)[ECONOMICS]["receipt"], known.signer)
                about = (receipt.quote_sha256, receipt.contract_sha256, receipt.result_sha256)
                result = hashlib.sha256(artifact.parts[0].text.encode()).hexdigest()
                assert about == (digest(quote), digest(agreed), result)

            yield exchange
    finally:
        server.should_exit = True
        await serving


def _card(url: str) -> pb.AgentCard:
    """A signed card."""
    card = pb.AgentCard(
        name="bench",
        description="Says what it has ready.",
        version="1",
        supported_interfaces=[
            pb.AgentInterface(url=url + RPC_PATH, protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=pb.AgentCapabilities(extensions=[pb.AgentExtension(uri=ECONOMICS)]),
        default_input_modes=["text/plain"],
        default_output_modes=["application/json"],
        skills=[pb.AgentSkill(id=LABEL, name=LABEL, description=LABEL, tags=[LABEL])],
    )
    head, signature = sign_parts(IDENTITY, canonical(MessageToDict(card)), typ="JOSE")
    card.signatures.append(pb.AgentCardSignature(protected=head, signature=signature))
    return card
