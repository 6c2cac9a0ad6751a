"""One object with every call of the control API; each is one line around the desk that knows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from node.daemon import Daemon
from node.owner.doctor import Doctor
from node.owner.examiner import Examiner
from node.owner.ledger import LedgerDesk
from node.owner.market import MarketDesk
from node.owner.network import Network
from node.owner.priors import PriorsDesk
from node.owner.proofs import ProofDesk
from node.owner.records import Records
from node.owner.status import StatusDesk
from node.owner.tasks import TaskDesk
from node.owner.trust import TrustDesk
from node.tasks.lifecycle import TaskState
from node.views import (
    AskRequest,
    AtLeastView,
    AttestationView,
    BuyPriorsRequest,
    CertificatesView,
    CertifyRequest,
    CredentialView,
    DecisionView,
    DoctorView,
    EventView,
    ExaminedView,
    JournalEntryView,
    JournalView,
    LeakRequest,
    LeakView,
    LedgerAccountView,
    LedgerBlocksView,
    LedgerDoneView,
    LedgerHeadView,
    LedgerMembersView,
    LedgerProofView,
    LedgerVerifyView,
    MarketView,
    MatchesView,
    OffersView,
    OfferView,
    OkView,
    PeersView,
    PingView,
    PriorsView,
    ReceiptView,
    ReplayView,
    SellersView,
    SellRequest,
    SkillsView,
    SkillTestRequest,
    SkillTestView,
    StatusView,
    TasksView,
    TaskView,
    TrustView,
    VerifyView,
    WhyView,
)


class Owner:
    """The node's owner, at the control socket. Every call may raise NodeError."""

    def __init__(
        self,
        daemon: Daemon,
        *,
        status: StatusDesk,
        network: Network,
        doctor: Doctor,
        reload: Callable[[], Awaitable[str]],
    ) -> None:
        parts = daemon.parts
        self._daemon = daemon
        self._status = status
        self._network = network
        self._doctor = doctor
        self._market = MarketDesk(parts)
        self._records = Records(parts)
        self._tasks = TaskDesk(parts, self._records)
        self._ledger = LedgerDesk(parts)
        self._trust = TrustDesk(parts)
        self._proofs = ProofDesk(parts, network.keys)
        self._examiner = Examiner(parts, network.keys)
        self._priors = PriorsDesk(parts, network.keys)
        self._reload = reload

    # A line a method: the names and the views say it all.
    # fmt: off
    def is_ready(self) -> bool: return self._daemon.is_ready
    def metrics(self) -> bytes: return self._status.metrics()
    async def status(self) -> StatusView: return await self._status.status()
    async def skills(self) -> SkillsView: return await self._status.skills()
    async def doctor(self) -> DoctorView: return await self._doctor.examine()
    async def peers(self) -> PeersView: return await self._network.peers()
    async def ping(self, peer: str) -> PingView: return await self._network.ping(peer)
    async def block(self, peer: str) -> OkView: return await self._network.block(peer)
    async def unblock(self, peer: str) -> OkView: return await self._network.unblock(peer)
    async def find_skill(self, label: str, *, max_price_micro: int | None = None) -> SellersView:
        return await self._network.sellers(label, max_price_micro)
    async def find_meaning(
        self,
        text: str,
        *,
        max_price_micro: int | None = None,
        min_trust_ppm: int = 0,
        needs: Sequence[str] = (),
    ) -> MatchesView:
        return await self._network.matches(text, max_price_micro, min_trust_ppm, needs)
    async def market(self, skill: str | None) -> MarketView: return await self._market.market(skill)
    async def priors(self, skill: str | None) -> PriorsView: return await self._priors.listed(skill)
    async def buy_priors(self, request: BuyPriorsRequest) -> PriorsView: return await self._priors.buy(request)
    async def sell(self, request: SellRequest) -> OfferView: return await self._daemon.parts.sales.sell(request)
    async def offers(self) -> OffersView: return await self._daemon.parts.sales.offers()
    async def decide(self, request: AskRequest) -> DecisionView: return await self._tasks.decide(request)
    def ask(self, request: AskRequest) -> AsyncIterator[EventView]: return self._tasks.ask(request)
    async def tasks(self, *, limit: int, state: TaskState | None = None) -> TasksView:
        return await self._tasks.listed(limit=limit, state=state)
    async def task(self, task_id: str) -> TaskView: return await self._tasks.one(task_id)
    def watch(self, task_id: str) -> AsyncIterator[EventView]: return self._tasks.watch(task_id)
    async def cancel(self, task_id: str) -> TaskView: return await self._tasks.cancel(task_id)
    async def answer(self, task_id: str, text: str) -> TaskView: return await self._tasks.answer(task_id, text)
    async def result(self, task_id: str) -> tuple[bytes, str]: return await self._tasks.result(task_id)
    async def replay(self, task_id: str, *, number: int | None, what_if: Sequence[str]) -> ReplayView:
        return await self._tasks.replay(task_id, number=number, what_if=what_if)
    async def why(self, task_id: str) -> WhyView: return await self._tasks.why(task_id)
    async def receipt(self, task_id: str) -> ReceiptView: return await self._records.receipt(task_id)
    async def journal_tail(self, limit: int) -> JournalView: return await self._records.tail(limit)
    async def journal_show(self, height: int) -> JournalEntryView: return await self._records.show(height)
    async def journal_verify(self) -> VerifyView: return await self._records.verify()
    async def ledger_head(self) -> LedgerHeadView: return await self._ledger.head()
    async def ledger_members(self) -> LedgerMembersView: return await self._ledger.members()
    async def ledger_verify(self) -> LedgerVerifyView: return await self._ledger.verify()
    async def ledger_blocks(self, first: int) -> LedgerBlocksView: return await self._ledger.blocks(first)
    async def ledger_proof(self, what: str, *, with_receipt: bool = False) -> LedgerProofView:
        return await self._ledger.prove(what, with_receipt=with_receipt)
    async def ledger_account(self, peer: str | None) -> LedgerAccountView: return await self._ledger.account(peer)
    async def ledger_submit(self, tx: bytes) -> LedgerDoneView: return await self._ledger.submit(tx)
    async def trust(self, peer: str) -> TrustView: return await self._trust.show(peer)
    async def certificates(self, peer: str) -> CertificatesView: return await self._proofs.certificates(peer)
    async def certify(self, request: CertifyRequest) -> CredentialView: return await self._proofs.certify(request)
    async def keep_credential(self, document: str) -> OkView: return await self._proofs.keep(document)
    async def revoke_certificate(self, serial: str) -> OkView: return await self._proofs.revoke(serial)
    async def at_least(self, peer: str, name: str, amount: int, *, hidden: bool) -> AtLeastView:
        return await self._proofs.at_least(peer, name, amount, hidden=hidden)
    async def attest(self, peer: str, *, size: int, rounds: int, memory_mib: int) -> AttestationView:
        return await self._proofs.attest(peer, size=size, rounds=rounds, memory_mib=memory_mib)
    async def examined(self, peer: str) -> ExaminedView: return await self._examiner.examined(peer)
    async def test_skill(self, request: SkillTestRequest) -> SkillTestView: return await self._examiner.test(request)
    async def report_leak(self, request: LeakRequest) -> LeakView: return await self._examiner.report_leak(request)
    def events(self) -> AsyncIterator[EventView]: return self._daemon.parts.hub.stream()
    # fmt: on

    async def unsell(self, label: str) -> OkView:
        """Take a skill off sale."""
        await self._daemon.parts.sales.unsell(label)
        return OkView(text=f"{label} is no longer on sale")

    async def reload(self) -> OkView:
        """Read the configuration again."""
        return OkView(text=await self._reload())

    async def stop(self, *, drain: bool) -> OkView:
        """Ask the node to end."""
        self._daemon.ask_to_stop(drain=drain)
        return OkView(text="stopping once running work has ended" if drain else "stopping now")
