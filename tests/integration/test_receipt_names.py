"""How an owner names a receipt: by its id or its task's, in part."""

from collections.abc import AsyncIterator

import pytest

from crypto.identity import short_id
from node.errors import UsageError
from node.ledger.journal import receipt_record
from node.owner.receipts import find_receipt
from node.store.journal_store import Journal
from tests.harness.jobs import CLIENT, CONTRACTOR, NOW_UNIX_MS, receipt, task_id_of


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    made = await Journal.open(None, CLIENT)
    yield made
    await made.close()


async def test_a_receipt_is_found_by_its_task_and_of_several_each_is_named(journal: Journal) -> None:
    with pytest.raises(UsageError, match="'abcd' names no receipt: this node has no receipt"):
        await find_receipt(journal, "abcd")
    done = [receipt(number) for number in (1, 2)]
    for one in done:
        await journal.append("receipt", receipt_record(one), NOW_UNIX_MS, task_id=task_id_of(9))
    assert (await find_receipt(journal, done[1].digest.hex()[:12])).digest == done[1].digest
    with pytest.raises(UsageError) as refused:
        await find_receipt(journal, task_id_of(9).hex())
    for one in done:
        assert f"{one.digest.hex()[:12]} of {short_id(CONTRACTOR.public_key)}" in str(refused.value)
