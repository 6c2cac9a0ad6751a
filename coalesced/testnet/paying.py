"""What the demo's nodes pay, in credits on the chain of four of them: a payment, a refund, a dispute."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from coalesced.control.client import ControlClient
from coalesced.control.shapes import AskRequest, Event, LedgerAccount, Why
from coalesced.testnet import chaos, processes, runner
from coalesced.testnet.players import TASK_TIMEOUT_S, Demo, ask, risk_request

ENOUGH_S = 60.0
"""For a deal to come to its end: its blocks take less than a second each, a deadline half a minute."""
HONEST_RUNS = 5
"""After these a dishonest seller is what its conduct says (dishonest.py): the first runs are a node's own."""


async def locked_and_paid(demo: Demo, why: Why, seller: str) -> None:
    """After a good result: the credits that were locked before the work are the seller's."""
    stage, price = demo.stage, (why["receipt"] or {"price_micro": 0})["price_micro"]
    names = [row["name"] for row in why["timeline"]]
    locked_first = "settled" in names and names.index("settled") < names.index("accepted")
    stage.claim("the price was locked in escrow before the work began", locked_first)
    paid = demo.clients[demo.names[seller]]
    stage.command("coalesced ledger balance")
    is_paid = await until(paid, lambda account: account["credits"] == demo.granted + price)
    stage.claim(f"after the check, {price} credits of the escrow went to the seller", is_paid)
    stage.show(await demo.buyer.ledger_account())


async def sent_back(demo: Demo, seen: Sequence[Event]) -> None:
    """After its seller died: up again, it gives back what it cannot earn any more."""
    stage = demo.stage
    hired = next(event["peer"] for event in seen if event["name"] == "awarded")
    locked = [deal["credits"] for deal in (await demo.buyer.ledger_account())["deals"] if deal["contractor"] == hired]
    stage.claim(f"{sum(locked)} credits were locked for the dead seller", len(locked) == 1)
    stage.say(f"  >> {await chaos.restart(demo.manifest, demo.node_called(hired).name)}")
    await until(demo.buyer, lambda now: all(deal["contractor"] != hired for deal in now["deals"]))
    told = [row["text"] for row in (await demo.buyer.why(seen[0]["task_id"]))["timeline"]]
    stage.claim("up again, it has given them back", any(f"all {sum(locked)} credits are back" in text for text in told))


async def contested(demo: Demo) -> None:
    """Act 4: a seller hands over something else and wants its pay all the same; a member of the chain rules."""
    stage, manifest = demo.stage, demo.manifest
    stage.title("4  a seller that cheats and insists on its pay")
    cheat = manifest.nodes[2]
    stage.say(
        f"{cheat.name} is started again as a fabricator: well-formed results of something else. It alone sells `risk` "
        "now, and it does not give back what a client refuses to pay for."
    )
    home = manifest.home(cheat)
    await asyncio.to_thread(processes.stop_all, [home], grace_s=runner.STOP_GRACE_S)
    fabricator = replace(cheat, conduct="fabricator")
    await runner.wait_ready(manifest, fabricator, runner.start_node(manifest, fabricator))
    for node in manifest.nodes[:-1]:
        if node is not cheat:
            await demo.clients[node.name].unsell("risk")
    await _behave_first(demo.clients[cheat.name])
    before = await demo.buyer.ledger_account()
    stage.command("coalesced ask risk -f book.json --verify full")
    request: AskRequest = {**risk_request(seed=3, paths=1_200_000), "least_level": "full"}
    task, seen = await ask(demo, request)
    stage.claim("the check found it out, and the work was done here instead", _was_refused(seen))
    is_closed = await until(demo.buyer, lambda now: not now["locked_credits"] and now["credits"] == before["credits"])
    why = await demo.buyer.why(task["id"])
    told = [row["text"] for row in why["timeline"] if row["name"] == "settled"]
    stage.claim("the seller asked for its pay, and the buyer called the arbiter", any("arbiter" in t for t in told))
    stage.claim("shown the seller's signed result, the arbiter ruled that nothing is due", is_closed)
    stage.show(why)


async def _behave_first(cheat: ControlClient) -> None:
    """Let a dishonest seller do its honest first runs, for itself."""
    for number in range(HONEST_RUNS):
        own: AskRequest = {**risk_request(seed=200 + number, paths=50_000), "privacy": "secret"}
        async with asyncio.timeout(TASK_TIMEOUT_S), contextlib.aclosing(cheat.ask(own)) as events:
            async for _ in events:
                continue


def _was_refused(seen: Sequence[Event]) -> bool:
    names = [event["name"] for event in seen]
    return "awarded" in names and "fell_back" in names and names[-1] == "completed"


async def until(client: ControlClient, holds: Callable[[LedgerAccount], bool]) -> bool:
    """Whether something becomes true of a node's account in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ENOUGH_S):
            while True:
                if holds(await client.ledger_account()):
                    return True
                await asyncio.sleep(0.2)
    return False
