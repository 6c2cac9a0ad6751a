"""The small parts of outsourcing by themselves: patience, quote books, redundancy, questions, bounds."""

import asyncio

import pytest

from node.market.pricing import Load
from node.outsource.client.redundancy import exactly, majority, rulings
from node.outsource.contractor.admission import wait_and_run_s
from node.outsource.contractor.quotebook import QuoteBook
from node.outsource.patience import LEAST_S, client_patience_s, limit_s, patience
from node.tasks.content import Content

ONE, TWO, THREE = (Content("application/json", data) for data in (b'{"a": 1}', b'{"a": 2}', b'{"a": 1.0}'))


class TestPatience:
    def test_a_contractor_gets_a_multiple_of_its_quote_and_never_less_than_the_least(self) -> None:
        assert limit_s(0.001) == LEAST_S
        assert limit_s(100.0) == 300.0

    def test_time_for_local_work_is_kept_back(self) -> None:
        assert client_patience_s(1.0, 10.0, 4.0) == pytest.approx(5.5)

    def test_but_not_at_the_cost_of_what_was_quoted(self) -> None:
        assert client_patience_s(8.0, 10.0, 4.0) == pytest.approx(9.5)

    def test_some_time_is_left_to_check_the_result(self) -> None:
        assert client_patience_s(1.0, 2.0, None) < 2.0

    def test_it_is_never_nothing(self) -> None:
        assert client_patience_s(1.0, 0.0, None) > 0

    async def test_it_ends_a_block_that_takes_longer(self) -> None:
        with pytest.raises(TimeoutError):
            async with patience(0.02):
                await asyncio.Event().wait()

    async def test_it_stands_still_while_paused_and_goes_on_after(self) -> None:
        async with patience(0.05) as clock:
            with clock.paused():
                await asyncio.sleep(0.1)  # Longer than the patience: that is what is tested.
        with pytest.raises(TimeoutError):
            async with patience(0.05) as clock:
                with clock.paused():
                    await asyncio.sleep(0.01)
                await asyncio.Event().wait()


class TestQuoteBook:
    def test_expired_and_used_quotes_make_room(self) -> None:
        book = QuoteBook(2)
        assert [book.issue(b"a", 0, 100) for _ in range(3)] == [True, True, False]
        book.used(b"a")
        assert book.issue(b"a", 1, 100)
        assert not book.issue(b"a", 99, 200)
        assert book.issue(b"a", 100, 200)

    def test_clients_do_not_share_room(self) -> None:
        book = QuoteBook(1)
        assert book.issue(b"a", 0, 100)
        assert book.issue(b"b", 0, 100)

    def test_who_holds_nothing_is_forgotten(self) -> None:
        book = QuoteBook(1)
        book.issue(b"a", 0, 100)
        book.used(b"never seen")
        book.sweep(100)
        assert book.issue(b"a", 100, 200)


class TestRedundancy:
    def test_equal_results_stand(self) -> None:
        assert rulings([ONE, THREE], None) == ("", "")

    def test_of_two_that_differ_nobody_can_tell_which_is_good(self) -> None:
        first, second = rulings([ONE, TWO], None)
        assert first == second
        assert "$.a" in first

    def test_own_work_decides(self) -> None:
        kept, refused = rulings([ONE, TWO], THREE)
        assert kept == ""
        assert "$.a" in refused

    def test_own_work_may_refuse_all(self) -> None:
        assert all(rulings([TWO, TWO], ONE))

    def test_two_that_agree_outvote_a_third(self) -> None:
        assert majority([TWO, ONE, THREE], exactly) == (1, 2)
        refused, *kept = rulings([TWO, ONE, THREE], None)
        assert "$.a" in refused
        assert kept == ["", ""]

    def test_one_result_alone_has_nothing_against_it(self) -> None:
        assert rulings([ONE], None) == ("",)

    def test_another_media_type_is_another_result(self) -> None:
        assert "text/plain" in exactly(ONE, Content("text/plain", ONE.data))


def test_waiting_counts_whole_rounds_of_the_slots() -> None:
    assert wait_and_run_s(Load(demand=0, slots=2), 3.0) == 3.0
    assert wait_and_run_s(Load(demand=3, slots=2), 3.0) == 6.0
