"""The owner's views and commands: status, doctor, peers, sellers, tasks, journal; and what a person types for them."""

import asyncio
from pathlib import Path

import pytest

from crypto.identity import did_key, short_id
from node.errors import DeadlineError, NodeError, NoOfferError, UsageError
from node.net.endpoint import Endpoint
from node.outsource.config import ContractorConfig
from node.store.spending import Caps
from node.views import AskRequest, InputFile, SellRequest
from tests.harness import hostile
from tests.harness.dealing import Seller, buying, on_sale
from tests.harness.nodes import Node, Plan, world
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."


async def test_a_lone_node_has_a_healthy_status() -> None:
    async with world() as made:
        node = await made.node()
        status = await node.owner.status()
        assert (status.problems, status.peers, status.bootstrap) == ((), 0, "no bootstrap address")
        assert status.skills_sold == ("document-analysis", "portfolio", "risk", "sentiment")
        assert (status.spent_today_micro, status.journal_height, status.tasks) == (0, 0, {})
        assert node.owner.is_ready()


async def test_an_unreachable_bootstrap_address_is_a_problem_and_no_failure() -> None:
    async with world() as made:
        node = await Node(Plan(seed=b"\x55" * 32, bootstrap=(Endpoint("127.0.0.1", 9),))).start()
        made.nodes.append(node)
        status = await node.owner.status()
        assert "127.0.0.1:9" in status.problems[0].text
        assert (await node.ask("sentiment", TEXT)).choice == "local"
        checks = {check.name: check for check in (await node.owner.doctor()).checks}
        assert checks["network"].status == "warn"


async def test_status_counts_what_was_spent_and_warns_before_the_cap() -> None:
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(day_micro=100)})
        async with on_sale(Seller(price_micro=95), [buyer.endpoint]):
            await buyer.ask("sentiment", TEXT)
            status = await buyer.owner.status()
            assert (status.spent_today_micro, status.cap_today_micro) == (95, 100)
            assert status.tasks == {"completed": 1}
            assert [problem.text for problem in status.problems] == ["$0.000095 of today's $0.0001 are spent"]


async def test_every_check_of_the_doctor_passes_on_a_healthy_pair(tmp_path: Path) -> None:
    async with world() as made:
        await made.seller()
        node = await made.node(directory=tmp_path)
        doctor = await node.owner.doctor()
        found = {check.name: check.status for check in doctor.checks}
        assert set(found.values()) <= {"pass", "skip"}, doctor
        assert (found["reach"], found["worker"], found["journal"]) == ("pass", "pass", "pass")


async def test_peers_are_listed_pinged_blocked_and_unblocked() -> None:
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        await buyer.ask("sentiment", TEXT)
        (row,) = (await buyer.owner.peers()).peers
        assert (row.peer, row.connected, row.tasks, row.accepted) == (short_id(seller.key), True, 1, 1)
        assert row.spent_micro > 0
        ping = await buyer.owner.ping(row.peer)
        assert (ping.did, ping.rtt_s > 0) == (did_key(seller.key), True)
        assert (await buyer.owner.ping(row.did)).peer == row.peer
        await buyer.owner.block(row.peer[:4])
        assert (await buyer.owner.peers()).peers[0].blocked
        assert (await buyer.ask("sentiment", TEXT)).choice == "local"
        with pytest.raises(NodeError, match="blocked"):
            await buyer.owner.ping(row.peer)
        await buyer.owner.unblock(row.peer)
        with pytest.raises(UsageError, match="was not blocked"):
            await buyer.owner.unblock(row.peer)
        assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"


@pytest.mark.parametrize("text", ["", "zzzz", "did:key:zzz", "did:web:example.org"])
async def test_a_name_that_names_no_peer_is_refused(text: str) -> None:
    async with world() as made:
        await made.seller()
        node = await made.node()
        with pytest.raises(UsageError):
            await node.owner.ping(text)


async def test_a_peer_that_does_not_answer_a_ping_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.owner.network.PING_TIMEOUT_S", 0.3)
    accepted = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with world() as made:
        node = await made.node()
        key = b"\x66" * 32
        await node.parts.store.peers.seen(key, "127.0.0.1", port, 1, None)
        with pytest.raises((DeadlineError, NodeError)):
            await node.owner.ping(did_key(key))
        assert accepted.is_set()
    server.close()
    await server.wait_closed()


