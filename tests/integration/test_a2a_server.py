"""The A2A server of a whole node, called as any client could call it: what the conformance kit leaves out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytest.importorskip("a2a")

from a2a.server.context import ServerCallContext
from a2a.server.tasks import InMemoryTaskStore
from a2a.types.a2a_pb2 import AgentCard, CancelTaskRequest, SendMessageRequest, TaskState
from a2a.utils.signing import create_signature_verifier
from google.protobuf.json_format import MessageToDict, ParseDict
from jwt.api_jwk import PyJWK

from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.executor import NodeExecutor
from coalesced.gateway.a2a.handler import Handler
from coalesced.gateway.a2a.shared import ECONOMICS
from coalesced.gateway.a2a.terms import Terms as ServiceTerms
from crypto.group import fastest_group
from crypto.identity import Identity, parse_did_key
from crypto.jcs import canonical
from crypto.jws import encode_base64url, verify_parts
from node.owner.owner import Owner
from node.owner.skills import price_of
from node.proofs.certificate import Terms, read
from node.proofs.credential import Wanted, certify, encode_credential
from node.views import AskRequest, EventView
from tests.harness.a2a_calls import Caller, call, message
from tests.harness.a2a_kit import KitExecutor
from tests.harness.nodes import LIMIT_S, NETWORK, Node, World, world

ANNA, BELA = Identity(b"a" * 32), Identity(b"b" * 32)
TOKEN = "0123456789abcdefghij"
REQUIRED = "urn:test:required"
PARKED = 1500


@pytest.fixture
async def nodes() -> AsyncIterator[World]:
    async with world() as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as made:
        yield made


async def serve(nodes: World, *, kit: bool = True, a2a: dict[str, Any] | None = None, **config: Any) -> Node:
    """A node that serves A2A: with the kit's agent, or with its own skills."""
    served = {"executor": KitExecutor(), **(a2a or {})} if kit else a2a or {}
    return await nodes.node(sections={"a2a": A2aConfig(enabled=True, **config)}, a2a=served)


def at(node: Node, session: aiohttp.ClientSession, identity: Identity | None = ANNA, **headers: str) -> Caller:
    caller = Caller(session, f"http://{node.endpoint}", identity)
    caller.headers |= headers
    return caller


async def parked(caller: Caller) -> dict[str, Any]:
    """A task that waits for its caller."""
    answer = await caller.rpc("SendMessage", message(prefix="tck-input-required"))
    task: dict[str, Any] = answer.result["task"]
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    return task


