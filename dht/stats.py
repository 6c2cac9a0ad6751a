"""What discovery counts, for metrics and for a person who asks why nothing is found."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class DhtStats:
    """Totals since the start, one instance a node."""

    sent: int = 0
    """Datagrams sent, retransmissions and answers included."""
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    retransmitted: int = 0
    lost: int = 0
    """Requests without an answer within the hard time-out."""
    lookups: int = 0
    sweeps: int = 0
    """Look-ups that found a region crowded, and looked at it from several sides."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Datagrams that were dropped, by reason: malformed, wrong_network, wrong_version, unknown_kind, stale,
    misdirected, unsolicited, spoofed (a signature that does not hold), throttled, crowded (too many checks)."""
    refused_records: Counter[str] = field(default_factory=Counter)
    """Records from answers and stores that were refused, by reason."""
