"""Signed requests to the A2A server of a whole node: they count for this agent alone."""

import time

import aiohttp
import pytest

pytest.importorskip("a2a")

from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from crypto.identity import Identity
from tests.harness.a2a_calls import JSON, VERSION, Caller, call
from tests.harness.nodes import world

ANNA = Identity(b"a" * 32)
PATH, OTHER = "/a2a/rpc", "http://agent.example:7801"


async def test_what_was_signed_for_another_agent_cannot_be_sent_on_to_this_one() -> None:
    async with world() as made, aiohttp.ClientSession() as session:
        node = await made.node(sections={"a2a": A2aConfig(enabled=True)}, a2a={})
        here, body = f"http://{node.endpoint}", call("ListTasks")
        asked = SignedRequest.to("POST", OTHER + PATH, VERSION | JSON, body)
        signature = sign_request(ANNA, asked, created_unix_s=int(time.time()), nonce="seen by the other agent")
        for host in ("agent.example:7801", str(node.endpoint)):
            sent = VERSION | JSON | signature | {"Host": host}
            async with session.post(here + PATH, data=body, headers=sent) as reply:
                assert reply.status == 401, host
        assert (await Caller(session, here, ANNA).rpc("ListTasks")).result["tasks"] == []
