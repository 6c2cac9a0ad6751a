"""The part of the memory node that is about its community chain."""

from node.views import (
    DealRow,
    LedgerAccountView,
    LedgerBlocksView,
    LedgerDoneView,
    LedgerHeadView,
    LedgerMembersView,
    LedgerProofView,
    LedgerVerifyView,
    MemberRow,
    SaidRow,
    TrustView,
)

NOW_UNIX_MS = 1_790_000_000_000
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


class MemoryLedger:
    """A chain that stands still."""

    async def ledger_head(self) -> LedgerHeadView:
        return LedgerHeadView(
            chain="ab" * 32,
            name="a test \x1b[31m",
            origin="a genesis file",
            role="member",
            height=12,
            block="cd" * 32,
            at_unix_ms=NOW_UNIX_MS,
            state_root="ef" * 32,
            signers=("k7m2qfab", "aaaaaaaa", "bbbbbbbb"),
            view=1,
            stage="idle",
            primary="k7m2qfab",
            members=4,
            quorum=3,
            tolerates=1,
            waiting=2,
            lag=0,
            dropped=0,
        )

    async def ledger_members(self) -> LedgerMembersView:
        row = MemberRow(member="k7m2qfab", did=DID, is_primary=True, is_self=False, signed_last=True, unreachable=False)
        return LedgerMembersView(chain="ab" * 32, height=12, quorum=1, tolerates=0, members=(row,))

    async def ledger_verify(self) -> LedgerVerifyView:
        return LedgerVerifyView(
            ok=True, chain="ab" * 32, height=12, transactions=30, block="cd" * 32, state_root="ef" * 32
        )

    async def ledger_blocks(self, first: int, /) -> LedgerBlocksView:
        blocks = (b"block",) if first == 1 else ()
        return LedgerBlocksView(genesis="00", first=first, kept_from=1, height=1, blocks=blocks)

    async def ledger_account(self, peer: str | None, /) -> LedgerAccountView:
        deal = DealRow(
            deal="07" * 32,
            role="client",
            client="k7m2qfab",
            client_did=DID,
            contractor="aaaaaaaa",
            arbiter="bbbbbbbb",
            stage="submitted",
            credits=300,
            asked_credits=250,
            due_unix_ms=NOW_UNIX_MS,
        )
        return LedgerAccountView(
            chain="ab" * 32,
            height=12,
            peer=peer or "k7m2qfab",
            did=DID,
            standing="active",
            credits=700,
            bond=100,
            locked_credits=300,
            has_successor=False,
            deals=(deal,),
            next_sequence=4,
        )

    async def ledger_proof(self, what: str, /, *, with_receipt: bool = False) -> LedgerProofView:
        return LedgerProofView(chain="ab" * 32, height=12, about=f"account {what}", proof=b"proof")

    async def ledger_submit(self, tx: bytes, /) -> LedgerDoneView:
        return LedgerDoneView(transaction=tx.hex(), height=13)

    async def trust(self, peer: str, /) -> TrustView:
        said = SaidRow(
            client="aaaaaaaa",
            successes=1.5,
            failures=0.5,
            ratings=2,
            explored=0,
            disputed=1,
            unrated=0,
            belief_ppm=None,
        )
        return TrustView(
            peer=peer[:8],
            did=DID,
            is_active=True,
            height=12,
            kept_ppm=900_000,
            ratings=2,
            explored=0,
            disputed=1,
            unrated=0,
            bond=100,
            successes=1.5,
            failures=0.5,
            level_1_ppm=625_000,
            level_1_low_ppm=250_000,
            as_printed_ppm=600_000,
            level_2_ppm=None,
            fell_back=False,
            anchors=(),
            said=(said,),
            own_jobs=3,
            own_successes=2,
        )
