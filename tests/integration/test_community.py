"""A community chain among real nodes: sockets, databases, threads, all in one process."""

import asyncio
import os
from pathlib import Path

import pytest

from dht.ids import skill_key
from node.community.directory import member_label
from node.community.genesis_file import render_genesis
from node.community.waiters import NotCommittedError
from node.errors import UsageError
from node.ledger.chain.genesis import chain_id
from node.net.endpoint import Endpoint
from node.net.errors import RemoteRefused
from node.store.memory_disk import MemoryDisk
from protocol.messages import LedgerBatch, decode_advert
from protocol.transactions import Reconfigure, sign_transaction
from tests.harness.communities import LIMIT_S, NETWORK, Neighbour, Neighbourhood, chain_of, community, until


def problem(one: Neighbour) -> str:
    standing = one.community.standing
    return standing.problem if standing else ""


async def test_four_members_commit_transactions_and_agree_on_the_state(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        done = await asyncio.gather(*(one.commit() for one in four.members))
        await four.agree(max(one.height for one in done))
        assert len({one.facts.head for one in four.members if one.facts}) == 1


async def test_without_its_primary_a_chain_changes_the_view_and_goes_on(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await four.members[0].commit()
        facts = four.members[0].facts
        assert facts is not None
        (primary,) = (one for one in four.members if one.key == facts.primary)
        await primary.stop()
        others = [one for one in four.members if one is not primary]
        done = await asyncio.gather(*(one.commit() for one in others if one is not four.members[0]))
        await four.agree(max(one.height for one in done), others)
        assert all(one.facts is not None and one.facts.view >= 1 for one in others)
        # Back again, it catches up and is counted on.
        await four.start(primary)
        await four.agree(max(one.height for one in others))


async def test_an_observer_follows_and_submits(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await four.members[0].commit()
        observer = await four.start(four.neighbour(7))
        await four.agree(1, [*four.members, observer])
        assert observer.facts is not None
        assert observer.facts.role == "observer"
        # Its own transaction reaches the members, and new blocks reach it.
        done = await observer.commit()
        await four.agree(done.height, [*four.members, observer])


async def test_an_observer_follows_through_another_observer(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        await one.members[0].commit()
        first = await one.start(one.neighbour(7))
        await one.agree(1, [one.members[0], first])
        # It knows of nobody but the first observer, from whom it also learns which chain there is.
        second = await one.neighbour(8).start(bootstrap=[first.endpoint])
        await until(lambda: second.height == 1, "the second observer has the block")
        assert second.state.trie.root() == first.state.trie.root()


async def test_a_chain_of_one_commits_at_once(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        done = await one.members[0].commit()
        assert done.height == 1
        with pytest.raises(NotCommittedError, match="not a well-formed"):
            await one.members[0].community.submit(b"nonsense")


async def test_a_restarted_chain_stands_where_it_stood(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        (member,) = one.members
        done = await member.commit()
        root, head = member.state.trie.root(), member.facts
        await member.stop()
        await one.start(member)
        await until(lambda: member.facts is not None, "the file is read")
        assert member.height == done.height
        assert member.state.trie.root() == root
        assert member.facts is not None
        assert head is not None
        assert member.facts.head == head.head


async def test_a_member_with_a_full_disk_refuses_to_vote_says_so_and_comes_back(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with community(tmp_path, disk=disk) as four:
        *others, full = four.members
        await others[0].commit()
        await four.agree(1)
        disk.is_full = True
        # More than the pages in use could still take.
        await asyncio.gather(*(one.commit() for one in others for _ in range(60)))
        await until(lambda: "no space left" in problem(full), "the full disk is told")
        assert full.facts is None
        with pytest.raises(NotCommittedError, match="no space left"):
            await full.commit()
        height = others[0].height
        disk.is_full = False
        await until(lambda: full.facts is not None, "it goes on")
        await four.agree(height)


async def test_a_member_whose_clock_is_far_off_gives_no_vote_says_so_and_follows(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        odd, *others = sorted(four.members, key=lambda one: one.facts is not None and one.key == one.facts.primary)
        odd.clock_ahead_ms = 60_000
        await others[0].commit()
        await until(lambda: "ms off this clock" in problem(odd), "the clock is told")
        assert odd.community.standing is not None
        assert odd.community.standing.complaint.startswith("does not vote: block 1 is -")
        await four.agree(1)
        odd.clock_ahead_ms = 0
        await others[0].commit()
        await until(lambda: problem(odd) == "", "it votes again")


async def test_a_damaged_file_stops_the_voting_and_not_the_node(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        await four.members[0].commit()
        await four.agree(1)
        broken = four.members[3]
        await broken.stop()
        file = tmp_path / "node3" / "ledger.db"
        content = bytearray(file.read_bytes())
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
        file.write_bytes(content)
        await four.start(broken)
        await until(lambda: "is damaged" in problem(broken), "the damage is told")
        assert broken.facts is None
        assert broken.community.standing is not None
        assert broken.community.standing.complaint.startswith("neither votes nor follows: ")
        await four.members[1].commit()
        await four.agree(2, four.members[:3])


async def test_another_genesis_than_the_pinned_one_is_refused_with_both_named(tmp_path: Path) -> None:
    async with community(tmp_path) as four:
        member = four.members[0]
        await member.stop()
        other = chain_of(3)
        (tmp_path / "other.json").write_text(render_genesis(other))
        with pytest.raises(UsageError) as refused:
            await member.start(genesis=str(tmp_path / "other.json"))
        assert chain_id(other).hex() in str(refused.value)
        assert chain_id(four.genesis).hex() in str(refused.value)


async def test_a_genesis_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    made = Neighbourhood(tmp_path, 2)
    text = made.file.read_text().replace('"a test"', '"a tEst"')
    made.file.write_text(text)
    with pytest.raises(UsageError, match="changed by hand"):
        await made.start(made.neighbour(0))


async def test_a_node_without_a_genesis_takes_that_of_its_bootstrap_peer_and_keeps_it(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        newcomer = await one.neighbour(5).start(bootstrap=[one.members[0].endpoint])
        await until(lambda: newcomer.facts is not None, "it has joined")
        standing = newcomer.community.standing
        assert standing is not None
        assert standing.chain == chain_id(one.genesis)
        assert standing.origin.startswith("bootstrap peer ")
        await one.members[0].commit()
        await until(lambda: newcomer.height == 1, "it follows")
        await newcomer.stop()
        # Without anybody to ask, it still knows.
        await newcomer.start()
        await until(lambda: newcomer.height == 1, "it has its blocks")


async def test_a_node_alone_has_a_chain_of_its_own_and_gives_an_unused_one_up(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        loner = await one.neighbour(9).start()
        standing = loner.community.standing
        assert standing is not None
        assert standing.origin == "this node alone"
        assert loner.community.following.machine.genesis.members == (loner.key,)
        await loner.stop()
        await loner.start(bootstrap=[one.members[0].endpoint])
        await until(lambda: loner.facts is not None and loner.facts.role == "observer", "it has joined")
        await loner.stop()


async def test_a_node_of_another_chain_is_no_follower(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        (member,) = one.members
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        other = Neighbourhood(elsewhere, 3)
        stranger = await one.neighbour(2).start(genesis=str(other.file), others=[member])
        assert stranger.peers is not None
        session = await stranger.peers.session(member.key, member.endpoint)
        batch = LedgerBatch(chain=chain_id(other.genesis), messages=(b"x",))
        with pytest.raises(RemoteRefused, match="follows chain") as refused:
            await session.request(batch, timeout_s=LIMIT_S)
        assert refused.value.code == "other_chain"
        assert member.community.following.links.observers(()) == []


async def test_a_member_that_is_elected_says_in_the_dht_where_it_is(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as one:
        (founder,) = one.members
        newcomer = await one.start(one.neighbour(5), bootstrap=[founder.endpoint])
        asker = await one.start(one.neighbour(6), bootstrap=[founder.endpoint])
        await until(lambda: bool(newcomer.discovery.contacts() and asker.discovery.contacts()), "all are in the DHT")
        machine = founder.community.following.machine
        key = skill_key(NETWORK, member_label(machine.chain))

        async def told() -> dict[bytes, Endpoint]:
            records = await asker.discovery.find(key, timeout_s=LIMIT_S)
            adverts = {record.public_key: decode_advert(record.body) for record in records}
            return {peer: Endpoint(advert.host, advert.port) for peer, advert in adverts.items()}

        async def changed(*signers: Neighbour, **change: tuple[bytes, ...]) -> None:
            until_unix_ms = founder.state.chain.time_unix_ms + 60_000
            motion = {"chain": machine.chain, "motion": os.urandom(16), "valid_until_unix_ms": until_unix_ms}
            terms = Reconfigure(**motion, **change)  # type: ignore[arg-type]
            await founder.community.submit(sign_transaction(terms, *(signer.identity for signer in signers)))

        assert newcomer.key not in await told()
        await changed(founder, add=(newcomer.key,))
        async with asyncio.timeout(LIMIT_S):
            while (await told()).get(newcomer.key) != newcomer.endpoint:  # noqa: ASYNC110  # a store has no event
                await asyncio.sleep(0.01)
        await changed(founder, newcomer, remove=(newcomer.key,))
        async with asyncio.timeout(LIMIT_S):
            while newcomer.key in await told():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
