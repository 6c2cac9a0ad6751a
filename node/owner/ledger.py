"""The owner's view of the community chain."""

import msgspec

from crypto.identity import did_key, parse_did_key, short_id
from node.community.auditing import audited
from node.community.community import Community, Standing
from node.community.facts import Facts
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.daemon import Parts
from node.errors import UsageError
from node.ledger.chain.proofs import Anchor, prove_account, prove_transaction
from node.ledger.chain.state import ACTIVE, CLOSED, STANDINGS, Account, AccountId, Deal, State, account_key
from node.owner.names import find_peer
from node.owner.receipts import LEAST_DIGITS, find_rating, find_receipt
from node.views import (
    DealRow,
    LedgerAccountView,
    LedgerBlocksView,
    LedgerBrief,
    LedgerDoneView,
    LedgerHeadView,
    LedgerMembersView,
    LedgerProofView,
    LedgerVerifyView,
    MemberRow,
)
from protocol.consensus import Certificate, Committed, decode_header
from protocol.packing import pack

TX_ID_DIGITS = 64
HEXADECIMAL = frozenset("0123456789abcdef")
STAGES = ("funded", "submitted", "disputed")


class LedgerDesk:
    """Head, members, verification, blocks and proofs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def head(self) -> LedgerHeadView:
        """Where the chain stands here."""
        standing, facts, following = self._followed()
        signers = await _signers(following, facts.height)
        return LedgerHeadView(
            chain=standing.chain.hex(),
            name=standing.name,
            origin=standing.origin,
            role=facts.role,
            height=facts.height,
            block=facts.head.hex(),
            at_unix_ms=facts.time_unix_ms,
            state_root=following.machine.root(following.state).hex(),
            signers=tuple(map(short_id, signers)),
            view=facts.view,
            stage=facts.stage,
            primary=short_id(facts.primary),
            members=len(facts.members),
            quorum=facts.quorum,
            tolerates=facts.tolerates,
            waiting=facts.waiting,
            lag=facts.ahead,
            dropped=standing.dropped,
            unreachable=tuple(map(short_id, standing.unreachable)),
            problem=standing.problem,
        )

    async def members(self) -> LedgerMembersView:
        """Who decides the next block."""
        standing, facts, following = self._followed()
        signers = await _signers(following, facts.height)
        own_key = self._parts.identity.public_key
        rows = tuple(
            MemberRow(
                member=short_id(key),
                did=did_key(key),
                is_primary=key == facts.primary,
                is_self=key == own_key,
                signed_last=key in signers,
                unreachable=key in standing.unreachable,
            )
            for key in facts.members
        )
        return LedgerMembersView(
            chain=standing.chain.hex(),
            height=facts.height,
            quorum=facts.quorum,
            tolerates=facts.tolerates,
            members=rows,
        )

    async def verify(self) -> LedgerVerifyView:
        """Recompute everything that is stored here, from the genesis or what is left; 0.3 ms a transaction."""
        following = self._community.following
        audit = await audited(following.machine, following.store, self._parts.env)
        return LedgerVerifyView(
            ok=not audit.problem,
            chain=following.machine.chain.hex(),
            first_height=audit.first_height,
            height=audit.height,
            transactions=audit.transactions,
            block=audit.block.hex(),
            state_root=audit.state_root.hex(),
            problem=audit.problem,
        )

    async def blocks(self, first: int) -> LedgerBlocksView:
        """One page of blocks from `first` on; none beyond the last."""
        following = self._community.following
        page = await following.store.page(first)
        return LedgerBlocksView(
            genesis=following.pinned.genesis.hex(),
            first=first,
            kept_from=page.first_height,
            height=page.head_height,
            blocks=tuple(map(pack, page.blocks)),
        )

    async def submit(self, tx: bytes) -> LedgerDoneView:
        """Have a signed transaction committed; NotCommittedError says why it is not."""
        done = await self._community.submit(tx)
        return LedgerDoneView(transaction=done.tx_id.hex(), height=done.height)

    async def prove(self, text: str, *, with_receipt: bool = False) -> LedgerProofView:
        """The proof of a peer's account, of a transaction (its id), or of the rating that a receipt (its id, or its
        task's) has got; UsageError when there is none.
        """
        following = self._community.following
        wanted = text.strip().lower()
        keys = {account.key for _, account in following.state.accounts()}
        if text.startswith("did:") or any(short_id(key).startswith(wanted) for key in keys):
            return await self._prove_account(following, text)
        if not set(wanted) <= HEXADECIMAL or len(wanted) < LEAST_DIGITS:
            raise UsageError(f"{text[:64]!r} is no peer with an account, no transaction's id and no receipt's")
        if len(wanted) == TX_ID_DIGITS and (place := await following.store.find(bytes.fromhex(wanted))) is not None:
            block = await following.store.block(place.height)
            if block is None:
                raise UsageError(f"the block of transaction {wanted} is not kept here any more: ask another node")
            return await self._prove_transaction(following, block, place.place, f"transaction {wanted}")
        return await self._prove_receipt(following, wanted, with_receipt=with_receipt)

    async def _prove_receipt(self, following: Following, text: str, *, with_receipt: bool) -> LedgerProofView:
        """A receipt's rating: what the client signed about it in public."""
        receipt = await find_receipt(self._parts.store.journal, text)
        rated = await find_rating(following.store, receipt)
        if rated is None:
            raise UsageError(
                f"receipt {receipt.digest.hex()[:16]} has no rating on the chain yet: the client promises it in one "
                "epoch and shows it in a later one"
            )
        about = f"rating of receipt {receipt.digest.hex()}"
        view = await self._prove_transaction(following, rated.block, rated.place, about)
        if not with_receipt:
            return view
        parts = (receipt.body, receipt.client_signature, receipt.contractor_signature)
        return msgspec.structs.replace(view, receipt=parts)

    async def _prove_transaction(
        self, following: Following, block: Committed, place: int, about: str
    ) -> LedgerProofView:
        header = block.block.header
        proof = prove_transaction(await _anchor(following, header, block.certificate), block.block.txs, place)
        return _proof_view(following, header, about, proof)

    async def account(self, text: str | None) -> LedgerAccountView:
        """What a peer, or this node, holds on the chain; UsageError when it has no account there."""
        following, own_key = self._community.following, self._parts.identity.public_key
        state = following.state
        keys = {account.key for _, account in state.accounts()}
        key = own_key if text is None else find_peer(text, keys)
        owner = state.account_of(key)
        if owner is None:
            raise UsageError(f"{short_id(key)} has no account on this node's chain: members can admit it")
        account = state.the(Account, account_key(owner))
        deals = await self._parts.env.offload(open_deals, state, owner)
        locked = sum(row.credits for row in deals if row.role == "client")
        can_sign = key == own_key == account.key and account.standing == ACTIVE
        return LedgerAccountView(
            chain=following.machine.chain.hex(),
            height=state.chain.height,
            peer=short_id(account.key),
            did=did_key(account.key),
            standing=STANDINGS[account.standing],
            credits=account.credits,
            bond=account.bond,
            locked_credits=locked,
            has_successor=bool(account.next_key_sha256),
            deals=deals,
            next_sequence=following.author.next_sequence(state) if can_sign else None,
        )

    async def _prove_account(self, following: Following, text: str) -> LedgerProofView:
        state = following.state
        keys = {account.key for _, account in state.accounts()}
        key = parse_did_key(text) if text.startswith("did:") else find_peer(text, keys)
        # Right after a state was fetched there is no block under it, but the header that q members certified.
        last = await following.store.header(state.chain.height)
        if last is None:
            raise UsageError("the chain has no block yet, so nothing that a quorum has signed: try again later")
        proof = prove_account(await _anchor(following, *last), state, key)
        if proof is None:
            raise UsageError(f"{short_id(key)} has no account on this node's chain")
        return _proof_view(following, last[0], f"account {did_key(key)}", proof)

    @property
    def _community(self) -> Community:
        return self._parts.community

    def _followed(self) -> tuple[Standing, Facts, Following]:
        standing, following = self._community.standing, self._community.following
        if standing is None or standing.facts is None:
            raise NotCommittedError((standing.problem if standing else "") or "the ledger is still being read")
        return standing, standing.facts, following