async def test_sellers_of_a_skill_are_found_cheapest_first_and_by_price() -> None:
    cheap, dear = Seller(price_micro=5), Seller(price_micro=50)
    async with world() as made:
        node = await made.buyer()
        async with on_sale(dear, [node.endpoint]), on_sale(cheap, [node.endpoint]):
            found = (await node.owner.find_skill("sentiment")).sellers
            assert [row.peer for row in found] == [cheap.name, dear.name]
            assert [row.success_ppm for row in found] == [None, None]
            (only,) = (await node.owner.find_skill("sentiment", max_price_micro=10)).sellers
            assert only.peer == cheap.name
            with pytest.raises(UsageError, match="sentiment"):
                await node.owner.find_skill("Sentiment")


async def test_what_the_owner_sells_while_remembered_offers_come_up_is_not_overwritten_by_them() -> None:
    async with world() as made:
        node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
        await node.owner.sell(SellRequest(target="sentiment", price_micro=7))
        await node.restart()
        sold = SellRequest(target="sentiment", price_micro=9)
        await asyncio.gather(node.owner.sell(sold), node.parts.sales.open(), node.parts.sales.open())
        assert [offer.price_micro for offer in (await node.owner.offers()).offers] == [9]


async def test_skills_and_offers_are_listed_and_builtin_ones_sold_and_taken_off() -> None:
    async with world() as made:
        node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
        assert (await node.owner.offers()).offers == ()
        offer = await node.owner.sell(SellRequest(target="sentiment", price_micro=7))
        assert (offer.label, offer.price_micro, offer.price_hint_micro) == ("sentiment", 7, 7)
        rows = {row.label: row for row in (await node.owner.skills()).skills}
        assert (rows["sentiment"].sold, rows["risk"].sold) == (True, False)
        assert rows["sentiment"].seconds_per_unit is not None
        await node.owner.unsell("sentiment")
        with pytest.raises(UsageError, match="nothing"):
            await node.owner.unsell("sentiment")


@pytest.mark.parametrize("target", ["nonsense", "no.such:function", "relative:work", "os:getcwd"])
async def test_what_cannot_be_sold_is_refused_in_one_sentence(target: str, tmp_path: Path) -> None:
    async with world() as made:
        node = await made.node(functions=True, sections={"contractor": ContractorConfig(skills=())})
        directory = "somewhere" if target.startswith("relative") else str(tmp_path)
        with pytest.raises(UsageError) as refused:
            await node.owner.sell(SellRequest(target=target, directory=directory))
        assert "\n" not in str(refused.value)
        assert (await node.owner.offers()).offers == ()


async def test_a_caption_too_long_for_an_advert_is_a_clear_error_and_nothing_is_on_sale() -> None:
    async with world() as made:
        node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
        with pytest.raises(UsageError, match="caption"):
            await node.owner.sell(SellRequest(target="sentiment", caption="\N{GRINNING FACE}" * 120))
        assert (await node.owner.offers()).offers == ()


async def test_tasks_are_found_by_the_beginning_of_their_id() -> None:
    async with world() as made:
        node = await made.node()
        task = await node.ask("sentiment", TEXT)
        assert (await node.owner.task(task.id[:6])).id == task.id
        for wrong in ("", "xyz", "12", "0" * 40, "ffffffff"):
            with pytest.raises(UsageError):
                await node.owner.task(wrong)
        assert [one.id for one in (await node.owner.tasks(limit=5, state="completed")).tasks] == [task.id]
        assert (await node.owner.tasks(limit=5, state="failed")).tasks == ()
        with pytest.raises(UsageError, match="has no receipt: it was done here"):
            await node.owner.receipt(task.id)


async def test_why_shows_decision_timeline_and_receipt_on_one_screen() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        task = await buyer.ask("sentiment", TEXT)
        why = await buyer.owner.why(task.id)
        assert why.decision is not None
        assert why.decision.choice == "outsource"
        names = [row.name for row in why.timeline]
        assert names[:2] == ["submitted", "local_priced"]
        assert names[-1] == "completed"
        assert "progress" not in names
        assert [row.after_s for row in why.timeline] == sorted(row.after_s for row in why.timeline)
        assert why.receipt is not None


async def test_the_journal_is_shown_entry_by_entry_and_verified() -> None:
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        task = await buyer.ask("sentiment", TEXT)
        tail = await buyer.owner.journal_tail(10)
        assert [entry.kind for entry in tail.entries] == ["award", "receipt_offer", "receipt"]
        assert {entry.task_id for entry in tail.entries} == {task.id}
        for entry in tail.entries:
            shown = await buyer.owner.journal_show(entry.height)
            assert shown.body["task_id"] == buyer.order_of(task.id, seller.key).hex()
        await seller.written("receipt")
        (note, _) = (await seller.owner.journal_tail(10)).entries
        assert (note.kind, note.text) == ("note", "delivered")
        verified = await buyer.owner.journal_verify()
        assert (verified.ok, verified.checked) == (True, 3)
        with pytest.raises(UsageError, match="ends at 3"):
            await buyer.owner.journal_show(4)


