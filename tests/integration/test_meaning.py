"""Skills found by what they mean, between nodes: signposts out, signposts found, a task in plain words done."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.errors import UsageError
from node.outsource.client.reader import MeaningConfig, Reader
from node.outsource.config import ContractorConfig
from node.views import AskRequest
from tests.harness.nodes import World, world
from tests.harness.openai_backend import backend
from tests.harness.peering import until

TRANSLATE = """
def work(text: str) -> str:
    return text.translate(str.maketrans("abc", "xyz"))
"""
OFFER: dict[str, Any] = {"by_meaning": True, "label": "acme/babel", "caption": "Translate text to English"}
WISH = "turn this article from German into English"
TEXT = "The room was not clean, but the staff were wonderful."


async def test_a_seller_is_found_by_those_who_do_not_know_its_label(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, TRANSLATE, **OFFER)
        await until(lambda: bool(seller.parts.shop.signposts.standing))
        found = await buyer.owner.find_meaning(WISH)
        best = found.matches[0]
        assert (best.skill, best.caption) == ("acme/babel", "Translate text to English")
        assert best.peer, "it is another node's"
        assert found.captions[0] == "language_processing/language_translation"
        assert (best.price_hint_micro, best.success_ppm) != (None, 0)
        too_dear = await buyer.owner.find_meaning(WISH, max_price_micro=-1)
        assert best.skill not in [row.skill for row in too_dear.matches]
        too_new = await buyer.owner.find_meaning(WISH, min_trust_ppm=999_999)
        assert best.skill not in [row.skill for row in too_new.matches]


async def test_only_those_are_found_who_say_they_have_what_is_needed(tmp_path: Path) -> None:
    async with world() as made:
        has = ContractorConfig(skills=(), has=("hasResource/gpu/nvidia/h100",))
        seller = await made.seller(functions=True, by_meaning=True, sections={"contractor": has})
        await seller.sell(tmp_path, TRANSLATE, label="acme/babel", caption="Translate text to English")
        buyer = await made.buyer()
        await until(lambda: bool(seller.parts.shop.signposts.standing))
        (found,) = (await buyer.owner.find_meaning(WISH, needs=["hasResource/gpu"])).matches
        assert (found.skill, found.terms) == ("acme/babel", ("hasResource/gpu/nvidia/h100",))
        assert (await buyer.owner.find_meaning(WISH, needs=["supportsProtocol/mcp"])).matches == ()
        with pytest.raises(UsageError, match="did you mean hasResource/gpu"):
            await buyer.owner.find_meaning(WISH, needs=["hasResource/gpus"])


async def test_what_is_taken_off_sale_is_found_no_more(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, TRANSLATE, **OFFER)
        await until(lambda: bool(seller.parts.shop.signposts.standing))
        await seller.owner.unsell("acme/babel")
        await until(lambda: not seller.parts.shop.signposts.standing)
        assert "acme/babel" not in [row.skill for row in (await buyer.owner.find_meaning(WISH)).matches]


async def test_a_node_that_ends_waits_for_no_signpost(capsys: pytest.CaptureFixture[str]) -> None:
    async with world() as made:
        seller = await made.seller(by_meaning=True)
        async with seller.parts.shop.signposts._turn:  # As while a node is asked that has gone.
            await seller.parts.shop.take_down("risk")
            await seller.stop()
    assert "background.given_up" not in capsys.readouterr().out


async def test_a_task_in_plain_words_is_hired_out_and_says_how_it_was_understood(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, TRANSLATE, **OFFER)
        await until(lambda: bool(seller.parts.shop.signposts.standing))
        task = await buyer.ask(WISH, "abc")
        assert (task.state, task.skill, task.choice) == ("completed", "acme/babel", "outsource")
        timeline = (await buyer.owner.why(task.id)).timeline
        (reading,) = [row.text for row in timeline if row.name == "understood"]
        assert reading.startswith(f"{WISH!r} was read as acme/babel")
        # Secret words are told nobody: the best of its own is meant.
        with pytest.raises(UsageError, match="ask document-analysis"):
            await buyer.submit(WISH, "abc", privacy="secret")


async def lone(made: World) -> list[str]:
    node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
    return [row.skill for row in (await node.owner.find_meaning("value at risk of my holdings")).matches]


async def test_a_lone_node_finds_its_own_skills() -> None:
    async with world() as made:
        assert (await lone(made))[0] == "risk"


async def test_a_request_that_nothing_fits_is_refused_with_what_is_known() -> None:
    async with world() as made:
        node = await made.node()
        with pytest.raises(UsageError, match=r"no skill is known here or offered that fits 'purple monkey dishwasher'"):
            await node.owner.decide(AskRequest(skill="purple monkey dishwasher", text=TEXT))
        with pytest.raises(UsageError, match="nothing to look for"):
            await node.owner.find_meaning("  ")


async def test_a_configured_sentence_model_orders_what_was_found(tmp_path: Path) -> None:
    async with backend() as served, world() as made:
        meaning = MeaningConfig(embeddings_url=served.url, embeddings_model="small-1")
        plain, read = await made.node(), await made.node(sections={"meaning": meaning})
        by_table = (await plain.owner.find_meaning("value at risk of my holdings")).matches
        by_model = (await read.owner.find_meaning("value at risk of my holdings")).matches
        assert by_model[0].embedding_ppm != by_table[0].embedding_ppm
        served.api_key = "another"
        fallen_back = (await read.owner.find_meaning("value at risk of my holdings")).matches
        own = [row.embedding_ppm for row in fallen_back if not row.peer]
        assert own == [row.embedding_ppm for row in by_table if not row.peer]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"embeddings_url": "http://127.0.0.1:1/v1"}, "go together"),
        ({"embeddings_url": "ftp://x/v1", "embeddings_model": "m"}, "is not an endpoint's address"),
    ],
)
def test_an_endpoint_that_cannot_be_meant_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Reader(msgspec.convert(settings, MeaningConfig))
