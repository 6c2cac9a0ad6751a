"""Light proofs: checked offline against a genesis, through changes of the committee; refused when anything is off."""

from typing import Any

import msgspec
import pytest

from node.ledger.chain.genesis import decode_genesis
from node.ledger.chain.proofs import (
    Anchor,
    LightProof,
    ProvedEntry,
    ProvedTransaction,
    TransactionPath,
    account_of,
    check_proof,
    prove_account,
    prove_entry,
    prove_transaction,
)
from node.ledger.chain.state import Account, Deal, deal_key
from protocol.consensus import CommitteeLink
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.packing import pack, unpack
from protocol.transactions import CommitRating, Fund, Reconfigure, RevealRating
from tests.harness.chains import EPOCH_MS, MEMBERS, PEOPLE, World, certified, genesis, header_of

CLIENT, CONTRACTOR = PEOPLE[4:6]


class Rated(World):
    """A chain whose last block shows three ratings."""

    def __init__(self) -> None:
        super().__init__()
        promised = [self.rating(PEOPLE[number], CONTRACTOR, number) for number in (4, 6, 7)]
        self.block(*(one.commit for one in promised))
        self.txs = [one.reveal for one in promised]
        self.block(*self.txs, after_ms=EPOCH_MS)
        self.anchor = self.vouched(MEMBERS[:3])

    def vouched(self, signers: Any) -> Anchor:
        """The last block with COMMITs of these."""
        header = header_of(self, self.txs)
        return Anchor(header, certified(header, signers))


@pytest.fixture(scope="module")
def world() -> Rated:
    return Rated()


def test_a_rating_is_proved_without_a_node(world: Rated) -> None:
    for index in range(3):
        proof = prove_transaction(world.anchor, world.txs, index)
        proved = check_proof(proof, world.genesis)
        assert isinstance(proved.what, ProvedTransaction)
        assert isinstance(proved.what.opened.terms, RevealRating)
        assert proved.what.opened.rating is not None
        assert proved.what.opened.rating.acceptance.contractor == CONTRACTOR.public_key
        assert (proved.header.height, proved.changes, len(proved.signers), len(proved.committee)) == (2, 0, 3, 4)
        assert len(proof) < 3000


def test_an_accounts_sums_are_proved_without_a_node(world: Rated) -> None:
    proof = prove_account(world.anchor, world.state, CONTRACTOR.public_key)
    assert proof is not None
    proved = check_proof(proof, world.genesis)
    assert isinstance(proved.what, ProvedEntry)
    assert account_of(proved.what) == CONTRACTOR.public_key
    assert proved.what.entry == world.account(CONTRACTOR)
    assert isinstance(proved.what.entry, Account)
    assert proved.what.entry.ratings == 3


def test_who_has_no_account_has_no_proof(world: Rated) -> None:
    assert prove_account(world.anchor, world.state, PEOPLE[11].public_key) is None
    assert prove_entry(world.anchor, world.state, b"\x07" + bytes(32)) is None


def test_another_entry_is_proved_too() -> None:
    world = World()
    name = b"\x08" * 32
    fund = world.tx(
        Fund,
        CLIENT,
        deal=name,
        contractor=CONTRACTOR.public_key,
        arbiter=PEOPLE[6].public_key,
        credits=5,
        submit_within_ms=9,
    )
    world.block(fund)
    header = header_of(world, [fund])
    owner = world.state.account_of(CLIENT.public_key)
    assert owner is not None
    proof = prove_entry(Anchor(header, certified(header, MEMBERS)), world.state, deal_key(owner, name))
    assert proof is not None
    proved = check_proof(proof, world.genesis).what
    assert isinstance(proved, ProvedEntry)
    assert isinstance(proved.entry, Deal)
    assert account_of(proved) is None


@pytest.mark.parametrize("signers", [MEMBERS[:2], PEOPLE[4:8], (*MEMBERS[:2], PEOPLE[8])])
def test_fewer_than_a_quorum_of_members_prove_nothing(world: Rated, signers: Any) -> None:
    proof = prove_transaction(world.vouched(signers), world.txs, 0)
    with pytest.raises(RemoteProtocolError, match="COMMITs of 3"):
        check_proof(proof, world.genesis)


