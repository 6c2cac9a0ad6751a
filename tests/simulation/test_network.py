"""The simulated network's connections: ordered and whole while both ends live, and ended as TCP ends them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from coalesced.sim.frames import GIVE_UP_S, MAX_UNREAD, FrameNetwork, SimFrames, SimStream
from coalesced.sim.loop import SimDeadlock, SimLoop, owner, run
from coalesced.sim.network import Link
from node.net.endpoint import Endpoint
from node.net.errors import DialError, ListenError, StreamClosed
from node.net.transport import FrameStream

HERE, THERE = "10.0.0.1", "10.0.0.2"
LISTENER = Endpoint(THERE, 7733)
ROUGH = Link(loss=0.3, min_delay_s=0.01, max_delay_s=0.3, straggling=0.3, duplication=0.3)

Pair = tuple[FrameNetwork, SimStream, FrameStream, SimFrames]


def connected(main: Callable[[SimLoop, Pair], Awaitable[None]], link: Link | None = None) -> None:
    """Run `main` with a connection from HERE to THERE: the network, both ends, and the listener's transport."""

    async def living(loop: SimLoop) -> None:
        frames = FrameNetwork(loop.network)
        accepted: asyncio.Queue[FrameStream] = asyncio.Queue()
        listener = SimFrames(frames, THERE)
        await listener.listen([LISTENER], accepted.put_nowait)
        ours = await SimFrames(frames, HERE).dial(LISTENER)
        await main(loop, (frames, ours, await accepted.get(), listener))

    run(1, living, link)


def test_frames_arrive_in_order_and_once_however_rough_the_network() -> None:
    async def main(loop: SimLoop, pair: Pair) -> None:
        _, ours, theirs, _ = pair

        async def send() -> None:
            for number in range(200):
                await ours.send(number.to_bytes(2, "big"))

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            assert [int.from_bytes(await theirs.receive(), "big") for _ in range(200)] == list(range(200))

    connected(main, ROUGH)


def test_a_sender_waits_for_a_reader() -> None:
    async def main(loop: SimLoop, pair: Pair) -> None:
        _, ours, theirs, _ = pair
        for _ in range(MAX_UNREAD):
            await ours.send(b"x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await ours.send(b"one more")
        await theirs.receive()
        await ours.send(b"one more")

    connected(main)


def test_what_was_sent_before_a_close_still_arrives() -> None:
    async def main(loop: SimLoop, pair: Pair) -> None:
        _, ours, theirs, _ = pair
        await ours.send(b"last words")
        await ours.close()
        assert await theirs.receive() == b"last words"
        with pytest.raises(StreamClosed, match="peer closed"):
            await theirs.receive()
        with pytest.raises(StreamClosed, match="this side"):
            await ours.send(b"x")

    connected(main)


def test_a_dead_process_is_told_at_once_and_a_dead_machine_when_something_is_sent_to_it() -> None:
    async def told(loop: SimLoop, pair: Pair) -> None:
        _, ours, _, listener = pair
        listener.die(told=True)
        with pytest.raises(StreamClosed):
            async with asyncio.timeout(1):
                await ours.receive()

    async def untold(loop: SimLoop, pair: Pair) -> None:
        _, ours, _, listener = pair
        listener.die(told=False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await ours.receive()
        await ours.send(b"are you there?")
        with pytest.raises(StreamClosed, match="reset"):
            await ours.receive()

    connected(told)
    connected(untold)


def test_a_partition_holds_frames_up_and_breaks_what_it_holds_too_long() -> None:
    async def main(loop: SimLoop, pair: Pair) -> None:
        _, ours, theirs, _ = pair
        loop.network.sides = {THERE: 1}
        await ours.send(b"patience")
        await asyncio.sleep(GIVE_UP_S / 2)
        loop.network.sides = {}
        assert await theirs.receive() == b"patience"
        loop.network.sides = {THERE: 1}
        await ours.send(b"too late")
        with pytest.raises(StreamClosed, match="timed out"):
            await ours.receive()

    connected(main)


def test_dialling_says_that_nobody_listens_and_waits_where_nothing_is_reached() -> None:
    async def main(loop: SimLoop, pair: Pair) -> None:
        frames, _, _, listener = pair
        dialler = SimFrames(frames, HERE)
        with pytest.raises(DialError, match="nobody listens"):
            await dialler.dial(Endpoint(THERE, 1))
        with pytest.raises(ListenError, match="in use"):
            await dialler.listen([LISTENER], lambda _: None)
        loop.network.unplugged.add(THERE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await dialler.dial(LISTENER)
        loop.network.unplugged.clear()
        await listener.close()
        with pytest.raises(DialError):
            await dialler.dial(LISTENER)

    connected(main)


def test_what_arrives_is_the_work_of_its_receiver() -> None:
    async def main(loop: SimLoop) -> None:
        seen: list[str] = []

        class Socket(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                seen.append(owner.get())

        token = owner.set("receiver")
        await loop.create_datagram_endpoint(Socket, (THERE, 1))
        owner.reset(token)
        owner.set("sender")
        transport, _ = await loop.create_datagram_endpoint(Socket, (HERE, 1))
        transport.sendto(b"x", (THERE, 1))
        await asyncio.sleep(1)
        assert seen == ["receiver"]

    run(1, main)


def test_a_world_in_which_nothing_is_left_to_happen_is_a_deadlock_and_not_a_hang() -> None:
    async def main(loop: SimLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(SimDeadlock):
        run(1, main)
