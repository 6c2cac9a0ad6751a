"""What a node shows and is asked through its control API, as frozen values.

Every view is one JSON object whose "schema" is `coalesced.<name>/1`; a field is only ever added, or the number
changes. Money is integer micro-dollars, ratios are parts per million, moments are Unix milliseconds, durations
are seconds. A peer is named by its short id (eight base32 characters); its key is a did:key. Text that came
from a peer is carried as it is: whoever draws it must escape it.
"""

from node.views.asking import AskRequest, InputFile
from node.views.base import (
    ENDING_EVENTS,
    CheckStatus,
    ErrorView,
    EventName,
    OkView,
    Part,
    Preference,
    Problem,
    Side,
    View,
)
from node.views.decisions import DecisionView, OptionRow, ReplayView
from node.views.journal import JournalEntryView, JournalRow, JournalView, VerifyView
from node.views.ledger import (
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
from node.views.market import (
    MarketFlag,
    MarketRow,
    MarketView,
    OffersView,
    OfferView,
    PeerRow,
    PeersView,
    PingView,
    SellerRow,
    SellersView,
    SellRequest,
    ShareRow,
    SkillRow,
    SkillsView,
)
from node.views.models import ModelKind, ModelSource, TokenRate
from node.views.node import Check, DoctorView, StatusView
from node.views.tasks import EventView, ReceiptView, ResultInfo, TaskError, TasksView, TaskView, TimelineRow, WhyView
from node.views.trust import AnchorRow, SaidRow, TrustView

__all__ = [
    "ENDING_EVENTS",
    "AnchorRow",
    "AskRequest",
    "Check",
    "CheckStatus",
    "DealRow",
    "DecisionView",
    "DoctorView",
    "ErrorView",
    "EventName",
    "EventView",
    "InputFile",
    "JournalEntryView",
    "JournalRow",
    "JournalView",
    "LedgerAccountView",
    "LedgerBlocksView",
    "LedgerBrief",
    "LedgerDoneView",
    "LedgerHeadView",
    "LedgerMembersView",
    "LedgerProofView",
    "LedgerVerifyView",
    "MarketFlag",
    "MarketRow",
    "MarketView",
    "MemberRow",
    "ModelKind",
    "ModelSource",
    "OfferView",
    "OffersView",
    "OkView",
    "OptionRow",
    "Part",
    "PeerRow",
    "PeersView",
    "PingView",
    "Preference",
    "Problem",
    "ReceiptView",
    "ReplayView",
    "ResultInfo",
    "SaidRow",
    "SellRequest",
    "SellerRow",
    "SellersView",
    "ShareRow",
    "Side",
    "SkillRow",
    "SkillsView",
    "StatusView",
    "TaskError",
    "TaskView",
    "TasksView",
    "TimelineRow",
    "TokenRate",
    "TrustView",
    "VerifyView",
    "View",
    "WhyView",
]