async def test_a_fault_is_shown_where_there_is_no_receipt() -> None:
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(hostile.Overcharging(), [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT)
        view = await buyer.owner.receipt(task.id)
        assert (view.countersigned, view.fault.startswith("overcharge")) == (False, True)
        heading = (await buyer.owner.journal_tail(10)).entries[-1]
        assert heading.text.startswith("overcharge of")
        assert task.receipt == "", "a fault report is no receipt"


async def test_events_of_every_task_reach_a_listener() -> None:
    async with world() as made:
        node = await made.node()
        events = node.owner.events()
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)  # It listens from its first step on.
        await node.ask("sentiment", TEXT)
        assert (await first).name == "submitted"
        async for event in events:
            if event.name == "completed":
                break


async def test_metrics_are_in_the_text_format() -> None:
    async with world() as made:
        node = await made.node()
        text = node.owner.metrics().decode()
        assert "coalesced_offers 4.0" in text
        assert "# TYPE coalesced_sessions gauge" in text


async def test_a_contractors_task_is_its_clients_to_cancel() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller(pace_s=600.0)
        specification = buyer.specify(TEXT.encode())
        quote = await buyer.quoted(node, specification)
        job = asyncio.create_task(buyer.hire(node, buyer.order(quote, specification, TEXT.encode())))
        await until(lambda: node.parts.executor.running == 1)
        (row,) = (await node.owner.tasks(limit=5)).tasks
        with pytest.raises(UsageError, match="only its client can cancel it"):
            await node.owner.cancel(row.id)
        job.cancel()


@pytest.mark.parametrize("label", ["sentimant", "zzz.qqq"])
async def test_deciding_a_label_that_nobody_knows_ends_as_asking_it_does(label: str) -> None:
    async with world() as made:
        node = await made.node()
        asked = (await node.ask(label, TEXT)).error
        assert asked is not None
        with pytest.raises(NoOfferError) as decided:
            await node.owner.decide(AskRequest(skill=label, text=TEXT, privacy="public"))
        assert (str(decided.value), decided.value.code) == (asked.text, asked.code)
        assert ("did you mean sentiment" in asked.text) is (label == "sentimant")


async def test_every_skill_has_an_example_that_it_takes_and_a_price_for_it() -> None:
    async with world() as made:
        node = await made.node(speeds={"risk": 1e-9})
        for row in (await node.owner.skills()).skills:
            assert row.unit
            assert row.example_units > 0
            assert row.example_s is not None
            assert row.example_price_micro is not None
            example = InputFile(name="stdin", media_type="application/json", data=row.example.encode())
            done = await node.ask(row.label, files=(example,))
            assert done.state == "completed", (row.label, done.error)


async def test_an_example_is_priced_as_a_buyer_is_quoted() -> None:
    async with world() as made:
        seller = await made.seller(speeds={"risk": 1e-7})
        buyer = await made.buyer()
        (row,) = [one for one in (await seller.owner.skills()).skills if one.label == "risk"]
        decided = await buyer.owner.decide(AskRequest(skill="risk", text=row.example, privacy="public"))
        assert [option.quoted_micro for option in decided.options if option.name != "local"] == [
            row.example_price_micro
        ] * (len(decided.options) - 1)


async def test_a_crashed_seller_is_not_offered_though_its_advert_stands_and_is_asked_no_more() -> None:
    async with world() as made:
        seller, gone = await made.seller(), await made.seller()
        buyer = await made.buyer()
        assert len((await buyer.owner.find_skill("sentiment")).sellers) == 2
        await until(lambda: gone.parts.shop.published_to("sentiment") == 2)
        await gone.crash()
        found = await buyer.owner.find_skill("sentiment")
        assert [row.peer for row in found.sellers] == [short_id(seller.key)]
        assert found.sellers[0].reached_unix_ms is not None
        (absent,) = found.absent
        assert (absent.peer, absent.source) == (short_id(gone.key), "DHT")
        assert absent.last_seen_unix_ms is not None
        assert absent.last_seen_unix_ms < absent.expires_unix_ms
        task = await buyer.ask("sentiment", TEXT)
        assert task.peer == short_id(seller.key)
        (quotes,) = [row.text for row in (await buyer.owner.why(task.id)).timeline if row.name == "quotes"]
        assert quotes.startswith(
            f"1 of 2 sellers quoted; {short_id(gone.key)}: not asked: it could not be reached lately"
        )
        await gone.start()
        back = await buyer.owner.find_skill("sentiment")
        assert (len(back.sellers), back.absent) == (2, ()), "its new advert counts at once"