class Late:
    """A node whose first word about a task is held back, though it is at work."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.is_at_work, self.may_tell = asyncio.Event(), asyncio.Event()

    async def ask(self, request: AskRequest) -> AsyncIterator[EventView]:
        async for event in self._owner.ask(request):
            self.is_at_work.set()
            await self.may_tell.wait()
            yield event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._owner, name)


async def test_a_task_that_is_cancelled_before_it_was_heard_of_does_not_go_on_in_the_node(nodes: World) -> None:
    node = await nodes.node(pace_s=LIMIT_S)
    late, parts = Late(node.owner), node.parts
    terms = ServiceTerms(
        A2aConfig(free_skills=("sentiment",)),
        node.identity,
        parts.store.a2a,
        offered=lambda: ("sentiment",),
        price=lambda request: price_of(parts, request),
        unix_ms=parts.env.unix_ms,
    )
    executor = NodeExecutor(late, terms, node.identity, parts.store.earnings, parts.env.unix_ms)
    store, context = InMemoryTaskStore(), ServerCallContext()
    handler = Handler(executor, store, push_store=None, push_sender=None, allow_private=False, any_media_type=True)
    asked = ParseDict(message() | {"configuration": {"returnImmediately": True}}, SendMessageRequest())
    task = await handler.on_message_send(asked, context)
    async with asyncio.timeout(LIMIT_S):
        await late.is_at_work.wait()
        cancelling = asyncio.create_task(handler.on_cancel_task(CancelTaskRequest(id=task.id), context))
        await asyncio.sleep(0)  # The cancellation is under way, and the node has said nothing yet.
        late.may_tell.set()
        assert (await cancelling).status.state == TaskState.TASK_STATE_CANCELED
        while await parts.store.tasks.unfinished():  # noqa: ASYNC110  # the node's task is not ours to await
            await asyncio.sleep(0.01)


async def test_the_card_shows_what_others_certify(nodes: World, session: aiohttp.ClientSession) -> None:
    node = await serve(nodes, kit=False, free_skills=("sentiment",))
    now_unix_s = node.parts.env.unix_ms() // 1000
    terms = Terms(
        subject=node.key,
        network=NETWORK,
        issued_unix_s=now_unix_s,
        expires_unix_s=now_unix_s + 3600,
        serial="00" * 16,
    )
    wanted = Wanted({"sentiment": 900_000}, {})
    made = certify(BELA, terms, wanted, None, group=fastest_group(), entropy=node.parts.env.entropy)
    await node.parts.store.credentials.keep(
        made.certificate.issuer,
        made.token,
        encode_credential(made),
        expires_unix_s=terms.expires_unix_s,
        unix_ms=now_unix_s * 1000,
        replaces=None,
    )
    card = (await at(node, session, None).send("GET", "/.well-known/agent-card.json")).body
    told = next(one for one in card["capabilities"]["extensions"] if one["uri"] == ECONOMICS)["params"]
    assert told["certificates"] == [made.token]
    assert read(told["certificates"][0]).issuer == BELA.public_key


# --- what was measured as a trap


async def test_a_message_for_a_task_needs_no_context(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes), session)
    task = await parked(caller)
    answered = await caller.rpc("SendMessage", message(prefix="tck-complete-task", taskId=task["id"]))
    assert answered.result["task"]["contextId"] == task["contextId"]


async def test_tasks_that_wait_for_their_callers_hold_no_coroutines(
    nodes: World, session: aiohttp.ClientSession
) -> None:
    node = await serve(nodes, max_open_tasks_per_caller=2000, requests_per_minute=10**6)
    caller = at(node, session)
    await parked(caller)
    before = len(asyncio.all_tasks())
    places = asyncio.Semaphore(32)

    async def park() -> None:
        async with places:
            await parked(caller)

    await asyncio.gather(*(park() for _ in range(PARKED)))
    async with asyncio.timeout(LIMIT_S):
        while len(asyncio.all_tasks()) > before + 32:  # noqa: ASYNC110  # connections; the SDK has no event for it
            await asyncio.sleep(0.05)
    listed = await caller.rpc("ListTasks", {"pageSize": 1})
    assert listed.result["totalSize"] == PARKED + 1


async def test_a_required_extension_that_is_missing_is_an_error_and_a_known_one_is_echoed(
    nodes: World, session: aiohttp.ClientSession
) -> None:
    caller = at(await serve(nodes, a2a={"required": frozenset({REQUIRED})}), session)
    assert (await caller.rpc("SendMessage", message())).code == -32008
    rest = await caller.send("POST", "/a2a/rest/message:send", json.dumps(message()).encode())
    assert rest.body["error"]["details"][0]["reason"] == "EXTENSION_SUPPORT_REQUIRED"
    known = await caller.rpc("SendMessage", message(), A2A_Extensions=f"{REQUIRED}, urn:other, {ECONOMICS}")
    assert known.headers["A2A-Extensions"] == f"{ECONOMICS}, {REQUIRED}"


@pytest.mark.parametrize("version", ["", "0.3", "2.0", "1.1", "nonsense"])
async def test_another_version_is_an_error_on_both_bindings(
    nodes: World, session: aiohttp.ClientSession, version: str
) -> None:
    caller = at(await serve(nodes), session)
    assert (await caller.rpc("GetTask", {"id": "x"}, A2A_Version=version)).code == -32009
    answer = await caller.send("GET", "/a2a/rest/tasks/x", A2A_Version=version)
    assert answer.body["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"


async def test_the_version_may_be_a_parameter(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes), session)
    caller.headers.clear()
    assert (await caller.send("GET", "/a2a/rest/tasks?A2A-Version=1.0")).status == 200


async def test_a_stream_begins_with_its_task(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, kit=False, free_skills=("sentiment",)), session)
    asked = message(metadata={"skill": "sentiment"})
    events = [event async for event in caller.events("/a2a/rest/message:stream", json.dumps(asked).encode())]
    assert "task" in events[0]
    assert [event["statusUpdate"]["status"]["state"] for event in events if "statusUpdate" in event][-1] == (
        "TASK_STATE_COMPLETED"
    )


async def test_a_call_that_fails_before_its_first_event_is_no_stream(
    nodes: World, session: aiohttp.ClientSession
) -> None:
    caller = at(await serve(nodes), session)
    answer = await caller.send("POST", "/a2a/rest/tasks/none:subscribe")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")
    assert (await caller.rpc("SubscribeToTask", {"id": "none"})).code == -32001


async def test_open_streams_end_when_the_node_stops(nodes: World, session: aiohttp.ClientSession) -> None:
    node = await serve(nodes)
    caller = at(node, session)
    task = await parked(caller)
    stream = caller.events("/a2a/rpc", call("SubscribeToTask", {"id": task["id"]}))
    first = await anext(stream)
    assert first["result"]["task"]["id"] == task["id"]
    stopping = asyncio.create_task(node.stop())
    async with asyncio.timeout(LIMIT_S):
        with suppress(aiohttp.ClientError):  # cut, which is an end too
            assert [event async for event in stream] == []
        await stopping


async def test_push_addresses_inside_are_refused_unless_the_owner_says_so(
    nodes: World, session: aiohttp.ClientSession
) -> None:
    caller = at(await serve(nodes), session)
    task = await parked(caller)
    for url in ("http://127.0.0.1:1/", "http://169.254.169.254/", "file:///x"):
        config = {"taskId": task["id"], "id": "c", "url": url}
        assert (await caller.rpc("CreateTaskPushNotificationConfig", config)).code == -32602
    params = message(prefix="tck-complete-task")
    params["configuration"] = {"taskPushNotificationConfig": {"url": "http://localhost:1/"}}
    assert (await caller.rpc("SendMessage", params)).code == -32602


async def test_no_card_speaks_of_0_3_unless_switched_on(nodes: World, session: aiohttp.ClientSession) -> None:
    plain = at(await serve(nodes), session)
    card = (await plain.send("GET", "/.well-known/agent-card.json")).body
    assert {one["protocolVersion"] for one in card["supportedInterfaces"]} == {"1.0"}
    assert (await plain.rpc("message/send", {})).code == -32601
    old = at(await serve(nodes, legacy_0_3=True), session)
    parts = [{"kind": "text", "text": "hello"}]
    asked = {"message": {"messageId": "tck-complete-task", "role": "user", "parts": parts, "kind": "message"}}
    answer = await old.rpc("message/send", asked, A2A_Version="0.3")
    assert answer.result["status"]["state"] == "completed"


async def test_tasks_outlive_a_restart_but_not_their_retention(
    nodes: World, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    config = A2aConfig(enabled=True)
    node = await nodes.node(directory=tmp_path, sections={"a2a": config}, a2a={"executor": KitExecutor()})
    caller = at(node, session)
    done = (await caller.rpc("SendMessage", message(prefix="tck-complete-task"))).result["task"]
    waiting = await parked(caller)
    await node.restart()
    assert (await caller.rpc("GetTask", {"id": done["id"]})).result["status"]["state"] == "TASK_STATE_COMPLETED"
    # Whatever it waited for is gone with the process.
    assert (await caller.rpc("GetTask", {"id": waiting["id"]})).result["status"]["state"] == "TASK_STATE_FAILED"
    keep_ms = round(node.parts.store.blobs.config.keep_tasks_s * 1000)
    await node.parts.store.sweep(node.parts.env.unix_ms() + keep_ms + 60_000)
    assert (await caller.rpc("GetTask", {"id": done["id"]})).code == -32001


async def test_a_stream_where_none_is_offered_is_refused(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, streaming=False), session)
    assert (await caller.rpc("SendStreamingMessage", message())).code == -32004
    rest = await caller.send("POST", "/a2a/rest/message:stream", json.dumps(message()).encode())
    assert (rest.status, rest.body["error"]["details"][0]["reason"]) == (400, "UNSUPPORTED_OPERATION")


async def test_a_message_for_a_task_that_has_ended_is_refused(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes), session)
    done = (await caller.rpc("SendMessage", message(prefix="tck-complete-task"))).result["task"]
    before = len(asyncio.all_tasks())
    assert (await caller.rpc("SendMessage", message(taskId=done["id"]))).code == -32004
    assert len(asyncio.all_tasks()) <= before


# --- who calls


async def test_a_request_without_credentials_is_challenged(nodes: World, session: aiohttp.ClientSession) -> None:
    nobody = at(await serve(nodes), session, identity=None)
    for answer in (await nobody.rpc("ListTasks"), await nobody.send("GET", "/a2a/rest/extendedAgentCard")):
        assert answer.status == 401
        assert "Signature" in answer.headers["WWW-Authenticate"]
    assert (await nobody.send("GET", "/.well-known/agent-card.json")).status == 200


async def test_the_extended_card_is_for_callers_with_credentials(nodes: World, session: aiohttp.ClientSession) -> None:
    node = await serve(nodes, kit=False, anonymous=True)
    nobody, anna = at(node, session, identity=None), at(node, session)
    assert (await nobody.rpc("ListTasks")).status == 200
    for answer in (await nobody.rpc("GetExtendedAgentCard"), await nobody.send("GET", "/a2a/rest/extendedAgentCard")):
        assert answer.status == 401
        assert "Signature" in answer.headers["WWW-Authenticate"]
    assert (await anna.rpc("GetExtendedAgentCard")).result["skills"]


async def test_a_forged_signature_is_challenged(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes), session)
    answer = await caller.rpc("ListTasks", None, Signature="sig1=:AAAA:")
    assert answer.status == 200  # our own header replaces it
    bad = at(await serve(nodes), session, identity=None, **{"Signature-Input": "sig1=();alg=x", "Signature": "x"})
    assert (await bad.rpc("ListTasks")).status == 401


async def test_nobody_sees_what_another_asked_for(nodes: World, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"carl {TOKEN}\n")
    tokens.chmod(0o600)
    node = await serve(nodes, anonymous=True, tokens_file=str(tokens), push_to_private_addresses=True)
    anna = at(node, session)
    task = await parked(anna)
    others = [
        at(node, session, BELA),
        at(node, session, None),
        at(node, session, None, Authorization=f"Bearer {TOKEN}"),
    ]
    for other in others:
        assert (await other.rpc("ListTasks")).result["tasks"] == []
        for name, params in {
            "GetTask": {"id": task["id"]},
            "CancelTask": {"id": task["id"]},
            "SubscribeToTask": {"id": task["id"]},
            "SendMessage": message(taskId=task["id"]),
            "CreateTaskPushNotificationConfig": {"taskId": task["id"], "id": "x", "url": "http://127.0.0.1:1/"},
            "GetTaskPushNotificationConfig": {"taskId": task["id"], "id": "x"},
            "ListTaskPushNotificationConfigs": {"taskId": task["id"]},
            "DeleteTaskPushNotificationConfig": {"taskId": task["id"], "id": "x"},
        }.items():
            # As if it were not there: that it exists is nobody else's business.
            assert (await other.rpc(name, params)).code == -32001, name
    assert (await anna.rpc("ListTasks")).result["tasks"][0]["id"] == task["id"]


async def test_a_flood_is_answered_with_429(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, requests_per_minute=3), session)
    answers = [await caller.rpc("ListTasks") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_a_request_that_is_too_large_is_refused(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, max_request_bytes=4096), session)
    assert (await caller.rpc("SendMessage", message("x" * 5000))).status == 413


# --- the card


async def test_the_card_is_signed_by_the_node_and_both_readers_agree(
    nodes: World, session: aiohttp.ClientSession
) -> None:
    node = await serve(nodes)
    answer = await at(node, session, None).send("GET", "/.well-known/agent-card.json")
    card = ParseDict(answer.body, AgentCard())
    signature = answer.body.pop("signatures")[0]
    checked = verify_parts(signature["protected"], canonical(answer.body), signature["signature"], typ="JOSE")
    assert checked.signer == node.key

    def key(kid: str | None, jku: str | None) -> PyJWK:
        public = encode_base64url(parse_did_key(kid or ""))
        return PyJWK({"kty": "OKP", "crv": "Ed25519", "x": public, "alg": "EdDSA"})

    create_signature_verifier(key, ["EdDSA"])(card)
    card.name = "another"
    with pytest.raises(Exception, match="No valid signature"):
        create_signature_verifier(key, ["EdDSA"])(card)


async def test_no_field_of_the_card_is_empty(nodes: World, session: aiohttp.ClientSession) -> None:
    node = await serve(nodes, kit=False)
    anna = at(node, session)
    plain = (await anna.send("GET", "/.well-known/agent-card.json")).body
    extended = (await anna.send("GET", "/a2a/rest/extendedAgentCard")).body

    def empty(value: Any) -> bool:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return value in ("", [], {}) or any(empty(one) for one in inside)

    assert not empty(plain)
    assert not empty(extended)
    prices = extended["capabilities"]["extensions"][0]["params"]["skills"]
    assert set(prices) == {skill["id"] for skill in plain["skills"]}
    assert all(isinstance(price["unit_price_usd"], str) for price in prices.values())


async def test_an_unchanged_card_is_not_sent_again(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes), session, None)
    first = await caller.send("GET", "/.well-known/agent-card.json")
    again = await caller.send("GET", "/.well-known/agent-card.json", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, "")
    assert "max-age" in first.headers["Cache-Control"]
    catalog = (await caller.send("GET", "/.well-known/ai-catalog.json")).body
    assert catalog["entries"][0]["url"].endswith("/.well-known/agent-card.json")


async def test_a_node_without_offers_is_no_agent(nodes: World, session: aiohttp.ClientSession) -> None:
    from node.outsource.config import ContractorConfig

    sections = {"a2a": A2aConfig(enabled=True), "contractor": ContractorConfig(sell=False)}
    node = await nodes.node(sections=sections)
    assert (await at(node, session).send("GET", "/.well-known/agent-card.json")).status == 404


# --- what a message comes to


async def test_what_is_not_free_is_rejected_with_the_reason(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, kit=False, free_skills=("sentiment",)), session)
    for metadata, reason in (
        ({"skill": "risk"}, "not done for nothing"),
        ({"skill": "nothing"}, "is not offered"),
        ({}, "name a skill"),
    ):
        answer = await caller.rpc("SendMessage", message(metadata=metadata))
        status = answer.result["task"]["status"]
        assert status["state"] == "TASK_STATE_REJECTED"
        assert reason in status["message"]["parts"][0]["text"]


async def test_quotas_of_open_and_of_free_tasks_hold(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, kit=False, free_skills=("sentiment",), free_tasks_per_day=2), session)
    states = []
    for _ in range(3):
        answer = await caller.rpc("SendMessage", message(metadata={"skill": "sentiment"}))
        states.append(answer.result["task"]["status"]["state"])
    assert states == ["TASK_STATE_COMPLETED", "TASK_STATE_COMPLETED", "TASK_STATE_REJECTED"]


async def test_quotes_that_bind_no_longer_make_room(nodes: World, session: aiohttp.ClientSession) -> None:
    node = await serve(nodes, kit=False, max_open_tasks_per_caller=2, quote_lifetime_s=1.0)
    caller = at(node, session)
    asked = {"skill": "sentiment", ECONOMICS: {"want": "quote"}}

    async def state() -> str:
        told: str = (await caller.rpc("SendMessage", message(metadata=asked))).result["task"]["status"]["state"]
        return told

    assert [await state() for _ in range(3)] == [*["TASK_STATE_INPUT_REQUIRED"] * 2, "TASK_STATE_REJECTED"]
    async with asyncio.timeout(LIMIT_S):
        while await state() == "TASK_STATE_REJECTED":  # noqa: ASYNC110  # until the quotes have expired
            await asyncio.sleep(0.1)


async def test_a_media_type_that_no_skill_takes_is_an_error(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes, kit=False, free_skills=("sentiment",)), session)
    asked = message(metadata={"skill": "sentiment"})
    asked["message"]["parts"] = [{"raw": "dGNr", "mediaType": "application/x-unknown"}]
    assert (await caller.rpc("SendMessage", asked)).code == -32005
    rest = await caller.send("POST", "/a2a/rest/message:send", json.dumps(asked).encode())
    assert rest.status == 415


async def test_bodies_that_are_no_requests_are_told_so(nodes: World, session: aiohttp.ClientSession) -> None:
    caller = at(await serve(nodes), session)
    for body, code in (
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"1.0","id":7,"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":"Nothing"}', -32601),
        (b'{"jsonrpc":"2.0","id":7,"method":"GetTask","params":[1]}', -32602),
        (b'{"jsonrpc":"2.0","id":7,"method":"SendMessage","params":{}}', -32602),
    ):
        assert (await caller.send("POST", "/a2a/rpc", body)).code == code, body
    assert (await caller.send("POST", "/a2a/rest/message:send", b"{")).status == 400


async def test_a_card_survives_a_round_through_protobuf(nodes: World, session: aiohttp.ClientSession) -> None:
    answer = await at(await serve(nodes), session, None).send("GET", "/.well-known/agent-card.json")
    assert MessageToDict(ParseDict(answer.body, AgentCard())) == answer.body
