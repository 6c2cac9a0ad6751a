"""What holds on the chain whatever people do: credits are conserved, jobs are rated once, states never change."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crypto.identity import Identity
from node.ledger.chain.genesis import decode_genesis
from node.ledger.chain.proofs import check_proof
from node.ledger.chain.state import Account, AccountId, imported
from node.ledger.machine import InvalidBlock
from node.ledger.pbft.quorum import Committee, change_refused
from protocol.errors import RemoteProtocolError
from protocol.receipts import DAY_MS
from protocol.transactions import (
    Admit,
    AnswerRating,
    Dispute,
    Expire,
    Fund,
    Grant,
    InDeal,
    Join,
    Reconfigure,
    Refund,
    Release,
    Revoke,
    Rule,
    Submit,
    cosign,
    open_transaction,
    sign_transaction,
)
from tests.harness.chains import EPOCH_MS, PEOPLE, Promised, World, genesis, held, unrated

WHO = st.sampled_from(PEOPLE[:7])
THREE = st.permutations(PEOPLE[:7]).map(lambda people: tuple(people[:3]))
AMOUNT = st.sampled_from([1, 7, 400, 401, 999, 1500])
LATER = st.sampled_from([0, 0, 1, 1, EPOCH_MS, EPOCH_MS + 1, 3 * EPOCH_MS, DAY_MS, 61 * DAY_MS])
CLIENT, CONTRACTOR, ARBITER = range(3)
Step = tuple[type[InDeal], int, dict[str, Any]]
ASK: Step = (Submit, CONTRACTOR, {"credits": 7, "result_commitment": bytes(32)})
ASK_MUCH: Step = (Submit, CONTRACTOR, {"credits": 400, "result_commitment": bytes(32)})
PAY: Step = (Release, CLIENT, {})
GIVE_BACK: Step = (Refund, CONTRACTOR, {})
OBJECT: Step = (Dispute, CLIENT, {})
DECIDE: Step = (Rule, ARBITER, {"contractor_credits": 3})
END: Step = (Expire, CLIENT, {})
WAYS: tuple[tuple[Step, ...], ...] = (
    (),
    (END,),
    (GIVE_BACK, GIVE_BACK),
    (ASK, PAY, PAY),
    (ASK_MUCH, PAY, END),
    (ASK, GIVE_BACK, PAY),
    (ASK, END, END),
    (ASK, OBJECT),
    (ASK, OBJECT, DECIDE, DECIDE),
    (ASK_MUCH, OBJECT, DECIDE, PAY),
    (ASK, OBJECT, END),
    (ASK, OBJECT, PAY),
    (PAY, OBJECT, DECIDE),
)
MOST_WAITING = 4


class Community(RuleBasedStateMachine):
    """People do anything, sensible or not; what the rules refuse is refused by a whole block as well."""

    @initialize()
    def begin(self) -> None:
        """Seven people, four of them members."""
        self.world = World(genesis(people=7))
        self.waiting: list[bytes] = []
        self.deals = 0
        self.promised: list[Promised] = []
        self.shown: dict[bytes, int] = {}

    def send(self, *txs: bytes) -> None:
        """Into the next block, which comes when there are enough of them, or earlier."""
        self.waiting += txs
        if len(self.waiting) >= MOST_WAITING:
            self.next_block(self.waiting, 1)

    @rule(data=st.data(), parties=THREE, amount=AMOUNT, way=st.sampled_from(WAYS))
    def deal(self, data: st.DataObject, parties: tuple[Identity, ...], amount: int, way: tuple[Step, ...]) -> None:
        """A deal, a block a step; now and then somebody signs who is not asked. It may be left open."""
        client, contractor, arbiter = parties
        self.deals += 1
        name = self.deals.to_bytes(32, "big")
        fund = self.world.tx(
            Fund,
            client,
            deal=name,
            contractor=contractor.public_key,
            arbiter=arbiter.public_key,
            credits=amount,
            submit_within_ms=EPOCH_MS,
        )
        self.next_block([*self.waiting, fund], 0)
        for kind, role, fields in way:
            signer = data.draw(WHO) if data.draw(st.integers(0, 4)) == 0 else parties[role]
            tx = self.world.tx(kind, signer, client=client.public_key, deal=name, **fields)
            waits = kind is Expire or data.draw(st.integers(0, 7)) == 0
            self.next_block([tx], EPOCH_MS + 1 if waits else 1)

    @rule(client=WHO, contractor=WHO, number=st.integers(0, 4), outcome=st.sampled_from(["ok", "fail", "late"]))
    def rate(self, client: Identity, contractor: Identity, number: int, outcome: Any) -> None:
        """Promised, and shown in the next epoch."""
        if client is not contractor:
            promised = self.world.rating(client, contractor, number, outcome)
            self.promised.append(promised)
            self.next_block([*self.waiting, promised.commit], 0)
            self.next_block([promised.reveal], EPOCH_MS)

    @rule(client=WHO, contractor=WHO, number=st.integers(0, 4), outcome=st.sampled_from(["ok", "fail", "late"]))
    def promise(self, client: Identity, contractor: Identity, number: int, outcome: Any) -> None:
        if client is contractor:
            return
        promised = self.world.rating(client, contractor, number, outcome)
        self.promised.append(promised)
        self.send(promised.commit)

    @rule(data=st.data())
    def show(self, data: st.DataObject) -> None:
        if self.promised:
            self.send(data.draw(st.sampled_from(self.promised)).reveal)

    @rule(data=st.data(), contractor=WHO)
    def answer(self, data: st.DataObject, contractor: Identity) -> None:
        if self.promised:
            about = data.draw(st.sampled_from(self.promised)).acceptance_id
            fields = {"acceptance_id": about, "objection": "other", "text_sha256": bytes(32)}
            self.send(self.world.tx(AnswerRating, contractor, stance="dispute", **fields))

    @rule(client=WHO, contractor=WHO, number=st.integers(0, 4))
    def file(self, client: Identity, contractor: Identity, number: int) -> None:
        if client is not contractor:
            awarded = self.world.now - 2 * EPOCH_MS
            self.send(unrated(self.world, contractor, client, number, awarded))

    def members(self) -> list[Identity]:
        """Who votes now."""
        return [one for one in PEOPLE if one.public_key in self.world.state.members]

    @rule(approvers=st.integers(0, 7), amount=AMOUNT, key=st.sampled_from(PEOPLE), grants=st.booleans())
    def motion(self, approvers: int, amount: int, key: Identity, grants: bool) -> None:
        signers = self.members()[: approvers or 1]
        if grants:
            self.send(self.world.motion(Grant, signers, account=key.public_key, credits=amount))
        else:
            self.send(self.world.motion(Admit, signers, key=key.public_key))

    @rule(come=WHO, go=WHO, swaps=st.booleans())
    def reconfigure(self, come: Identity, go: Identity, swaps: bool) -> None:
        gone = (go.public_key,) if swaps else ()
        self.send(self.world.motion(Reconfigure, self.members(), add=(come.public_key,), remove=gone))

    @rule(payer=WHO, key=st.sampled_from(PEOPLE[7:]), bond=st.integers(90, 130))
    def join(self, payer: Identity, key: Identity, bond: int) -> None:
        self.send(self.world.tx(Join, payer, key, key=key.public_key, bond=bond))

    @rule(who=st.sampled_from(PEOPLE[5:7]), chance=st.integers(0, 4))
    def revoke(self, who: Identity, chance: int) -> None:
        if chance:
            return
        terms = Revoke(chain=self.world.machine.chain, key=who.public_key, by=who.public_key)
        self.send(sign_transaction(terms, who))

    @rule(data=st.data(), after_ms=LATER)
    def block(self, data: st.DataObject, after_ms: int) -> None:
        """At any time, in any order."""
        self.next_block(data.draw(st.permutations(self.waiting)) if self.waiting else [], after_ms)

    def next_block(self, txs: list[bytes], after_ms: int) -> None:
        """What goes together becomes a block; the rest stays away, and alone would have spoilt it."""
        world, machine = self.world, self.world.machine
        now, before = world.now + after_ms, world.state
        root = machine.root(before)
        reasons = machine.select(before, txs, time_unix_ms=now)
        height = before.chain.height + 1
        for tx in txs[:4]:
            why = machine.admit(before, tx, time_unix_ms=now)
            if why is not None:
                with pytest.raises(InvalidBlock):
                    machine.apply(before, [tx], height=height, time_unix_ms=now)
            else:
                machine.apply(before, [tx], height=height, time_unix_ms=now)
        taken: list[bytes] = []
        for tx, why in zip(txs, reasons, strict=True):
            if why is None:
                taken.append(tx)
                continue
            with pytest.raises(InvalidBlock):
                machine.apply(before, [*taken, tx], height=height, time_unix_ms=now)
        world.block(*taken, after_ms=after_ms)
        for tx in taken:
            opened = open_transaction(tx)
            about = opened.rating or opened.delivery
            if about is not None:
                self.shown[about.acceptance_id] = self.shown.get(about.acceptance_id, 0) + 1
            assert machine.admit(world.state, tx, time_unix_ms=world.now) is not None, "taken twice"
        assert imported(before.export()).trie.root() == root == machine.root(before), "a block changed its base"
        assert change_refused(Committee(before.members), world.state.members) is None
        self.waiting = []

    @invariant()
    def credits_are_conserved_and_never_negative(self) -> None:
        if not hasattr(self, "world"):
            return
        state = self.world.state
        assert held(state) == state.chain.issued_credits
        for _, account in state.accounts():
            assert account.credits >= 0
            assert account.bond >= 0

    @invariant()
    def an_acceptance_is_rated_once(self) -> None:
        if hasattr(self, "world"):
            assert all(times == 1 for times in self.shown.values())

    @invariant()
    def sums_are_those_of_the_pairs(self) -> None:
        if not hasattr(self, "world"):
            return
        for owner, account in self.world.state.accounts():
            pairs = [pair for _, _, pair in self.world.state.pairs(AccountId(owner))]
            assert account.ratings == sum(pair.ratings for pair in pairs)
            assert account.unrated == sum(pair.unrated for pair in pairs)
            assert account.disputed == sum(pair.disputed for pair in pairs)
            assert (account.successes + account.failures > 0) is any(p.successes + p.failures for p in pairs)


TestCommunity = Community.TestCase
TestCommunity.settings = settings(max_examples=30, stateful_step_count=40)

HISTORY = """
from tests.harness.chains import *
world = World()
for number in range(12):
    world.rated(PEOPLE[number % 4], PEOPLE[4 + number % 3], number, ("ok", "fail", "late", "refund")[number % 4])
