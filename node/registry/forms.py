"""What travels between a registry and those who ask it: JSON around records that their publishers signed.

A registry's own word is only which records it shows and when it last looked in the DHT. Every record is checked by
whoever receives it, so a registry can leave out and cannot make up.
"""

import base64
import binascii
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dht.errors import RemoteDhtError
from dht.records import MAX_RECORD_BYTES, MIN_RECORD_BYTES, Record, open_record
from node.errors import NodeError

RECORDS_PATH: Final = "/registry/v1/records"
NODES_PATH: Final = "/registry/v1/nodes"
ABOUT_PATH: Final = "/registry/v1"
MAX_PAGE_RECORDS: Final = 64
MAX_PUBLISHED: Final = 32
"""Records in one request: nine a ware sold by label and by meaning."""
MAX_PUBLISHED_BYTES: Final = MAX_PUBLISHED * (MAX_RECORD_BYTES + 2)
MAX_ANSWER_BYTES: Final = 2**18
"""A full page has 64 records of 648 bytes in base64: 56 KiB."""

HexKey = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\Z")]
Did = Annotated[str, Meta(max_length=128)]
Moment = Annotated[int, Meta(ge=0, le=2**53)]


class RegistryError(NodeError):
    """A registry cannot be reached, or answered what no registry may."""

    code = "registry"


class _Form(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown fields are ignored: a newer registry may say more."""


class RecordsPage(_Form, frozen=True, kw_only=True):
    """Some of the records under a key, in ring order of their publishers; withdrawals among them."""

    registry: Did
    network: Annotated[str, Meta(max_length=48)]
    key: HexKey
    looked_unix_ms: Moment = 0
    """When it last asked the DHT for this key: it claims to show all published by then. 0: it claims nothing."""
    total: Annotated[int, Meta(ge=0)]
    records: Annotated[tuple[Annotated[str, Meta(max_length=1024)], ...], Meta(max_length=MAX_PAGE_RECORDS)]
    next: HexKey | None = None
    """The ring position after which the next page begins; None on the last."""


class Outcomes(_Form, frozen=True, kw_only=True):
    """What became of each published record, in order: stored, outdated, full, or refused with its reason."""

    outcomes: Annotated[tuple[Annotated[str, Meta(max_length=300)], ...], Meta(max_length=MAX_PUBLISHED)]


class About(_Form, frozen=True, kw_only=True):
    """A registry's answer to who it is."""

    registry: Did
    network: str
    version: str
    records: int
    publishers: int


class Reputation(_Form, frozen=True, kw_only=True):
    """What a community chain comes to for a node, as the registry reads it, in a JWS: it stands by its reading."""

    sub: Did
    chain: str
    height: int
    day: int
    good_ppm: int
    """Jobs that ended well, decayed to that day, in millionths of a job."""
    bad_ppm: int
    ratings: int
    disputed: int
    unrated: int


class NodeFacts(_Form, frozen=True, kw_only=True):
    """What a registry has of one node."""

    did: Did
    skills: tuple[str, ...]
    """Labels and captions of what it offers, by the adverts that it signed."""
    endpoints: tuple[str, ...]
    certificates_sha256: tuple[str, ...]
    """Digests that its adverts name: of the tokens that it shows when asked."""
    reputation: str = ""
    """A JWS of the registry's over a `Reputation`; empty where no chain is followed or the node has no account."""


def encode_record(record: Record) -> str:
    """A record in JSON."""
    return base64.b64encode(record.raw).decode()


def decode_page(data: bytes, key: bytes) -> RecordsPage:
    """A page about `key`; RegistryError for anything else."""
    try:
        page = msgspec.json.decode(data, type=RecordsPage)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RegistryError(f"this is no page of records: {error}") from error
    if page.key != key.hex():
        raise RegistryError(f"it answered about {page.key[:8]}, not {key.hex()[:8]}")
    return page


def opened(page: RecordsPage, key: bytes, now_unix_ms: int) -> tuple[list[Record], int]:
    """The records of a page that hold, and how many do not: forged, expired, or of another key."""
    found, refused = [], 0
    for text in page.records:
        try:
            record = open_record(base64.b64decode(text, validate=True), now_unix_ms)
        except (RemoteDhtError, binascii.Error, ValueError):
            refused += 1
            continue
        if record.key == key:
            found.append(record)
        else:
            refused += 1
    return found, refused


def pack_records(raws: list[bytes]) -> bytes:
    """Records for publication, each after its length in two bytes."""
    return b"".join(len(raw).to_bytes(2, "big") + raw for raw in raws)


def unpack_records(data: bytes) -> list[bytes]:
    """The records in a request's body; RegistryError where it is cut, too long, or holds none."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        raw = data[at + 2 : at + 2 + length]
        if len(raw) < length or not MIN_RECORD_BYTES <= length <= MAX_RECORD_BYTES:
            raise RegistryError(
                f"record {len(found) + 1} is cut or has {length} bytes: each has {MIN_RECORD_BYTES} to "
                f"{MAX_RECORD_BYTES}, after its length in two bytes"
            )
        found.append(raw)
        at += 2 + length
    if not 1 <= len(found) <= MAX_PUBLISHED:
        raise RegistryError(f"{len(found)} records in one request: send 1 to {MAX_PUBLISHED}")
    return found
