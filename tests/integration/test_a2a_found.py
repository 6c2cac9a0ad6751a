"""Agents found in the DHT: candidates like any peer, known by a key only where that key published their card."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

pytest.importorskip("a2a")

from coalesced.gateway.a2a.announcing import announce
from coalesced.gateway.a2a.config import A2aAnnounced, A2aConfig
from crypto.identity import Identity, did_key
from dht.ids import card_key, skill_key
from dht.service import KademliaDiscovery
from node.background import background
from node.decision.security import Grant
from node.decision.security_config import SecurityConfig
from node.outsource.config import ContractorConfig
from node.views import AskRequest, DecisionView, OptionRow
from tests.harness.nodes import BUILTIN, DEAR, LIMIT_S, NETWORK, Node, World, world
from tests.harness.sdk_agent import SKILL, SdkAgent, counted, sdk_agent

LABEL = "count-words"
TEXT = "the cat and the dog and the bird"
SEED = b"v" * 32
NOTHING = ContractorConfig(skills=())
PRICE_MICRO = 300


@pytest.fixture
async def some() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def announcer(some: World, agent: SdkAgent, seed: bytes = SEED) -> Node:
    """A node that tells others of the agent."""
    announced = A2aAnnounced(card=agent.url, skill=LABEL, agent_skill=SKILL)
    return await some.node(seed=seed, sections={"contractor": NOTHING, "a2a": A2aConfig(announced=(announced,))})


async def buyer(some: World, *, private: bool = True, prices: dict[str, int] | None = None, **sections: Any) -> Node:
    """A node that looks for agents, and knows where this one is."""
    found = {LABEL: PRICE_MICRO} if prices is None else prices
    config = A2aConfig(find=True, found_price_micro=found, find_at_private_addresses=private)
    made = await some.node(sections={"machine": DEAR, "contractor": NOTHING, "a2a": config, **sections})
    await known(made, LABEL)
    return made


async def known(node: Node, label: str, *, is_known: bool = True) -> None:
    """Return once a card for that skill is found in the DHT; or none any more."""
    find = node.parts.discovery.find
    async with asyncio.timeout(LIMIT_S):
        while bool(await find(card_key(NETWORK, label), timeout_s=LIMIT_S)) is not is_known:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def decided(node: Node, **asked: Any) -> DecisionView:
    return await node.parts.client.decide(AskRequest(**{"skill": LABEL, "text": TEXT, "privacy": "public", **asked}))


def others(decision: DecisionView) -> list[OptionRow]:
    return [option for option in decision.options if option.name != "local"]


async def test_an_agent_that_another_node_tells_of_is_hired_at_the_configured_price(
    some: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, looked = KademliaDiscovery.find, list[tuple[bytes, bool]]()

    async def told(self: KademliaDiscovery, key: bytes, *, thorough: bool = False, **how: Any) -> Any:
        looked.append((key, thorough))
        return await find(self, key, thorough=thorough, **how)

    async with sdk_agent() as agent:
        await announcer(some, agent)
        node = await buyer(some)
        monkeypatch.setattr(KademliaDiscovery, "find", told)
        await decided(node)
        assert (card_key(NETWORK, LABEL), False) in looked
        looked.clear()
        task = await node.ask(LABEL, TEXT, budget_micro=100_000)
        assert set(looked) == {(card_key(NETWORK, LABEL), True), (skill_key(NETWORK, LABEL), True)}
        assert (task.state, task.choice, task.cost_micro) == ("completed", "outsource", PRICE_MICRO), task.error
        assert (await node.owner.result(task.id))[0].decode() == counted(TEXT)


async def test_a_card_that_breaks_is_withdrawn_and_published_again_once_it_is_in_order(some: World) -> None:
    is_broken = False

    async def card(request: web.Request) -> web.Response:
        interface = {"protocolBinding": "JSONRPC", "protocolVersion": "1.0", "url": str(server.make_url("/rpc"))}
        skills = [] if is_broken else [{"id": SKILL, "name": "x"}]
        return web.json_response({"name": "x", "skills": skills, "supportedInterfaces": [interface]})

    app = web.Application()
    app.router.add_get("/.well-known/agent-card.json", card)
    async with TestServer(app) as server:
        teller = await some.node(sections={"contractor": NOTHING})
        node = await some.node(sections={"contractor": NOTHING})
        announced = A2aAnnounced(card=str(server.make_url("/")), skill=LABEL, agent_skill=SKILL)
        async with background(announce(announced, teller.parts, look_s=0.01, again_s=0.01)):
            await known(node, LABEL)
            is_broken = True
            await known(node, LABEL, is_known=False)
            is_broken = False
            await known(node, LABEL)


async def test_an_agent_that_names_no_price_and_has_none_configured_is_left_out(some: World) -> None:
    async with sdk_agent() as agent:
        await announcer(some, agent)
        node = await buyer(some, prices={})
        assert others(await decided(node)) == []


@pytest.mark.parametrize(("signer", "is_proven"), [(SEED, True), (b"w" * 32, False), (None, False)])
async def test_the_key_of_the_card_counts_only_where_it_published_the_card(
    some: World, signer: bytes | None, is_proven: bool
) -> None:
    own = did_key(Identity(signer or SEED).public_key)
    trusted = SecurityConfig(grants=(Grant(to=(own,)),))
    async with sdk_agent(identity=Identity(signer) if signer else None) as agent:
        await announcer(some, agent)
        node = await buyer(some, security=trusted)
        rows = others(await decided(node))
        assert {row.did == own for row in rows} == {is_proven}
        task = await node.ask(LABEL, TEXT, budget_micro=100_000)
        assert (task.state == "completed") is is_proven, task.error


async def test_an_agent_is_not_looked_for_at_private_addresses_unless_the_owner_says_so(some: World) -> None:
    async with sdk_agent() as agent:
        await announcer(some, agent)
        node = await buyer(some, private=False)
        task = await node.ask(LABEL, TEXT, budget_micro=100_000)
        assert task.state == "failed"
        quotes = next(one for one in await node.parts.tasks.events(bytes.fromhex(task.id)) if one.name == "quotes")
        assert "not one on the open internet" in quotes.text
        assert agent.work.seen == []


async def test_secret_work_and_nodes_that_do_not_look_ask_no_agent(some: World) -> None:
    async with sdk_agent() as agent:
        await announcer(some, agent)
        node = await buyer(some)
        assert (await node.ask(LABEL, TEXT, privacy="secret", budget_micro=100_000)).state == "rejected"
        plain = await some.node(sections={"machine": DEAR, "contractor": NOTHING})
        assert others(await decided(plain)) == []
        assert agent.work.seen == []


async def test_who_is_a_seller_over_the_channel_too_is_one_candidate(some: World) -> None:
    """A node that announces its own A2A server: buyers go by the channel, where both sides sign."""
    first = await some.node()
    announced = A2aAnnounced(card=f"http://{first.endpoint}", skill="sentiment")
    await first.stop()
    first.plan.sections = {"a2a": A2aConfig(enabled=True, announced=(announced,))}
    await first.start()
    config = A2aConfig(find=True, find_at_private_addresses=True)
    node = await some.node(
        speeds=dict.fromkeys(BUILTIN, 0.05), sections={"machine": DEAR, "contractor": NOTHING, "a2a": config}
    )
    await known(node, "sentiment")
    decision = await decided(node, skill="sentiment")
    assert [row.did for row in others(decision)] == [did_key(first.key)]
    task = await node.ask("sentiment", TEXT)
    assert (task.choice, await node.journal("award")) == ("outsource", ["award"])
