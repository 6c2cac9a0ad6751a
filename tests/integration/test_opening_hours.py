"""Opening hours between real nodes: who is closed is shown and not asked."""

from datetime import UTC, datetime, timedelta

from node.market.hours import DAYS
from node.views import AskRequest, SellRequest
from protocol.messages import Decline, Quote
from tests.harness.dealing import buying
from tests.harness.nodes import world

TEXT = "The room was not clean, but the staff were wonderful."


async def test_a_seller_that_closes_before_the_deadline_is_left_out_and_shown() -> None:
    day = DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"
        await seller.owner.sell(SellRequest(target="sentiment", hours=f"{day} 9-17"))
        (row,) = (await buyer.owner.find_skill("sentiment")).sellers
        assert row.hours == f"closed until {day} 09:00 UTC"
        task = await buyer.ask("sentiment", TEXT)
        assert task.choice == "local"
        timeline = (await buyer.owner.why(task.id)).timeline
        assert [row.text for row in timeline if row.name == "sellers_found"] == [
            "1 advertise sentiment (shown by: DHT); 1 not open until the deadline"
        ]
        await seller.owner.sell(SellRequest(target="sentiment", hours="mon-sun 0-24"))
        assert (
            await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, privacy="public"))
        ).choice == "outsource"


async def test_a_seller_outside_its_hours_declines_to_quote_and_says_when_to_come_again() -> None:
    day = DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    async with world() as made, buying() as buyer:
        seller = await made.seller()
        specification = buyer.specify(TEXT.encode())
        assert isinstance(await buyer.ask_quote(seller, specification), Quote)
        await seller.owner.sell(SellRequest(target="sentiment", hours=f"{day} 9-17"))
        # As somebody does who holds an advert of before.
        answer = await buyer.ask_quote(seller, specification)
        assert isinstance(answer, Decline)
        assert (answer.code, answer.text) == (
            "closed",
            f"sentiment is on sale by hours and closed until {day} 09:00 UTC",
        )
        assert 0 < answer.retry_after_ms <= 4 * 86_400_000
        await seller.owner.sell(SellRequest(target="sentiment", hours="mon-sun 0-24"))
        assert isinstance(await buyer.ask_quote(seller, specification), Quote)


async def test_the_only_seller_is_no_longer_found_once_it_has_withdrawn() -> None:
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"
        await seller.owner.unsell("sentiment")
        shown = await buyer.owner.find_skill("sentiment")
        assert (shown.sellers, shown.absent) == ((), ())
        task = await buyer.ask("sentiment", TEXT)
        timeline = (await buyer.owner.why(task.id)).timeline
        assert [row.text for row in timeline if row.name == "sellers_found"] == ["0 advertise sentiment"]
