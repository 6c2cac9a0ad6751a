"""The community chain as a replicated state machine: which transactions are valid in a block, and what they change.

A block is valid or not as a whole: whoever proposes one leaves out what the rules refuse (`select`). Time is the
block's; it never runs backwards, and every deadline is measured by it.
"""

from collections.abc import Sequence

from node.ledger.chain import accounts, committee, escrow, evidence, pieces, ratings
from node.ledger.chain.genesis import Holding, chain_id, decode_genesis
from node.ledger.chain.pieces import StateCut
from node.ledger.chain.refused import Refused
from node.ledger.chain.state import (
    CHAIN_KEY,
    COMMITTEE_KEY,
    Account,
    AccountId,
    Chain,
    Committee,
    Draft,
    Entry,
    State,
    account_key,
)
from node.ledger.chain.trie import Trie
from node.ledger.machine import InvalidBlock
from protocol.errors import RemoteProtocolError
from protocol.transactions import (
    Admit,
    AnswerRating,
    Approved,
    CommitRating,
    Dispute,
    Expire,
    FileUnrated,
    Fund,
    Grant,
    Join,
    NameSuccessor,
    Opened,
    Owned,
    Reconfigure,
    Refund,
    Release,
    ReportConflict,
    RevealRating,
    Revoke,
    Rule,
    Submit,
    Succeed,
    open_transaction,
    transaction_id,
)


