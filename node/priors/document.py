"""The market prior: what a market maker's probes came to, seller by seller, for one skill; signed.

A JWS over canonical JSON like a certificate (node/proofs), `typ` coalesced-market-prior+jwt. Behind every count stand
leaves of an RFC 9162 tree: receipts that the seller countersigned, or fault reports that the maker alone signed. A
seller's leaves lie together: first its accepted work, then its refused work, then its faults, so that each place in the
tree says what must be there, and any leaf that is opened can be held against it.

    leaf = "coalesced/prior-leaf/1" 00 | "receipt" or "fault" | 00 | the journal's record of it

There is one document a skill, the same for every buyer. A later one has a later `iat`.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from crypto.identity import Identity, did_key
from crypto.jcs import canonical
from crypto.jws import sign_compact
from node.decision.reliability import DECAY_PER_MONTH, MONTH_MS
from node.proofs.certificate import MAX_LEAVES, Did, Seconds, Tree, tree_of
from protocol.fields import Label, Micro, Millis
from protocol.signed import Network

PRIOR_TYP: Final = "coalesced-market-prior+jwt"
SKILL: Final = "market-prior"
"""What documents are sold as."""
MAX_ROWS: Final = 256
MAX_LIFE_S: Final = 7 * 86_400
PPM: Final = 1_000_000
MILLI: Final = 1000
_DOMAIN: Final = b"coalesced/prior-leaf/1\x00"
_KINDS: Final = ("receipt", "fault")

Ending = Literal["good", "bad", "fault"]
"""Accepted, with a receipt; refused, with a receipt; anything else that went wrong, by the maker's word."""
ENDINGS: Final[tuple[Ending, ...]] = ("good", "bad", "fault")
Leaves = Annotated[int, Meta(ge=0, le=MAX_LEAVES)]
Count = Annotated[int, Meta(ge=0, le=MAX_LEAVES * MILLI)]
Ratio = Annotated[int, Meta(ge=0, le=10**12)]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one probe, with the journal's record of it."""

    seller: bytes
    skill: Label
    unix_ms: int
    ending: Ending
    record: bytes
    quoted_micro: Micro = 0
    billed_micro: Micro = 0
    promised_ms: Millis = 0
    """What the quote said that the work takes; 0 where that is not known."""
    took_ms: Millis = 0


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What probes of one seller came to. `start` is its first leaf."""

    sub: Did
    start: Leaves
    good: Leaves
    bad: Leaves
    faults: Leaves
    good_milli: Count
    """Thousandths: each probe weighs less the older it is (COALESCE eq. 14 on counts), as of `iat`."""
    bad_milli: Count
    """Refused work and faults together."""
    billed_ppm: Ratio | None = None
    """What accepted work was billed at over what was quoted."""
    latency_ppm: Ratio | None = None
    """Median (the upper of two) of how long it took over what the quote said."""
    first_unix_s: Seconds
    last_unix_s: Seconds

    @property
    def leaves(self) -> int:
        """How many leaves are this seller's."""
        return self.good + self.bad + self.faults

    def ending(self, leaf: int) -> Ending:
        """What stands at a leaf of this seller's."""
        place = leaf - self.start
        return "good" if place < self.good else "bad" if place < self.good + self.bad else "fault"


class Prior(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a maker signed."""

    iss: Did
    iat: Seconds
    exp: Seconds
    network: Network
    skill: Label
    tree: Tree
    rows: Annotated[tuple[Row, ...], Meta(min_length=1, max_length=MAX_ROWS)]

    def row_of_leaf(self, leaf: int) -> Row | None:
        """Whose leaf that is."""
        return next((row for row in self.rows if row.start <= leaf < row.start + row.leaves), None)

    def row_of(self, seller: bytes) -> Row | None:
        """What is said of one seller."""
        did = did_key(seller)
        return next((row for row in self.rows if row.sub == did), None)


@dataclass(frozen=True, slots=True)
class Made:
    """A signed document with its leaves, for whoever asks to see some."""

    token: str
    prior: Prior
    leaves: tuple[bytes, ...]


def make(
    maker: Identity, *, network: str, skill: str, probes: Iterable[Probe], now_unix_ms: int, life_s: int
) -> Made | None:
    """The document over these probes of one skill, the newest where they are too many; None where there are none."""
    newest = sorted(probes, key=lambda probe: -probe.unix_ms)[:MAX_LEAVES]
    sellers = list(dict.fromkeys(probe.seller for probe in newest))[:MAX_ROWS]
    if not sellers:
        return None
    rows, leaves = [], list[bytes]()
    for seller in sellers:
        of_seller = [probe for probe in newest if probe.seller == seller]
        rows.append(_row(of_seller, len(leaves), now_unix_ms))
        ordered = sorted(of_seller, key=lambda probe: ENDINGS.index(probe.ending))
        leaves += [encode_leaf(probe.ending, probe.record) for probe in ordered]
    prior = Prior(
        iss=did_key(maker.public_key),
        iat=now_unix_ms // 1000,
        exp=now_unix_ms // 1000 + life_s,
        network=network,
        skill=skill,
        tree=tree_of(leaves),
        rows=tuple(rows),
    )
    token = sign_compact(maker, canonical(msgspec.to_builtins(prior)), typ=PRIOR_TYP)
    return Made(token, prior, tuple(leaves))


def encode_leaf(ending: Ending, record: bytes) -> bytes:
    """A leaf of the tree."""
    return _DOMAIN + (b"fault" if ending == "fault" else b"receipt") + b"\x00" + record


def decode_leaf(leaf: bytes) -> tuple[str, bytes]:
    """Which kind of record a leaf holds, and that record; ValueError for what is no leaf of a prior."""
    kind, mark, record = leaf.removeprefix(_DOMAIN).partition(b"\x00")
    if not leaf.startswith(_DOMAIN) or not mark or kind.decode("ascii", "replace") not in _KINDS:
        raise ValueError("this is no leaf of a market prior")
    return kind.decode("ascii"), record


def record_digest(record: bytes) -> bytes:
    """What a record is known by: one receipt may stand at one leaf only."""
    return hashlib.sha256(record).digest()


def decay(unix_ms: int, now_unix_ms: int) -> float:
    """What a probe of then weighs now: e^(-lambda * months). A clock that went backwards changes nothing."""
    return math.exp(-DECAY_PER_MONTH * max(0, now_unix_ms - unix_ms) / MONTH_MS)


def _row(probes: Sequence[Probe], start: int, now_unix_ms: int) -> Row:
    def decayed(*endings: Ending) -> int:
        weights = (decay(probe.unix_ms, now_unix_ms) for probe in probes if probe.ending in endings)
        return math.floor(MILLI * math.fsum(weights))

    def number(ending: Ending) -> int:
        return sum(probe.ending == ending for probe in probes)

    accepted = [probe for probe in probes if probe.ending == "good"]
    quoted, billed = sum(one.quoted_micro for one in accepted), sum(one.billed_micro for one in accepted)
    delays = [PPM * one.took_ms // one.promised_ms for one in accepted if one.promised_ms]
    return Row(
        sub=did_key(probes[0].seller),
        start=start,
        good=number("good"),
        bad=number("bad"),
        faults=number("fault"),
        good_milli=decayed("good"),
        bad_milli=decayed("bad", "fault"),
        billed_ppm=PPM * billed // quoted if quoted else None,
        latency_ppm=sorted(delays)[len(delays) // 2] if delays else None,
        first_unix_s=min(probe.unix_ms for probe in probes) // 1000,
        last_unix_s=max(probe.unix_ms for probe in probes) // 1000,
    )
