""" "At least X" of a resource, without saying how much.

By a tier leaf: the issuer signed, for every tier, whether it is met; showing one leaf shows one tier. By a range proof:
the issuer signed a Pedersen commitment to the figure, and the subject proves that the figure less X is not negative,
for one host or for the sum over several. A range proof is made for one question: it names certificates, resource,
threshold, prover, verifier, session and nonce, and proves nothing to anybody else or a second time.

What is hidden stays hidden; what is true, only the issuer has seen.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crypto.bulletproofs import RangeProofError, prove, verify
from crypto.group import Group
from crypto.merlin import Transcript
from crypto.pedersen import add_commitments
from crypto.ristretto import ORDER, RistrettoError
from node.proofs.certificate import Certificate, Disclosed, check_disclosed
from node.proofs.errors import ProofError
from node.proofs.leaves import CommitmentStatement, TierStatement
from node.proofs.tiers import check_tier

BITS: Final = 32
"""Of the difference that is proved not to be negative; figures have 31, sums of a few hosts 32 and a bit."""
MAX_HOSTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, by whom, of whom, where and when: what an answer is bound to."""

    name: str
    at_least: int
    prover: bytes
    verifier: bytes
    session_hash: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One host's share of an answer: its certificate, the token that it was read from, and one leaf."""

    token: str
    certificate: Certificate
    shown: Disclosed


@dataclass(frozen=True, slots=True)
class Opening:
    """The secret behind a commitment leaf: what its issuer told the subject, and nobody else knows."""

    value: int
    blinding: int


def check_tier_leaf(question: Question, part: Part) -> None:
    """ProofError unless the leaf says that this very tier is met."""
    check_tier(question.name, question.at_least)
    statement = check_disclosed(part.certificate, part.shown)
    if not isinstance(statement, TierStatement) or statement.name != question.name:
        raise ProofError("bad_proof", f"the leaf that was shown is not about {question.name}")
    if statement.at_least != question.at_least:
        raise ProofError("bad_proof", f"the leaf is of the tier {statement.at_least}, asked was {question.at_least}")
    if not statement.met:
        raise ProofError("below", f"its {question.name} is below {question.at_least}, says its issuer")


def prove_range(
    group: Group, question: Question, tokens: Sequence[str], openings: Sequence[Opening], entropy: bytes
) -> bytes:
    """A proof that what is committed to in all is at least X; ProofError("below") when it is less."""
    total = sum(opening.value for opening in openings)
    if total < question.at_least:
        raise ProofError("below", f"this node does not have {question.at_least} of {question.name}")
    blinding = sum(opening.blinding for opening in openings) % ORDER
    transcript = _transcript(question, tokens)
    try:
        return prove(group, transcript, total - question.at_least, blinding, bits=BITS, entropy=entropy)
    except RangeProofError as error:
        raise ProofError("bad_proof", str(error)) from error


def check_range(group: Group, question: Question, parts: Sequence[Part], proof: bytes) -> None:
    """ProofError unless the proof holds for this question and the commitments in these certificates.

    That the certificates are about the prover, of today and believed is checked apart (node/proofs/certificate).
    """
    check_tier(question.name, question.at_least)
    if not 1 <= len(parts) <= MAX_HOSTS:
        raise ProofError("malformed", f"an answer is about 1 to {MAX_HOSTS} hosts, not {len(parts)}")
    statements = [check_disclosed(part.certificate, part.shown) for part in parts]
    points, hosts = [], set()
    for statement in statements:
        if not isinstance(statement, CommitmentStatement) or statement.name != question.name:
            raise ProofError("bad_proof", f"a leaf that was shown is no commitment to {question.name}")
        points.append(bytes.fromhex(statement.point))
        hosts.add(statement.host)
    if len({part.certificate.iss for part in parts}) > 1 or len(hosts) < len(parts):
        raise ProofError("bad_proof", "what is added up must be several hosts that one issuer told apart by name")
    transcript = _transcript(question, [part.token for part in parts])
    try:
        rest = add_commitments(group, points, question.at_least)
        verify(group, transcript, [rest], proof, bits=BITS)
    except (RangeProofError, RistrettoError) as error:
        raise ProofError("bad_proof", f"at least {question.at_least} is not proved: {error}") from error


def _transcript(question: Question, tokens: Sequence[str]) -> Transcript:
    transcript = Transcript(b"coalesced/at-least/1")
    transcript.append_u64(b"certificates", len(tokens))
    for token in tokens:
        transcript.append(b"certificate", hashlib.sha256(token.encode()).digest())
    transcript.append(b"name", question.name.encode())
    transcript.append_u64(b"at-least", question.at_least)
    transcript.append(b"prover", question.prover)
    transcript.append(b"verifier", question.verifier)
    transcript.append(b"session", question.session_hash)
    transcript.append(b"nonce", question.nonce)
    return transcript
