"""What a task's region, its other demands and the owner's grants keep from sellers, nodes or not: named, and kept."""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crypto.identity import did_key
from node.decision.security import Demand, Grant
from node.decision.security_config import SecurityConfig
from node.decision.verification import JudgeConfig, VerificationConfig
from node.errors import RefusedError, UsageError
from node.execute.openai.model import OpenAiModel
from node.execute.openai.offer import skill_of
from node.market.hours import DAYS
from node.outsource.client.request import bounded
from node.outsource.config import ClientConfig, ContractorConfig
from node.outsource.delegations import Delegation, Delegations, Part, Reach
from node.views import AskRequest, DecisionView, ModelSource, SellRequest, TokenRate
from tests.harness.nodes import BUILTIN, DEAR, Node, World, world

TEXT = "Margins held up well."
RATE = TokenRate(read_micro=100, written_micro=400)
EU, US = ContractorConfig(regions=("eu",)), ContractorConfig(regions=("us",))


@pytest.fixture
async def nodes() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def decided(node: Node, **asked: Any) -> DecisionView:
    return await node.owner.decide(AskRequest(**{"skill": "sentiment", "text": TEXT, "privacy": "public", **asked}))


def reasons(decision: DecisionView) -> dict[str, tuple[str, str]]:
    """Of those who made no offer."""
    return {one.did: (one.code, one.reason) for one in decision.no_offers}


async def test_a_decision_names_the_sellers_that_are_elsewhere_or_closed_and_says_whom_it_did_not_ask(
    nodes: World,
) -> None:
    day = DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    buyer = await nodes.buyer()
    near, far = await nodes.seller(sections={"contractor": EU}), await nodes.seller(sections={"contractor": US})
    nowhere = await nodes.seller()
    decision = await decided(buyer, regions=("eu",))
    assert [row.did for row in decision.options if row.name != "local"] == [did_key(near.key)]
    assert reasons(decision) == {
        did_key(far.key): ("region", "not asked: its advert says that it is in us; the task allows eu"),
        did_key(nowhere.key): ("region", "declined: region: I am in no stated region"),
    }
    await near.owner.sell(SellRequest(target="sentiment", hours=f"{day} 9-17"))
    closed = f"not asked: its advert says that it is closed until {day} 09:00 UTC"
    assert reasons(await decided(buyer)) == {did_key(near.key): ("closed", closed)}


async def test_what_no_seller_takes_and_this_node_cannot_do_is_decided_with_their_names_too(
    nodes: World, tmp_path: Path
) -> None:
    far, buyer = await nodes.trade(tmp_path, "def work(text: str) -> str:\n    return text\n", label="acme/echo")
    decision = await decided(buyer, skill="acme/echo", regions=("eu",))
    assert decision.choice == "none"
    assert reasons(decision) == {did_key(far.key): ("region", "declined: region: I am in no stated region")}


# --- agents that see the input when they are asked for their price


async def agent_and_buyer(nodes: World, **fields: Any) -> tuple[Node, Node]:
    """An agent in a network of its own, which names signed prices, and a node that knows it."""
    pytest.importorskip("a2a")
    from coalesced.gateway.a2a.config import A2aConfig, A2aSeller

    agent = await nodes.node(bootstrap=(), sections={"a2a": A2aConfig(enabled=True)})
    seller = A2aSeller(card=f"http://{agent.endpoint}", skill="sentiment", duration_s=0.1, **fields)
    sections = {
        "machine": DEAR,
        "contractor": ContractorConfig(sell=False),
        "a2a": A2aConfig(sellers=(seller,)),
        "security": SecurityConfig(grants=(Grant(privacy="internal"),)),
    }
    return agent, await nodes.node(speeds=dict.fromkeys(BUILTIN, 0.05), sections=sections, bootstrap=())


async def asked_of(agent: Node, node: Node) -> int:
    """How many messages with an input the agent has had from the node."""
    return (await agent.parts.store.a2a.load_of(did_key(node.key), 0))[1]


KEPT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"regions": ("eu",)}, "is in an unknown region; the task allows eu"),
    ({"only_to": ("did:key:z6MkNobody",)}, "is not among those whom the task may go to"),
    ({"proofs": ("attestation",)}, "has not shown an attestation lately, which the task demands"),
    ({"privacy": "confidential"}, "may get internal data at most, and the task is confidential"),
)


async def test_an_agent_is_not_shown_the_input_for_a_price_where_the_task_may_not_go_to_it(nodes: World) -> None:
    agent, node = await agent_and_buyer(nodes)
    for wish, said in KEPT:
        ((code, reason),) = reasons(await decided(node, **wish)).values()
        assert code == "security"
        assert reason.startswith(f"not asked its price, which would show it the input: {said}")
    assert await asked_of(agent, node) == 0


async def test_an_agent_whose_region_its_owner_knows_is_asked_and_hired(nodes: World) -> None:
    agent, node = await agent_and_buyer(nodes, regions=("eu",))
    task = await node.ask("sentiment", TEXT, regions=("eu",))
    assert (task.state, task.choice) == ("completed", "outsource")
    assert await asked_of(agent, node) > 0


# --- secret work


async def test_secret_work_is_not_done_here_by_what_would_send_it_to_another_machine() -> None:
    judge = JudgeConfig(url="http://judge.example/v1", model="small-1", cost=RATE)
    async with world() as made:
        node = await made.node(sections={"verification": VerificationConfig(judge=judge)})
        for host, here in (("models.example", False), ("127.0.0.1", True)):
            source = ModelSource(url=f"http://{host}/v1", model="small-1", cost=RATE)
            node.parts.executor.register_remote(OpenAiModel(source, skill_of(source, "a/chat", "", RATE)))
            (local,) = (await decided(node, skill="a/chat", privacy="secret")).options
            assert local.feasible is here
            assert (f"its input would go to {host}" in local.note) is not here
            (local,) = (await decided(node, skill="a/chat", privacy="confidential")).options
            assert local.feasible
        with pytest.raises(UsageError, match=r"secret work never leaves this node, and its judge is at judge\.example"):
            await decided(node, skill="a/chat", privacy="secret", verify=("judge",))


async def test_what_a_task_hands_on_goes_to_nobody_to_whom_the_task_may_not_go() -> None:
    demand = Demand(only_to=("did:key:a*", "did:key:b"), proofs=("attestation",))
    delegations = Delegations("me", os.urandom, _nobody)
    reach = Reach("confidential", ("eu", "uk"), demand)

    def bounded_(**asked: Any) -> AskRequest:
        delegation = Delegation(delegations, bytes(16), "me.x", budget_micro=9, left_s=5.0, reach=reach)
        return bounded(AskRequest(skill="risk", **asked), Part(delegation, 9), ClientConfig())

    plain = bounded_(privacy="public", proofs=("certificate",))
    assert (plain.privacy, plain.regions, plain.only_to) == ("confidential", reach.regions, demand.only_to)
    assert plain.proofs == ("attestation", "certificate")
    narrow = bounded_(privacy="secret", regions=("eu", "us"), only_to=("did:key:aa", "did:key:c"))
    assert (narrow.privacy, narrow.regions, narrow.only_to) == ("secret", ("eu",), ("did:key:aa",))
    with pytest.raises(RefusedError, match="may go to eu, uk alone, not to us"):
        bounded_(regions=("us",))


async def _nobody(_: Sequence[bytes]) -> None:
    return
