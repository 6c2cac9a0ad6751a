"""A community chain without a network: identities, a genesis, blocks applied one after the other."""

from collections.abc import Sequence
from typing import Any

from crypto.identity import Identity
from node.ledger.chain.genesis import Genesis, Holding, Parameters, encode_genesis
from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.state import Account, AccountId, Deal, State, account_key, deal_key
from protocol.consensus import (
    PHASE_LABELS,
    Ballot,
    Certificate,
    Header,
    Seal,
    block_hash,
    decode_header,
    members_hash,
    tx_root,
)
from protocol.packing import pack
from protocol.receipts import DAY_MS, acceptance_commitment, commitment
from protocol.signed import AcceptanceTerms, AwardTerms, Outcome, RatingTerms, sign
from protocol.transactions import (
    Approved,
    CommitRating,
    FileUnrated,
    Owned,
    RevealRating,
    acceptance_id,
    rating_commitment,
    sign_transaction,
)

NETWORK = "test"
START_UNIX_MS = 20_000 * DAY_MS
EPOCH_MS = 60_000
PEOPLE = tuple(Identity(bytes([number]) * 32) for number in range(1, 13))
MEMBERS = PEOPLE[:4]
SALT = b"\x05" * 16
RULES = Parameters(epoch_ms=EPOCH_MS, unrated_after_ms=2 * EPOCH_MS, review_ms=EPOCH_MS, rule_ms=EPOCH_MS)


def genesis(
    members: Sequence[Identity] = MEMBERS, credits_: int = 1_000, rules: Parameters = RULES, people: int = 10
) -> bytes:
    """Of these members; the first `people` of PEOPLE have an account and credits."""
    return encode_genesis(
        Genesis(
            name="a test",
            network=NETWORK,
            time_unix_ms=START_UNIX_MS,
            members=tuple(one.public_key for one in members),
            accounts=tuple(Holding(key=one.public_key, credits=credits_) for one in PEOPLE[:people]),
            parameters=rules,
        )
    )


class World:
    """A chain that grows block by block; transactions get their sequence numbers by themselves."""

    def __init__(self, genesis_: bytes | None = None) -> None:
        self.genesis = genesis_ or genesis()
        self.machine = ChainMachine(self.genesis)
        self.state = self.machine.start()
        self.now = START_UNIX_MS
        self.motions = 0
        self._sequences: dict[bytes, int] = {}

    def tx(self, kind: type[Owned], signer: Identity, *more: Identity, **fields: Any) -> bytes:
        """A transaction of one account, cosigned by `more`."""
        sequence = self._sequences.get(signer.public_key, 0) + 1
        self._sequences[signer.public_key] = sequence
        terms = kind(chain=self.machine.chain, signer=signer.public_key, sequence=sequence, **fields)
        return sign_transaction(terms, signer, *more)

    def motion(self, kind: type[Approved], signers: Sequence[Identity], **fields: Any) -> bytes:
        """What these members approve."""
        self.motions += 1
        motion = self.motions.to_bytes(16, "big")
        terms = kind(chain=self.machine.chain, motion=motion, valid_until_unix_ms=self.now + EPOCH_MS, **fields)
        return sign_transaction(terms, *signers)

    def block(self, *txs: bytes, after_ms: int = 0) -> State:
        """One more block, so much later."""
        self.now += after_ms
        height = self.state.chain.height + 1
        self.state = self.machine.apply(self.state, txs, height=height, time_unix_ms=self.now)
        return self.state

    def why_not(self, tx: bytes, after_ms: int = 0) -> str | None:
        """What `admit` says."""
        return self.machine.admit(self.state, tx, time_unix_ms=self.now + after_ms)

    def account(self, who: Identity) -> Account:
        """An account by the first key that it had."""
        return self.state.the(Account, account_key(AccountId(who.public_key)))

    def deal(self, client: Identity, name: bytes) -> Deal | None:
        """A deal, or None."""
        return self.state.find(Deal, deal_key(AccountId(client.public_key), name))

    def rating(self, client: Identity, contractor: Identity, number: int, outcome: Outcome = "ok") -> "Promised":
        """Both transactions of a rating of job `number` between the two, accepted today."""
        return Promised(self, client, contractor, number, outcome)

    def rated(self, client: Identity, contractor: Identity, number: int, outcome: Outcome = "ok") -> None:
        """Two blocks, an epoch apart, by which the rating takes effect."""
        promised = self.rating(client, contractor, number, outcome)
        self.block(promised.commit)
        self.block(promised.reveal, after_ms=EPOCH_MS)


