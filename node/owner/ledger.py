"""The owner's view of the community chain."""

from crypto.identity import did_key, parse_did_key, short_id
from node.community.audit import Audit
from node.community.community import Community, Standing
from node.community.facts import Facts
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.daemon import Parts
from node.errors import UsageError
from node.ledger.chain.proofs import Anchor, prove_account, prove_transaction
from node.owner.names import find_peer
from node.views import (
    LedgerBlocksView,
    LedgerBrief,
    LedgerDoneView,
    LedgerHeadView,
    LedgerMembersView,
    LedgerProofView,
    LedgerVerifyView,
    MemberRow,
)
from protocol.consensus import Committed, decode_header
from protocol.packing import pack

TX_ID_DIGITS = 64


class LedgerDesk:
    """Head, members, verification, blocks and proofs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def head(self) -> LedgerHeadView:
        """Where the chain stands here."""
        standing, facts, following = self._followed()
        last = await following.store.block(facts.height)
        return LedgerHeadView(
            chain=standing.chain.hex(),
            name=standing.name,
            origin=standing.origin,
            role=facts.role,
            height=facts.height,
            block=facts.head.hex(),
            at_unix_ms=facts.time_unix_ms,
            state_root=following.machine.root(following.state).hex(),
            signers=tuple(short_id(seal.signer) for seal in last.certificate.seals) if last else (),
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
        last = await following.store.block(facts.height)
        signers = {seal.signer for seal in last.certificate.seals} if last else set()
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
        """Recompute everything that is stored here from the genesis on, about 0.3 ms a transaction."""
        following = self._community.following
        audit, store = Audit(following.machine), following.store
        entries = await store.state_entries()
        async for page in store.pages():
            if not await self._parts.env.offload(audit.feed, page):
                break
        problem = audit.problem
        if not problem and audit.height == await store.height() and audit.height:
            # Unless blocks came meanwhile, what is kept of the scores has to be what the blocks lead to.
            kept = await store.state_entries()
            if kept == entries and list(audit.state.export()) != kept:
                problem = f"the stored scores are not those that block {audit.height} leads to"
        return LedgerVerifyView(
            ok=not problem,
            chain=following.machine.chain.hex(),
            height=audit.height,
            transactions=audit.transactions,
            block=audit.block.hex(),
            state_root=audit.state_root.hex(),
            problem=problem,
        )

    async def blocks(self, first: int) -> LedgerBlocksView:
        """One page of blocks from `first` on; none beyond the last."""
        following = self._community.following
        page = await following.store.page(first)
        return LedgerBlocksView(
            genesis=following.pinned.genesis.hex(),
            first=first,
            height=page.head_height,
            blocks=tuple(map(pack, page.blocks)),
        )

    async def submit(self, tx: bytes) -> LedgerDoneView:
        """Have a signed transaction committed; NotCommittedError says why it is not."""
        done = await self._community.submit(tx)
        return LedgerDoneView(transaction=done.tx_id.hex(), height=done.height)

    async def prove(self, text: str) -> LedgerProofView:
        """The proof of a transaction (its id in hexadecimal) or of a peer's account; UsageError when there is none."""
        following = self._community.following
        wanted = text.strip().lower()
        if len(wanted) == TX_ID_DIGITS and set(wanted) <= set("0123456789abcdef"):
            return await self._prove_transaction(following, bytes.fromhex(wanted))
        return await self._prove_account(following, text)

    async def _prove_transaction(self, following: Following, tx_id: bytes) -> LedgerProofView:
        place = await following.store.find(tx_id)
        block = await following.store.block(place.height) if place else None
        if place is None or block is None:
            raise UsageError(f"transaction {tx_id.hex()} is not on this node's chain")
        proof = prove_transaction(await _anchor(following, block), block.block.txs, place.place)
        return _proof_view(following, block, f"transaction {tx_id.hex()}", proof)

    async def _prove_account(self, following: Following, text: str) -> LedgerProofView:
        state = following.state
        keys = {account.key for _, account in state.accounts()}
        key = parse_did_key(text) if text.startswith("did:") else find_peer(text, keys)
        block = await following.store.block(state.chain.height)
        if block is None:
            raise UsageError("the chain has no block yet, so nothing that a quorum has signed: try again later")
        proof = prove_account(await _anchor(following, block), state, key)
        if proof is None:
            raise UsageError(f"{short_id(key)} has no account on this node's chain")
        return _proof_view(following, block, f"account {did_key(key)}", proof)

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


async def _anchor(following: Following, block: Committed) -> Anchor:
    links = await following.store.links(decode_header(block.block.header).height)
    return Anchor(block.block.header, block.certificate, links)


def _proof_view(following: Following, block: Committed, about: str, proof: bytes) -> LedgerProofView:
    height = decode_header(block.block.header).height
    return LedgerProofView(chain=following.machine.chain.hex(), height=height, about=about, proof=proof)
