"""The one place where a peer's request finds its handler."""

import structlog

from node.community.community import Community
from node.credentials.proofs import Proofs
from node.errors import NodeError
from node.net.errors import Refusal
from node.net.session import Call
from node.outsource.contractor.contractor import Contractor
from node.outsource.contractor.countersigner import Countersigner
from node.outsource.contractor.quotedesk import QuoteDesk
from node.outsource.settlement.steward import Steward
from protocol.messages import (
    Answer,
    AtLeastRequest,
    AttestationRequest,
    AttestationStep,
    Award,
    CertificatesRequest,
    DealExhibit,
    FaultNotice,
    GenesisRequest,
    InputPart,
    LedgerBatch,
    Message,
    Ok,
    Ping,
    Pong,
    QuoteRequest,
    ReceiptOffer,
    RevocationsRequest,
)

log = structlog.get_logger()


class Router:
    """Routes what any peer may ask of this node."""

    def __init__(
        self,
        desk: QuoteDesk,
        contractor: Contractor,
        countersigner: Countersigner,
        community: Community,
        steward: Steward | None,
        proofs: Proofs,
    ) -> None:
        """`steward` None: this node settles nothing on its chain, and judges nobody's deals."""
        self._desk = desk
        self._contractor = contractor
        self._countersigner = countersigner
        self._community = community
        self._steward = steward
        self._proofs = proofs

    async def handle(self, call: Call) -> Message:
        """The final answer to one request; Refusal for what cannot be asked, or cannot be done now."""
        try:
            return await self._answer(call)
        except NodeError as error:
            # What it says is for the owner: it names files of this machine.
            log.warning("request.failed", message=type(call.body).__name__, code=error.code, error=str(error))
            raise Refusal(error.code, "this node cannot do that now") from error

    async def _answer(self, call: Call) -> Message:
        match call.body:
            case Ping():
                return Pong()
            case QuoteRequest() as request:
                return await self._desk.answer(call.peer_key, request)
            case Award() as award:
                return await self._contractor.work(call, award)
            case InputPart() as part:
                self._contractor.intake.add(call.peer_key, part)
                return Ok()
            case Answer() as answer:
                self._contractor.intake.answer(call.peer_key, answer)
                return Ok()
            case ReceiptOffer() as offer:
                signed = await self._countersigner.countersign(call.peer_key, offer)
                self._community.dealt_with(call.peer_key)
                return signed
            case FaultNotice() as notice:
                await self._countersigner.take_notice(call.peer_key, notice)
                return Ok()
            case LedgerBatch() as batch:
                return self._community.take(call.peer_key, batch)
            case GenesisRequest():
                return self._community.genesis()
            case CertificatesRequest() as request:
                return await self._proofs.desk.certificates(request)
            case RevocationsRequest():
                return await self._proofs.desk.revocations()
            case AtLeastRequest() as request:
                return await self._proofs.desk.at_least(call, request)
            case AttestationRequest() as request:
                return await self._proofs.attested.begin(call, request)
            case AttestationStep() as step:
                return await self._proofs.attested.step(call, step)
            case DealExhibit() as shown:
                why = await self._steward.take_exhibit(call.peer_key, shown) if self._steward else "I judge no deals"
                if why:
                    raise Refusal("no_arbiter", why)
                return Ok()
            case other:
                raise Refusal("unexpected", f"a {type(other).__name__} is not a request")