class ChainMachine:
    """The rules of the chain that begins with a genesis: node/ledger/machine's `Machine` over `State`."""

    def __init__(self, genesis: bytes) -> None:
        """From a packed genesis; RemoteProtocolError when it is none."""
        self.genesis = decode_genesis(genesis)
        self.chain = chain_id(genesis)
        self._tried: Draft | None = None
        """What `admit` reads of a state, kept for the next transaction on top of the same one."""

    def start(self) -> State:
        """The state before block 1."""
        of = self.genesis
        listed = {account.key: account for account in of.accounts}
        trie: Trie[Entry] = Trie()
        for key in sorted({*listed, *of.members}):
            holding = listed.get(key, Holding(key=key))
            account = Account(
                key=key,
                credits=holding.credits,
                next_key_sha256=holding.next_key_sha256 or b"",
                joined_unix_ms=of.time_unix_ms,
            )
            trie = trie.put(account_key(AccountId(key)), account)
        issued = sum(account.credits for account in of.accounts)
        trie = trie.put(CHAIN_KEY, Chain(time_unix_ms=of.time_unix_ms, issued_credits=issued))
        return State(trie.put(COMMITTEE_KEY, Committee(of.members)))

    def admit(self, state: State, tx: bytes, *, time_unix_ms: int) -> str | None:
        """Why `tx` cannot be in a block on top of `state` now; None if it can."""
        if self._tried is None or self._tried.state is not state:
            self._tried = self._draft(state, state.chain.height + 1, time_unix_ms)
        draft = self._tried
        draft.set_time(max(time_unix_ms, draft.chain.time_unix_ms))
        try:
            self._perform(draft, tx)
        except RemoteProtocolError as error:
            return error.text
        finally:
            draft.drop()
        return None

    def apply(self, state: State, txs: Sequence[bytes], *, height: int, time_unix_ms: int) -> State:
        """The state after a block of `txs`; InvalidBlock if one may not be there. Never changes `state`."""
        before = state.chain
        if height != before.height + 1:
            raise InvalidBlock(f"a block of height {height} on top of height {before.height}")
        if time_unix_ms < before.time_unix_ms:
            raise InvalidBlock(f"a block of {time_unix_ms} on top of a later one, of {before.time_unix_ms}")
        draft = self._draft(state, height, time_unix_ms)
        for place, tx in enumerate(txs):
            try:
                self._perform(draft, tx)
            except RemoteProtocolError as error:
                raise InvalidBlock(f"transaction {place} of block {height}: {error.text}") from error
            draft.keep()
        committee.settle_members(draft)
        draft.forget_retired()
        return draft.finish()

    def select(self, state: State, txs: Sequence[bytes], *, time_unix_ms: int) -> list[str | None]:
        """For each of `txs`, in order, why it cannot be in the next block after those before it that can."""
        draft = self._draft(state, state.chain.height + 1, time_unix_ms)
        reasons = list[str | None]()
        for tx in txs:
            try:
                self._perform(draft, tx)
            except RemoteProtocolError as error:
                draft.drop()
                reasons.append(error.text)
            else:
                draft.keep()
                reasons.append(None)
        return reasons

    def seal(self, state: State) -> State:
        """Nothing to fold: states share what they have in common."""
        return state

    def root(self, state: State) -> bytes:
        """The Merkle root of all entries."""
        return state.trie.root()

    def members(self, state: State) -> tuple[bytes, ...]:
        """The committee of the next height."""
        return state.members

    def tx_id(self, tx: bytes) -> bytes:
        """By what is signed, not by who signed it."""
        return transaction_id(tx)

    def cut(self, state: State) -> StateCut:
        """Its subtrees."""
        return StateCut(state)

    def names(self, outline: bytes, root: bytes) -> tuple[bytes, ...]:
        """The pieces of the state with this root; RemoteProtocolError unless the outline proves to be of it."""
        return pieces.names_in(outline, root)

    def piece_name(self, piece: bytes) -> bytes:
        """The root of the map of its entries."""
        return pieces.name_of(piece)

    def joined(self, parts: Sequence[bytes]) -> State:
        """The state of all its pieces."""
        return pieces.state_of(parts)

    def _draft(self, state: State, height: int, time_unix_ms: int) -> Draft:
        return Draft(state, self.genesis.parameters, height=height, time_unix_ms=time_unix_ms)

    def _perform(self, draft: Draft, tx: bytes) -> None:
        opened = open_transaction(tx)
        if opened.terms.chain != self.chain:
            raise Refused(f"it is meant for chain {opened.terms.chain.hex()}, and this is {self.chain.hex()}")
        if isinstance(opened.terms, Owned):
            accounts.use_sequence(draft, opened.terms)
        elif isinstance(opened.terms, Approved):
            committee.approve(draft, opened.terms, opened.signers)
        self._change(draft, opened)

    def _change(self, draft: Draft, opened: Opened) -> None:  # one line for each kind
        terms = opened.terms
        match terms:
            case CommitRating():
                ratings.commit_rating(draft, terms)
            case RevealRating():
                assert opened.rating is not None
                ratings.reveal_rating(draft, opened.rating, self.genesis.network)
            case FileUnrated():
                assert opened.delivery is not None
                ratings.file_unrated(draft, terms.signer, opened.delivery, self.genesis.network)
            case AnswerRating():
                ratings.answer_rating(draft, terms)
            case ReportConflict():
                evidence.report_conflict(draft, terms, self.chain)
            case Join():
                accounts.join(draft, terms)
            case NameSuccessor():
                accounts.name_successor(draft, terms)
            case Succeed():
                accounts.succeed(draft, terms)
            case Revoke():
                accounts.revoke(draft, terms)
            case Admit():
                committee.admit(draft, terms)
            case Grant():
                committee.grant(draft, terms)
            case Reconfigure():
                committee.reconfigure(draft, terms)
            case Fund():
                escrow.fund(draft, terms)
            case Submit():
                escrow.submit(draft, terms)
            case Release():
                escrow.release(draft, terms)
            case Refund():
                escrow.refund(draft, terms)
            case Dispute():
                escrow.dispute(draft, terms)
            case Rule():
                escrow.rule(draft, terms)
            case Expire():
                escrow.expire(draft, terms)
            case _:
                raise Refused(f"no rule allows a {type(terms).__name__}")