def test_a_proof_of_another_chain_proves_nothing(world: Rated) -> None:
    proof = prove_transaction(world.anchor, world.txs, 0)
    with pytest.raises(RemoteProtocolError, match="this genesis is of"):
        check_proof(proof, genesis(credits_=7))


def test_no_byte_of_a_proof_can_be_changed(world: Rated) -> None:
    account = prove_account(world.anchor, world.state, CONTRACTOR.public_key)
    assert account is not None
    for proof in (prove_transaction(world.anchor, world.txs, 1), account):
        shown = check_proof(proof, world.genesis)
        for at in range(0, len(proof), 7):
            changed = bytearray(proof)
            changed[at] ^= 1
            try:
                found = check_proof(bytes(changed), world.genesis)
            except RemoteProtocolError:
                continue
            # Only a mark on the way that both kinds of tree ignore could be left: it must not change what is shown.
            assert found == shown, at


def test_another_transaction_or_place_is_refused(world: Rated) -> None:
    opened = unpack(LightProof, prove_transaction(world.anchor, world.txs, 0))
    assert isinstance(opened.about, TransactionPath)
    for change in ({"tx": world.txs[1]}, {"index": 1}, {"path": opened.about.path[:1]}):
        about = msgspec.structs.replace(opened.about, **change)
        with pytest.raises(RemoteProtocolError, match="is not in block 2"):
            check_proof(pack(msgspec.structs.replace(opened, about=about)), world.genesis)


def test_a_proof_is_made_only_of_what_belongs_to_the_block(world: Rated) -> None:
    with pytest.raises(LocalProtocolError, match="not the transactions"):
        prove_transaction(world.anchor, world.txs[:2], 0)
    with pytest.raises(LocalProtocolError, match="not the state"):
        prove_account(world.anchor, World().state, CONTRACTOR.public_key)


# After the committee has changed


class Moved(World):
    """A chain whose committee changed twice: 0-3, then 1-4, then 2-5."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[CommitteeLink] = []
        for at in range(2):
            voters = PEOPLE[at : at + 4]
            come, go = PEOPLE[at + 4].public_key, PEOPLE[at].public_key
            tx = self.motion(Reconfigure, voters[:3], add=(come,), remove=(go,))
            self.block(tx)
            header = header_of(self, [tx])
            self.links.append(
                CommitteeLink(header=header, certificate=certified(header, voters[1:]), members=self.state.members)
            )
        self.txs = [self.tx(CommitRating, CLIENT, commitment=bytes(32))]
        self.block(*self.txs)
        self.header = header_of(self, self.txs)

    def proof(self, signers: Any, links: Any) -> bytes:
        """Of the last block's transaction."""
        return prove_transaction(Anchor(self.header, certified(self.header, signers), tuple(links)), self.txs, 0)


def test_each_committee_vouches_for_the_next() -> None:
    world = Moved()
    proved = check_proof(world.proof(PEOPLE[2:5], world.links), world.genesis)
    assert proved.changes == 2
    assert set(proved.committee) == {one.public_key for one in PEOPLE[2:6]}


def test_a_missing_or_swapped_change_of_the_committee_is_refused() -> None:
    world = Moved()
    for links in ([], world.links[:1], world.links[1:], world.links[::-1], [*world.links, world.links[1]]):
        with pytest.raises(RemoteProtocolError):
            check_proof(world.proof(PEOPLE[3:6], links), world.genesis)


def test_a_committee_that_nobody_vouched_for_is_refused() -> None:
    world = Moved()
    mine = tuple(one.public_key for one in PEOPLE[6:10])
    forged = msgspec.structs.replace(world.links[1], members=mine)
    with pytest.raises(RemoteProtocolError, match="not the committee"):
        check_proof(world.proof(PEOPLE[6:10], [world.links[0], forged]), world.genesis)


def test_a_change_after_the_block_does_not_count_for_it() -> None:
    world = Moved()
    early = Anchor(world.links[0].header, world.links[0].certificate, tuple(world.links))
    tx = pack(
        LightProof(
            chain=world.machine.chain,
            links=early.links,
            header=early.header,
            certificate=early.certificate,
            about=TransactionPath(tx=b"x", index=0, size=1, path=()),
        )
    )
    with pytest.raises(RemoteProtocolError, match="not before its block"):
        check_proof(tx, world.genesis)


def test_the_first_committee_is_the_genesis() -> None:
    world = World()
    assert decode_genesis(world.genesis).members == world.state.members
