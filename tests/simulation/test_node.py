"""Single simulated nodes: what their disks keep, how they crash, and what a full disk may not leave behind."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from coalesced.sim.checkers.evidence import Book, Facts
from coalesced.sim.checkers.records import undocumented
from coalesced.sim.faults import CALM
from coalesced.sim.loop import SimLoop, run
from coalesced.sim.node import SimNode
from coalesced.sim.world import Plan, World
from crypto.identity import short_id
from node.daemon import Parts
from node.outsource.orphans import LOOK_S
from node.store.tasks import TaskRow, insert
from node.tasks.content import Content
from node.tasks.spec import Wishes, encode_specification, specify
from node.views import AskRequest, InputFile

CONTENT = Content("text/plain", b"Good.")
WISHES = Wishes(budget_micro=10, deadline_s=30.0)
SPECIFICATION = encode_specification(specify(("sentiment",), CONTENT, 5, WISHES, usual_score_ppm=500_000))


def in_world(nodes: int, main: Callable[[World], Awaitable[None]], seed: int = 1) -> None:
    """Grow a world without asks and faults, then do `main` in it."""

    async def living(loop: SimLoop) -> None:
        world = World(loop, Plan(seed=seed, nodes=nodes, minutes=0.0, faults=()))
        await world.grow()
        await main(world)
        assert world.watch.violations == []

    run(seed, living)


def parts_of(node: SimNode) -> Parts:
    assert node.parts is not None
    return node.parts


def row(task_id: bytes) -> TaskRow:
    return TaskRow(
        task_id=task_id,
        role="client",
        specification=SPECIFICATION,
        skill="risk",
        created_unix_ms=0,
        deadline_unix_ms=1,
    )


def request(text: str) -> AskRequest:
    file = InputFile(name="input", media_type="text/plain", data=text.encode())
    return AskRequest(skill="sentiment", files=(file,), deadline_s=30.0)


def test_a_task_whose_end_was_never_written_ends_all_the_same_and_its_promise_with_it() -> None:
    async def main(world: World) -> None:
        parts = parts_of(world.nodes[0])
        orphan = bytes(16)
        await parts.store.tasks._database.write(insert, row(orphan))
        await parts.store.spending.reserve(orphan, bytes(32), 5, world.nodes[0].unix_ms())
        await asyncio.sleep(LOOK_S + 1)
        assert (await parts.store.tasks.get(orphan)).state == "submitted", "one look alone proves nothing"
        await asyncio.sleep(LOOK_S)
        ended = await parts.store.tasks.get(orphan)
        assert (ended.state, ended.error_code) == ("failed", "storage")
        assert await parts.store.spending.open_reservations() == []

    in_world(1, main)


def test_a_task_that_somebody_is_at_is_no_orphan() -> None:
    async def main(world: World) -> None:
        node = next(node for node in world.nodes if node.profile.slowness > 2)
        parts = parts_of(node)
        assert node.life is not None
        ask = request("Good. " * 400)
        task_id = await node.life.start_soon(parts.client.submit(ask))
        await asyncio.sleep(3 * LOOK_S)
        state = (await parts.store.tasks.get(task_id)).state
        assert state in ("working", "completed")
        await asyncio.sleep(60)
        assert (await parts.store.tasks.get(task_id)).state != "submitted"

    in_world(4, main)


def test_a_request_that_meets_a_full_disk_is_refused_and_the_session_goes_on() -> None:
    async def main(world: World) -> None:
        buyer, seller = world.nodes[2], world.nodes[0]
        seller.disk.is_full = True
        assert buyer.life is not None
        task_id = await buyer.life.start_soon(parts_of(buyer).client.submit(request("A wonderful evening.")))
        await asyncio.sleep(40)
        assert (await parts_of(buyer).store.tasks.get(task_id)).finished_unix_ms is not None
        seller.disk.is_full = False
        assert seller.life is not None
        assert seller.life.failure is None

    in_world(3, main)


def test_a_crash_keeps_what_was_committed_and_ends_every_task_of_the_process() -> None:
    async def main(world: World) -> None:
        node = world.nodes[1]
        assert node.life is not None
        name, key = node.life.name, bytes(range(16))
        await parts_of(node).store.tasks._database.write(insert, row(key))
        assert await node.crash(power=False) == 0
        assert world.loop.tasks_of(name) == []
        assert await node.boot() is None
        again = await parts_of(node).store.tasks.get(key)
        assert (again.state, again.error_code) == ("failed", "interrupted")

    in_world(2, main)


def test_a_loss_of_power_takes_back_what_was_not_durable_but_never_the_journal() -> None:
    async def main(world: World) -> None:
        node = world.nodes[1]
        store = parts_of(node).store
        kept, lost = b"k" * 16, b"l" * 16
        await store.tasks._database.write(insert, row(kept))
        await store.spending.reserve(kept, bytes(32), 5, node.unix_ms())  # Durable, and so is all before it.
        await store.tasks._database.write(insert, row(lost))
        entry = await store.journal.append("note", b"\x80", node.unix_ms())
        await node.crash(power=True)
        assert await node.boot() is None
        found = {task.task_id for task in await parts_of(node).store.tasks.select(limit=100)}
        assert kept in found
        assert lost not in found
        assert (await parts_of(node).store.journal.show(entry.height)).hash == entry.hash

    in_world(2, main)


def test_a_redundant_check_that_is_cut_short_pays_for_the_result_that_passed() -> None:
    async def main(world: World) -> None:
        buyer = max(world.nodes, key=lambda node: node.profile.slowness)
        parts, life = parts_of(buyer), buyer.life
        assert life is not None
        ask = replace(request("Good. " * 180), least_level="redundant", deadline_s=20.0, budget_micro=2_000)
        with parts.hub.subscribe() as events:
            task_id = await life.start_soon(parts.client.submit(ask))
            names: list[str] = []
            while not (names and names[-1] == "awarded" and "verified" in names):
                event = await events.get()
                names.append(f"{event.name}" if event.verdict != "refused" else "refused")
        first = (await parts.tasks.events(task_id))[-2].peer
        world.loop.network.unplugged = {node.profile.host for node in world.nodes if node is not buyer}
        await asyncio.sleep(20)
        world.loop.network.unplugged = set()
        await asyncio.sleep(15)
        assert (await parts.store.tasks.get(task_id)).error_code == "timed_out"
        book = Book()
        async for page in parts.store.journal.pages():
            for entry in page:
                book.take(entry.kind, entry.body, entry.task_id)
        (offer,) = [one for one in book.offers_of_tasks()[task_id] if short_id(one.terms.contractor) == first]
        assert offer.terms.verdict == "accepted"
        assert offer.terms.paid_micro == offer.terms.price_micro > 0
        assert not list(undocumented(Facts(buyer.profile.identity.public_key, book)))

    in_world(8, main)


def test_sessions_outlive_a_short_partition_and_break_in_a_long_one() -> None:
    async def main(world: World) -> None:
        one, other = (parts_of(node) for node in world.nodes)
        endpoint = world.nodes[1].profile.endpoint
        life = world.nodes[0].life
        assert life is not None
        session = await life.start_soon(one.peers.session(other.identity.public_key, endpoint))
        network = world.loop.network
        await asyncio.sleep(1)  # The handshake's last frame is still under way.
        network.sides = {endpoint.host: 1}
        await asyncio.sleep(10)
        network.sides = {}
        await asyncio.sleep(10)
        assert session.is_open
        network.sides = {endpoint.host: 1}
        await asyncio.sleep(90)
        assert not session.is_open
        network.sides, network.link = {}, CALM

    in_world(2, main)
