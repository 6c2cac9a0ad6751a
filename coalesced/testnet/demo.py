"""The demo: five real nodes, four tasks, what they pay, and the question why. Every claim on the way is checked.

Run by scripts/demo. Exit code 0 when all claims hold; whatever happens, no process and no file is left behind.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from coalesced.cli.escape import escaped
from coalesced.cli.ledger_files import found_testnet
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.control.shapes import AskRequest, Task, Why
from coalesced.testnet import chaos, processes, runner
from coalesced.testnet.manifest import Manifest, TestnetError, roles_for
from coalesced.testnet.paying import contested, locked_and_paid, sent_back
from coalesced.testnet.players import SETTLE_TIMEOUT_S, TASK_TIMEOUT_S, Demo, ask, risk_request
from coalesced.testnet.stage import Stage

NODES = 5
MEMBERS = 4
"""Of the chain on which they pay: one may fail, and in the third act one does."""
REVIEW = "The room was not clean, but the staff were wonderful!"
SELLERS_TIMEOUT_S = 30.0


async def meet(demo: Demo, stack: AsyncExitStack) -> None:
    """Act 0: the network stands, and sellers are found by skill."""
    stage = demo.stage
    for state in await runner.states(demo.manifest):
        client = ControlClient(runner.socket_of(demo.manifest, state.plan))
        demo.clients[state.plan.name] = await stack.enter_async_context(client)
        if state.status is not None:
            demo.names[state.status["node"]] = state.plan.name
            rate = state.plan.rate_micro_per_hour / 1e6
            sells = ", ".join(state.status["skills_sold"]) or "nothing"
            stage.say(
                f"  {state.plan.name}  {state.status['node']}  pid {state.pid}  {state.plan.endpoint}  "
                f"its hour costs ${rate:.2f}  knows {state.status['contacts']}  sells {sells}"
            )
    stage.claim("five processes found each other through one bootstrap address", len(demo.names) == NODES)
    demo.granted = (await demo.buyer.ledger_account())["credits"]
    wanted = sum(node.role != "buyer" for node in demo.manifest.nodes)
    stage.command("coalesced skills find risk")
    found = await demo.buyer.find_skill("risk")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SELLERS_TIMEOUT_S):
            while len(found["sellers"]) < wanted:
                await asyncio.sleep(0.2)
                found = await demo.buyer.find_skill("risk")
    stage.show({**found, "sellers": [{**seller, "caption": ""} for seller in found["sellers"]]})
    stage.claim(f"the buyer found {wanted} sellers of the skill `risk` in the DHT", len(found["sellers"]) == wanted)


async def warm_up(demo: Demo) -> None:
    """Each node does a little of such work for itself, so that it prices it by its own measured speed.

    What a node measured at its start was measured while four others started beside it.
    """
    demo.stage.say("Each node now does a little work for itself: from then on it knows how fast it is at that.")
    for number, client in enumerate(demo.clients.values()):
        review: AskRequest = {"skill": "sentiment", "text": REVIEW}
        for request in (risk_request(seed=100 + number, paths=250_000), review):
            own: AskRequest = {**request, "privacy": "secret"}  # it never leaves the node
            async with asyncio.timeout(TASK_TIMEOUT_S), aclosing(client.ask(own)) as events:
                async for _ in events:
                    continue


async def act_outsourced(demo: Demo) -> Why:
    """Act 1: heavy work on a dear machine is hired out."""
    stage = demo.stage
    stage.title("1  heavy work: is it worth hiring?")
    stage.say(
        "Value at risk of a portfolio, by simulation. The buyer could do it; its machine is dear, so an hour of it is "
        "better spent elsewhere. It prices the work here, asks the sellers for signed quotes, and compares."
    )
    stage.command("coalesced ask risk -f book.json")
    task, seen = await ask(demo, risk_request(seed=1, paths=1_200_000))
    why = await demo.buyer.why(task["id"])
    quotes = {option["name"] for option in (why["decision"] or {"options": []})["options"] if option["name"] != "local"}
    stage.claim(f"{len(quotes)} sellers quoted, and the decision was OUTSOURCE", len(quotes) >= 2 and is_bought(task))
    stage.claim("progress was streamed while the seller worked", any(event["name"] == "progress" for event in seen))
    stage.claim(f"the result was verified before it was paid: {task['verdict']}", task["verdict"] == "accepted")
    receipt = why["receipt"]
    stage.claim("both sides signed a receipt", receipt is not None and receipt["countersigned"])
    if receipt is not None:
        stage.show(receipt)
        seller = demo.clients[demo.names[receipt["contractor"]]]
        stage.claim("the seller's journal has the receipt too", await until_held(seller, receipt["id"]))
        await locked_and_paid(demo, why, receipt["contractor"])
    return why


async def act_local(demo: Demo) -> Why:
    """Act 2: light work stays here."""
    demo.stage.title("2  light work: not worth an order")
    demo.stage.command(f"coalesced ask sentiment '{REVIEW}'")
    task, _ = await ask(demo, {"skill": "sentiment", "text": REVIEW})
    why = await demo.buyer.why(task["id"])
    is_local = task["state"] == "completed" and task["choice"] == "local"
    demo.stage.claim("the decision was LOCAL, and the work was done here", is_local)
    return why


async def act_fallback(demo: Demo) -> Why:
    """Act 3: the seller dies half-way."""
    stage = demo.stage
    stage.title("3  longer work: its seller dies half-way")
    stage.command("coalesced ask risk -f large-book.json      and, meanwhile, coalesced testnet chaos kill ...")
    task, seen = await ask(demo, risk_request(seed=2, paths=3_000_000), kill_seller=True)
    why = await demo.buyer.why(task["id"])
    stage.claim("the buyer saw it and fell back", any(event["name"] == "fell_back" for event in seen))
    stage.claim("what was tried is on record", bool(task["tried"]))
    stage.claim(f"the task was completed all the same ({task['choice']})", task["state"] == "completed")
    stage.claim("the fault is in the buyer's journal", await until_in_journal(demo.buyer, "fault", task["id"]))
    await sent_back(demo, seen)
    return why


async def explain(demo: Demo, whys: list[Why]) -> None:
    """Act 5: why, for each, and the journals of both sides."""
    stage = demo.stage
    stage.title("5  why?")
    for why in whys:
        stage.command(f"coalesced why {why['task']['id']}")
        stage.show(why)
        stage.claim("one screen says what was decided and what happened", why["decision"] is not None)
    stage.title("6  the journals of both sides")
    receipt = whys[0]["receipt"]
    sides = [demo.manifest.nodes[-1].name] + ([demo.names[receipt["contractor"]]] if receipt else [])
    for name in sides:
        client = demo.clients[name]
        if processes.state(demo.manifest.home(demo.manifest.node(name))) != "running":
            stage.say(f"{name} is the seller that died; it is started again, on its old directory")
            await chaos.restart(demo.manifest, name)
        stage.command(f"coalesced --home {name} journal tail; coalesced --home {name} journal verify")
        stage.show(await client.journal_tail(10))
        verified = await client.journal_verify()
        stage.show(verified)
        stage.claim(f"the journal of {name} holds, entry by entry", verified["ok"] and verified["checked"] > 0)


def is_bought(task: Task) -> bool:
    """Whether a seller did it, to the end."""
    return task["state"] == "completed" and task["choice"] == "outsource"


async def until_in_journal(client: ControlClient, kind: str, task_id: str) -> bool:
    """Whether the node's journal has, soon, an entry of this kind about the task."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while True:
                entries = (await client.journal_tail(50))["entries"]
                if any(entry["kind"] == kind and entry["task_id"] == task_id for entry in entries):
                    return True
                await asyncio.sleep(0.1)
    return False


