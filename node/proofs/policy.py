"""Whom this node believes for what: nobody, until its owner says so. A signature shows who speaks, not what is true."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec
from msgspec import Meta

from crypto.identity import did_key, parse_did_key, short_id
from node.proofs.errors import ProofError


class ProofsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificates, and what this node shows about itself."""

    attesters: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    """Whom to believe for what: "did:key:z6Mk... skill:* resource:memory_gib", patterns of what a statement is about.
    A node that is not named here is believed nothing, and one named without patterns everything."""
    questions_per_day: Annotated[int, Meta(ge=0, le=10_000)] = 16
    """How many "at least X" one peer may ask for in 24 hours. Tiers bound what all askers together can learn."""
    proof_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """For one range proof in the worker process: plain Python takes a fifth of a second on a quiet core."""

    def __post_init__(self) -> None:
        read_attesters(self.attesters)


@dataclass(frozen=True, slots=True)
class Attester:
    """A key, and the patterns of what it is believed for."""

    key: bytes
    patterns: tuple[str, ...]


def read_attesters(lines: tuple[str, ...]) -> tuple[Attester, ...]:
    """The attesters of the setting; ValueError for a line that names no key or a pattern of nothing."""
    made = []
    for line in lines:
        did, *patterns = line.split()
        for pattern in patterns:
            if not pattern.startswith(("skill:", "resource:", "*")):
                raise ValueError(f"attesters: {pattern!r} names no statement: write skill:LABEL or resource:NAME")
        try:
            made.append(Attester(parse_did_key(did), tuple(patterns) or ("*",)))
        except ValueError as error:
            raise ValueError(f"attesters: {error}") from error
    return tuple(made)


def check_believed(attesters: tuple[Attester, ...], issuer: bytes, about: str) -> None:
    """ProofError unless the owner believes `issuer` about this, e.g. `resource:memory_gib`."""
    for attester in attesters:
        if attester.key == issuer and any(fnmatchcase(about, pattern) for pattern in attester.patterns):
            return
    raise ProofError(
        "not_believed",
        f"{short_id(issuer)} is not among those believed for {about}: "
        f'to believe it, add "{did_key(issuer)} {about}" to proofs.attesters',
    )
