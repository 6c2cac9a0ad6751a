"""The @skill decorator and its prices."""

import subprocess
import sys

import pytest

from coalesced import skill as sdk
from coalesced.skill import SkillMetadata, check_label, parse_price, skill
from node.execute.user import UNIT_BYTES


def test_the_decorator_attaches_metadata_and_returns_the_function_itself() -> None:
    def read(pages: bytes) -> str:
        """Text from scanned pages.

        Slowly."""
        return "x"

    marked = skill("ocr", price="0.002/page")(read)
    assert marked is read
    metadata = getattr(marked, sdk.METADATA_ATTRIBUTE)
    assert metadata == SkillMetadata("ocr", 2_000, "page", "Text from scanned pages.", metadata.description)
    assert "Slowly." in metadata.description


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("0.002/page", (2_000, "page")),
        ("$1/megabyte", (1_000_000, "megabyte")),
        ("0.000001", (1, "task")),
        (" 12.5 / task", (12_500_000, "task")),
        (".5", (500_000, "task")),
        ("0", (0, "task")),
    ],
)
def test_prices_are_exact_micro_dollars(price: str, expected: tuple[int, str]) -> None:
    assert parse_price(price) == expected


@pytest.mark.parametrize("price", ["", "free", "-1", "1e3", "0.0000001", "1/mile", "1,5", "1.2.3", "٣", "1" * 10])
def test_a_price_that_cannot_be_exact_is_refused_with_an_example(price: str) -> None:
    with pytest.raises(ValueError, match="price"):
        parse_price(price)


@pytest.mark.parametrize("label", ["", "OCR", "a b", "-a", "a-", "x" * 65, "é", "a/"])
def test_a_label_that_cannot_be_published_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        check_label(label)


def test_the_decorator_without_a_label_says_how_to_write_it() -> None:
    with pytest.raises(TypeError, match='@skill\\("label"\\)'):
        skill(lambda text: text)  # type: ignore[arg-type]


def test_progress_outside_a_task_does_nothing() -> None:
    sdk.progress(1, "nobody listens")


async def test_asking_outside_a_task_says_why_it_cannot() -> None:
    with pytest.raises(RuntimeError, match="runs as a skill"):
        await sdk.ask("?")


def test_units_mean_the_same_to_authors_and_to_the_node() -> None:
    assert sdk.UNIT_BYTES == UNIT_BYTES


def test_the_module_for_authors_loads_none_of_ours_and_nothing_foreign() -> None:
    code = (
        "import sys, coalesced.skill; ours = ('node', 'dht', 'protocol', 'crypto', 'numpy', 'aiohttp');"
        "print([name for name in sys.modules if name.split('.')[0] in ours])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
