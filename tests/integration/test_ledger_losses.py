"""Members that lose their file, put back an old one, or fall behind further than blocks are kept: real files."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from node.community.audit import Audit
from node.community.auditing import OvertakenError, audited
from node.env import Env
from node.ledger.chain.machine import ChainMachine
from node.ledger.pbft.effects import Persist
from node.ledger.pbft.records import AskedView
from node.store.ledger_store import LedgerStore, Pinned
from node.store.memory_disk import MemoryDisk
from node.store.vote_mark import NAME, Mark, VoteMark, mark_unknown, misses_votes
from protocol.transactions import Reconfigure, sign_transaction
from tests.harness.communities import Neighbour, Neighbourhood, chain_of, community, until

ROOT = Path(__file__).parents[2]
KEEP = 4
T = TypeVar("T")


def problem(one: Neighbour) -> str:
    standing = one.community.standing
    return standing.problem if standing else ""


def votes_of(home: Path) -> int:
    mark = VoteMark(home / NAME).read()
    return mark.votes if mark else 0


async def _commit(four: Neighbourhood, count: int) -> None:
    for number in range(count):
        await four.members[number % 2].commit()


async def _forgets_and_recovers(four: Neighbourhood, member: Neighbour) -> None:
    """It comes up in doubt, follows, and votes again."""
    await four.start(member)
    await until(lambda: member.facts is not None, "it reads its file")
    assert member.facts is not None
    assert member.facts.forgot
    assert "votes of this member are missing" in problem(member)
    await until(lambda: member.facts is not None and not member.facts.forgot, "it votes again")
    assert problem(member) == ""
    others = [one for one in four.members if one is not member]
    await others[0].stop()
    await others[1].commit()  # three of four: its vote is needed
    await four.agree(others[1].height, [*others[1:], member])


# --- the log of votes


async def test_a_member_without_its_file_votes_again_once_that_is_safe(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await _commit(four, 2)
        member = four.members[3]
        await member.stop()
        for file in (tmp_path / "node3").glob("ledger.db*"):
            file.unlink()
        await _forgets_and_recovers(four, member)


async def test_a_member_with_an_old_copy_of_its_file_votes_again_once_that_is_safe(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await _commit(four, 1)
        member = four.members[3]
        await four.agree(1)
        await member.stop()
        shutil.copy(tmp_path / "node3" / "ledger.db", tmp_path / "old.db")
        await four.start(member)
        await until(lambda: member.facts is not None, "it is back")
        before = votes_of(tmp_path / "node3")
        while votes_of(tmp_path / "node3") == before:  # a block may be decided before it is asked
            await _commit(four, 1)
            await four.agree(four.members[0].height)
        await member.stop()
        shutil.copy(tmp_path / "old.db", tmp_path / "node3" / "ledger.db")
        await _forgets_and_recovers(four, member)


async def test_a_member_alone_without_its_file_does_not_vote(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        (member,) = one.members
        await member.commit()
        await member.stop()
        (tmp_path / "node0" / "ledger.db").unlink()
        await one.start(member)
        await until(lambda: "votes of this member are missing" in problem(member), "it says why it does not vote")
        assert member.height == 0
        standing = member.community.standing
        assert standing is not None
        assert standing.complaint.startswith("does not vote: votes of this member"), "though it follows"


async def test_a_member_that_is_killed_at_any_moment_is_not_in_doubt(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await _commit(four, 3)
        member = four.members[3]
        await four.agree(3)
        # As after kill -9: the files as they are at this moment, which no program has closed.
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "node3", copy)
        store = await LedgerStore.open(copy / "ledger.db")
        loaded = await store.load(ChainMachine(four.genesis))
        await store.close()
        assert not loaded.forgot
        assert loaded.head.height == member.height


@pytest.mark.parametrize("content", [b"", b"short", bytes(72)])
def test_a_mark_that_cannot_be_read_casts_doubt_and_an_empty_one_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    mark = VoteMark(tmp_path / NAME).read()
    assert misses_votes(mark, b"c" * 32, b"i" * 16, 10**6) == bool(content)


def test_a_home_that_is_made_from_a_backup_of_its_key_is_in_doubt_on_every_chain(tmp_path: Path) -> None:
    mark_unknown(tmp_path)
    mark = VoteMark(tmp_path / NAME).read()
    assert misses_votes(mark, b"c" * 32, b"i" * 16, 5)


async def test_a_restored_key_waits_on_others_chains_and_votes_at_once_on_its_own(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        member = four.members[3]
        await four.members[0].commit()
        await four.agree(1)
        await member.stop()
        for file in (tmp_path / "node3").iterdir():
            file.unlink()
        mark_unknown(tmp_path / "node3")
        # Alone, it makes a chain on which nobody can have voted before.
        await member.start()
        await until(lambda: member.facts is not None, "it reads its file")
        assert (await member.commit()).height == 1
        await member.stop()
        (tmp_path / "node3" / "ledger.db").unlink()
        mark_unknown(tmp_path / "node3")
        # A chain of its own without a block gives way, and then the doubt is back.
        await member.start()
        await until(lambda: member.facts is not None and not member.facts.forgot, "it is alone, and in no doubt")
        await member.stop()
        await _forgets_and_recovers(four, member)


def test_a_mark_of_another_chain_says_nothing() -> None:
    mark = Mark(b"a" * 32, b"i" * 16, 9)
    assert not misses_votes(mark, b"b" * 32, b"j" * 16, 0)
    assert misses_votes(mark, b"a" * 32, b"i" * 16, 8)
    assert not misses_votes(mark, b"a" * 32, b"i" * 16, 9)


async def test_a_vote_that_was_sent_is_in_the_mark(tmp_path: Path) -> None:
    genesis = chain_of(4)
    machine = ChainMachine(genesis)
    store = await LedgerStore.open(tmp_path / "ledger.db")
    await store.pin(Pinned(genesis, "a test", 0))
    loaded = await store.load(machine)
    await store.append([Persist(AskedView(height=1, view=view)) for view in (1, 2)], loaded.state)
    mark = VoteMark(tmp_path / NAME).read()
    await store.close()
    assert mark is not None
    assert (mark.chain, mark.votes) == (machine.chain, 2)


async def test_a_change_of_the_committee_outlives_a_loss_of_power_at_once(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with community(tmp_path, members=2, disk=disk) as two:
        leaving, staying = two.members
        terms = Reconfigure(
            chain=staying.community.following.machine.chain,
            motion=bytes(16),
            valid_until_unix_ms=staying.state.chain.time_unix_ms + 60_000,
            remove=(leaving.key,),
        )
        await leaving.community.submit(sign_transaction(terms, leaving.identity, staying.identity))
        await two.agree(1)
        disk.crash(power=True)
        store = await LedgerStore.open(disk.open("ledger.db"), inline=True)
        assert await store.height() == 1
        await store.close()


# --- pruned blocks


async def test_who_lacks_pruned_blocks_fetches_the_state_and_goes_on(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        late = four.members[3]
        await late.stop()
        for one in four.members[:3]:
            await one.stop()
            await four.start(one, keep_blocks=KEEP)
        await until(lambda: all(one.facts is not None for one in four.members[:3]), "they are back")
        await _commit(four, 4 * KEEP + 2)
        await four.agree(4 * KEEP + 2, four.members[:3])
        first = await four.members[0].store.first_height()
        assert first > KEEP
        # A member that was away, and an observer that is new: both get there, and the member votes.
        await four.start(late, keep_blocks=KEEP)
        observer = await four.start(four.neighbour(7))
        await four.agree(4 * KEEP + 2, [*four.members, observer])
        assert await observer.store.first_height() > 1
        await four.members[0].stop()
        await late.commit()
        await four.agree(4 * KEEP + 3, [*four.members[1:], observer])
        # What is on the disk is complete: it is read again, and verifies from the state on.
        for one in (late, observer):
            await one.stop()
            await four.start(one, keep_blocks=KEEP)
        await four.agree(4 * KEEP + 3, [*four.members[1:], observer])
        for one in (*four.members[1:], observer):
            audit = Audit(ChainMachine(four.genesis))
            base = await one.store.base(ChainMachine(four.genesis))
            assert base is not None
            audit.begin(base.header, base.certificate, await one.store.links(base.height), base.state)
            async for page in one.store.pages():
                assert audit.feed(page), audit.problem
            assert (audit.height, audit.state_root) == (4 * KEEP + 3, late.state.trie.root())
            assert audit.first_height == await one.store.first_height()


async def test_an_audit_that_begins_at_a_forged_state_says_so(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        (member,) = one.members
        await member.stop()
        await one.start(member, keep_blocks=KEEP)
        await until(lambda: member.facts is not None, "it is back")
        for _ in range(3 * KEEP):
            await member.commit()
        machine = ChainMachine(one.genesis)
        base = await member.store.base(machine)
        assert base is not None
        for header, state in ((base.header, machine.start()), (base.header[:-1] + b"?", base.state)):
            audit = Audit(machine)
            audit.begin(header, base.certificate, (), state)
            assert audit.problem
            assert not audit.feed(())


def hurried(member: Neighbour, times: int) -> Env:
    """Lets blocks come, and others be pruned, before each of the first so many pieces of work."""
    left = iter(range(times))

    async def offload(work: Callable[..., T], *args: Any) -> T:
        if next(left, None) is not None:
            for _ in range(3 * KEEP):
                await member.commit()
        return await asyncio.to_thread(work, *args)

    return Env(offload=offload)


async def test_an_audit_that_pruning_overtakes_finds_nothing_wrong_and_says_when_it_comes_to_no_end(
    tmp_path: Path,
) -> None:
    async with community(tmp_path, members=1) as one:
        (member,) = one.members
        await member.stop()
        await one.start(member, keep_blocks=KEEP)
        await until(lambda: member.facts is not None, "it is back")
        for _ in range(KEEP // 2):
            await member.commit()
        machine = ChainMachine(one.genesis)
        audit = await audited(machine, member.store, hurried(member, 2))
        assert (audit.problem, audit.height) == ("", member.height)
        assert audit.first_height == await member.store.first_height() > KEEP
        with pytest.raises(OvertakenError, match="keep_blocks"):
            await audited(machine, member.store, hurried(member, 99))


# --- a full disk


def test_a_real_disk_that_is_full_stops_the_voting_until_there_is_room() -> None:
    """In a file system of 2 MiB of its own, where the machine allows one."""
    program = 'mkdir -p $0 && mount -t tmpfs -o size=2m tmpfs $0 && exec "$1" -m tests.harness.full_disk $0'
    command = ["unshare", "-Urm", "sh", "-c", program, "/tmp/coalesced-full-disk", sys.executable]
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "no space left" in done.stdout
    assert "voted again" in done.stdout


async def test_the_mark_is_written_before_anything_is_sent(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await asyncio.gather(*(one.commit() for one in four.members))
        for number, one in enumerate(four.members):
            mark = VoteMark(tmp_path / f"node{number}" / NAME).read()
            assert mark is not None
            assert mark.votes >= 2 * one.height - 2, "a PREPARE and a COMMIT for every block that it voted on"