async def until_held(seller: ControlClient, receipt_id: str) -> bool:
    """Whether the seller holds, soon, this receipt too: under its own name for the task, which is not the buyer's."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while True:
                for task in (await seller.tasks(limit=10))["tasks"]:
                    with contextlib.suppress(ControlError):  # no receipt yet
                        if (await seller.receipt(task["id"]))["id"] == receipt_id:
                            return True
                await asyncio.sleep(0.1)
    return False


def is_gone(directory: Path, homes: list[Path]) -> bool:
    """Whether nothing is left of a testnet."""
    return not processes.members(homes) and not directory.exists()


async def play(stage: Stage, directory: Path) -> None:
    """The whole demo, on a testnet in `directory`, which is taken down however it ends."""
    stage.title(f"{NODES} nodes, each a process of its own, form a network")

    def prepare(manifest: Manifest) -> None:
        homes = [manifest.home(node) for node in manifest.nodes]
        found_testnet(manifest.name, manifest.network, homes, MEMBERS, manifest.genesis)

    manifest = await runner.up(
        "demo", directory, roles_for(NODES), lambda text: stage.say(f"  {text}"), prepare, validators=MEMBERS
    )
    homes = [manifest.home(node) for node in manifest.nodes]
    try:
        async with AsyncExitStack() as stack:
            demo = Demo(stage, manifest)
            await meet(demo, stack)
            await warm_up(demo)
            whys = [await act_outsourced(demo), await act_local(demo), await act_fallback(demo)]
            await contested(demo)
            await explain(demo, whys)
    finally:
        runner.down(directory)
    stage.title("the end")
    stage.claim("no process and no file is left", is_gone(directory, homes))


async def run() -> int:
    """Play the demo; 0 when every claim holds."""
    stage = Stage()
    runner.end_like_interrupt()
    began_s = time.monotonic()
    # Short, because a control socket's path has at most 104 bytes and some temporary directories are long.
    with tempfile.TemporaryDirectory(prefix="coalesced-") as temporary:
        await play(stage, Path(temporary) / "demo")
    held = len(stage.claims) - len(stage.failed)
    stage.say(f"{held} of {len(stage.claims)} claims hold, after {time.monotonic() - began_s:.0f} s.")
    for text in stage.failed:
        stage.say(f"NOT SO: {text}")
    return 1 if stage.failed else 0


def main() -> int:
    """Parse the command line and play; 130 when interrupted, after everything was taken down."""
    argparse.ArgumentParser(prog="scripts/demo", description=__doc__).parse_args()
    try:
        return asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted; everything was taken down", file=sys.stderr)
        return 130
    except (TestnetError, ControlError, TimeoutError) as error:
        print(f"scripts/demo: {escaped(str(error)) or type(error).__name__}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
