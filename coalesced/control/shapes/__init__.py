"""The JSON of the control API as types, for code that must not import the node's own packages.

node/views, split alike, says what each field means; a test holds the two together, field by field.
"""

from coalesced.control.shapes.asking import AskRequest, InputFile
from coalesced.control.shapes.base import Error, Ok, Problem
from coalesced.control.shapes.decisions import Decision, OptionRow, Replay
from coalesced.control.shapes.journal import Journal, JournalEntry, JournalRow, Verify
from coalesced.control.shapes.ledger import (
    DealRow,
    LedgerAccount,
    LedgerBlocks,
    LedgerBrief,
    LedgerDone,
    LedgerHead,
    LedgerMembers,
    LedgerProof,
    LedgerVerify,
    MemberRow,
)
from coalesced.control.shapes.market import (
    Market,
    MarketFlag,
    MarketRow,
    Offer,
    Offers,
    PeerRow,
    Peers,
    Ping,
    SellerRow,
    Sellers,
    SellRequest,
    ShareRow,
    SkillRow,
    Skills,
)
from coalesced.control.shapes.models import ModelSource, TokenRate
from coalesced.control.shapes.node import Check, Doctor, Status
from coalesced.control.shapes.proofs import (
    AtLeast,
    Attestation,
    CertificateRow,
    Certificates,
    CertifyRequest,
    Credential,
    KeepRequest,
    StatementRow,
)
from coalesced.control.shapes.tasks import Event, Receipt, ResultInfo, Task, TaskError, Tasks, TimelineRow, Why
from coalesced.control.shapes.trust import AnchorRow, SaidRow, Trust

__all__ = [
    "AnchorRow",
    "AskRequest",
    "AtLeast",
    "Attestation",
    "CertificateRow",
    "Certificates",
    "CertifyRequest",
    "Check",
    "Credential",
    "DealRow",
    "Decision",
    "Doctor",
    "Error",
    "Event",
    "InputFile",
    "Journal",
    "JournalEntry",
    "JournalRow",
    "KeepRequest",
    "LedgerAccount",
    "LedgerBlocks",
    "LedgerBrief",
    "LedgerDone",
    "LedgerHead",
    "LedgerMembers",
    "LedgerProof",
    "LedgerVerify",
    "Market",
    "MarketFlag",
    "MarketRow",
    "MemberRow",
    "ModelSource",
    "Offer",
    "Offers",
    "Ok",
    "OptionRow",
    "PeerRow",
    "Peers",
    "Ping",
    "Problem",
    "Receipt",
    "Replay",
    "ResultInfo",
    "SaidRow",
    "SellRequest",
    "SellerRow",
    "Sellers",
    "ShareRow",
    "SkillRow",
    "Skills",
    "StatementRow",
    "Status",
    "Task",
    "TaskError",
    "Tasks",
    "TimelineRow",
    "TokenRate",
    "Trust",
    "Verify",
    "Why",
]