print(world.machine.root(world.state).hex())
"""


def test_the_state_root_does_not_depend_on_the_hash_seed() -> None:
    root = Path(__file__).parents[2]
    roots = {
        subprocess.run(
            [sys.executable, "-c", HISTORY],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(roots) == 1


# Codecs

WORLD = World()
PROMISED = WORLD.rating(PEOPLE[4], PEOPLE[5], 1)
SAMPLES = (
    PROMISED.commit,
    PROMISED.reveal,
    WORLD.motion(Reconfigure, PEOPLE[:3], add=(PEOPLE[4].public_key,)),
    unrated(WORLD, PEOPLE[5], PEOPLE[4], 2, WORLD.now),
    WORLD.genesis,
)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """Something valid with some bytes replaced, cut out or put in."""
    body = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


@given(st.one_of(changed(), st.binary(max_size=300)))
def test_any_bytes_are_a_valid_transaction_or_refused(data: bytes) -> None:
    why = WORLD.machine.admit(WORLD.state, data, time_unix_ms=WORLD.now)
    assert len(WORLD.machine.tx_id(data)) == 32
    if why is None:
        assert WORLD.machine.tx_id(data) in {WORLD.machine.tx_id(sample) for sample in SAMPLES}


@given(st.one_of(changed(), st.binary(max_size=300)))
def test_any_bytes_are_a_genesis_or_a_proof_or_refused(data: bytes) -> None:
    for read in (decode_genesis, lambda given_: check_proof(given_, WORLD.genesis)):
        try:
            read(data)
        except RemoteProtocolError:
            continue


@given(st.permutations(PEOPLE[:5]))
def test_the_order_of_signatures_makes_no_other_transaction(order: list[Identity]) -> None:
    bare = SAMPLES[2]
    tx = bare
    for one in order:
        tx = cosign(tx, one)
    assert WORLD.machine.tx_id(tx) == WORLD.machine.tx_id(bare)
    assert set(open_transaction(tx).signers) == {one.public_key for one in order}


def test_an_account_holds_integers_and_bytes_only() -> None:
    for entry in dict(WORLD.state.trie.items()).values():
        for name in entry.__struct_fields__:
            value = getattr(entry, name)
            parts = value if isinstance(value, tuple) else (value,)
            assert all(type(part) in (int, bytes) for part in parts), (type(entry), name)
    assert WORLD.state.find(Account, b"\x03" + PEOPLE[0].public_key) is not None