def brief(community: Community) -> LedgerBrief | None:
    """One line about the chain; None when this node is to have none."""
    standing = community.standing
    if standing is None:
        return None
    facts = standing.facts
    problem = standing.problem or ("" if standing.chain else community.why_none)
    if facts is None:
        return LedgerBrief(chain=standing.chain.hex(), name=standing.name, problem=problem)
    return LedgerBrief(
        chain=standing.chain.hex(),
        name=standing.name,
        role=facts.role,
        height=facts.height,
        view=facts.view,
        members=len(facts.members),
        tolerates=facts.tolerates,
        lag=facts.ahead,
        problem=problem,
    )


def open_deals(state: State, owner: AccountId) -> tuple[DealRow, ...]:
    """The deals that an account has a part in, the next to end first."""
    rows = list[DealRow]()
    for key, entry in state.trie.items(b"\x09"):
        if not isinstance(entry, Deal) or entry.stage == CLOSED:
            continue
        client = AccountId(key[1:33])
        roles = {client: "client", entry.contractor: "contractor", entry.arbiter: "arbiter"}
        if owner not in roles:
            continue
        client_key, contractor, arbiter = (
            state.the(Account, account_key(AccountId(one))).key for one in (client, entry.contractor, entry.arbiter)
        )
        row = DealRow(
            deal=key[33:].hex(),
            role=roles[owner],
            client=short_id(client_key),
            client_did=did_key(client_key),
            contractor=short_id(contractor),
            arbiter=short_id(arbiter),
            stage=STAGES[entry.stage],
            credits=entry.credits,
            asked_credits=entry.asked_credits,
            due_unix_ms=entry.due_unix_ms,
        )
        rows.append(row)
    return tuple(sorted(rows, key=lambda row: row.due_unix_ms))


async def _signers(following: Following, height: int) -> tuple[bytes, ...]:
    """Whose COMMITs are under the block of this height; nobody's where there is none."""
    found = await following.store.header(height)
    return () if found is None else tuple(seal.signer for seal in found[1].seals)


async def _anchor(following: Following, header: bytes, certificate: Certificate) -> Anchor:
    return Anchor(header, certificate, await following.store.links(decode_header(header).height))


def _proof_view(following: Following, header: bytes, about: str, proof: bytes) -> LedgerProofView:
    height = decode_header(header).height
    return LedgerProofView(chain=following.machine.chain.hex(), height=height, about=about, proof=proof)