class Promised:
    """A rating to commit to and to reveal."""

    def __init__(self, world: World, client: Identity, contractor: Identity, number: int, outcome: Outcome) -> None:
        body, signature = acceptance(contractor, client, number, world.now // DAY_MS)
        self.acceptance_id = acceptance_id(body)
        terms = RatingTerms(
            acceptance=body,
            acceptance_signature=signature,
            receipt_commitment=commitment(b"receipt", SALT, number.to_bytes(8, "big")),
            deadline_met=outcome != "late",
            outcome=outcome,
            score=90,
            explored=False,
            sequence=number,
        )
        self.body, rating_signature = sign(client, terms)
        self.commit = world.tx(CommitRating, client, commitment=rating_commitment(SALT, self.body))
        self.reveal = sign_transaction(
            RevealRating(chain=world.machine.chain, rating=self.body, rating_signature=rating_signature, salt=SALT)
        )


def acceptance(contractor: Identity, client: Identity, number: int, day: int) -> tuple[bytes, bytes]:
    """The contractor's signed acceptance of job `number`."""
    terms = AcceptanceTerms(
        commitment=acceptance_commitment(SALT, number.to_bytes(16, "big")),
        network=NETWORK,
        client=client.public_key,
        contractor=contractor.public_key,
        skill="risk",
        price_bucket=10,
        day=day,
    )
    return sign(contractor, terms)


def unrated(world: World, contractor: Identity, client: Identity, number: int, awarded_unix_ms: int) -> bytes:
    """The contractor's filing of job `number`, which its client never rated."""
    body, signature = acceptance(contractor, client, number, awarded_unix_ms // DAY_MS)
    award = AwardTerms(
        task_id=number.to_bytes(16, "big"),
        quote_sha256=bytes(32),
        client=client.public_key,
        contractor=contractor.public_key,
        awarded_unix_ms=awarded_unix_ms,
    )
    award_body, award_signature = sign(client, award)
    return world.tx(
        FileUnrated,
        contractor,
        acceptance=body,
        acceptance_signature=signature,
        award=award_body,
        award_signature=award_signature,
        salt=SALT,
    )


def held(state: State) -> int:
    """All credits there are: in accounts, bonds, open deals and the treasury."""
    accounts = sum(account.credits + account.bond for _, account in state.accounts())
    deals = sum(deal.credits for _, deal in state.trie.items(b"\x09") if isinstance(deal, Deal) and deal.stage < 3)
    return accounts + deals + state.chain.treasury_credits


def header_of(world: World, txs: Sequence[bytes]) -> bytes:
    """The packed header of the world's last block."""
    header = Header(
        chain=world.machine.chain,
        height=world.state.chain.height,
        view=0,
        previous=bytes(32),
        time_unix_ms=world.now,
        tx_root=tx_root(tuple(txs)),
        state_root=world.machine.root(world.state),
        members_hash=members_hash(world.state.members),
        proposer=world.state.members[0],
    )
    return pack(header)


def certified(header: bytes, signers: Sequence[Identity]) -> Certificate:
    """COMMITs for a header."""
    terms = decode_header(header)
    ballot = pack(Ballot(chain=terms.chain, height=terms.height, view=0, block=block_hash(header)))
    return Certificate(
        ballot=ballot,
        seals=tuple(Seal(signer=one.public_key, signature=one.sign(PHASE_LABELS["commit"], ballot)) for one in signers),
    )
