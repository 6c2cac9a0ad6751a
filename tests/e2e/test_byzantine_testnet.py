"""Real committees with liars in them, under load, crashes and partitions: nobody honest is misled, nothing is lost."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalesced.testnet.manifest import LIES, Lie
from tests.harness.soak import Figures, soaking

pytestmark = pytest.mark.e2e

IN_TURN: tuple[Lie, ...] = ("slow", "vote-withholder", "replayer", "liar", "twin", "equivocator")


@pytest.fixture
def place() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="cs-"))
    yield parent / "net"
    shutil.rmtree(parent, ignore_errors=True)


def soak(place: Path, members: int, lies: tuple[Lie, ...], seconds: float, then: tuple[Lie, ...] = ()) -> Figures:
    seed = random.randrange(10**6)
    print(f"seed {seed}")

    async def run() -> Figures:
        async with soaking(place, members, lies, seed) as run:
            return await run.run(seconds, lies=then)

    figures = asyncio.run(run())
    print(figures)
    return figures


def test_four_members_with_a_liar_agree_through_crashes_and_partitions(place: Path) -> None:
    figures = soak(place, 4, ("liar",), 6)
    assert figures.acknowledged > 0
    assert figures.kills > 0
    assert figures.partitions > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", LIES)
def test_four_members_bear_each_kind_of_liar(place: Path, kind: Lie) -> None:
    figures = soak(place, 4, (kind,), 30)
    assert figures.kills > 0
    assert figures.partitions > 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_four_members_with_one_liar_agree_for_five_minutes(place: Path) -> None:
    soak(place, 4, ("silent",), 300, IN_TURN)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_seven_members_with_two_liars_agree_for_five_minutes(place: Path) -> None:
    soak(place, 7, ("silent", "slow"), 300, IN_TURN)
