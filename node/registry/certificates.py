"""A node's certificates in a registry's JSON: whoever reads them checks them as if the node had shown them itself.

A registry can keep one back, or serve one that was revoked since: who would rely on it asks its issuer.
"""

import base64
import binascii
from typing import Annotated

import msgspec
from msgspec import Meta

from node.proofs.certificate import Certificate, Disclosed, check, check_disclosed, read
from node.proofs.errors import ProofError
from node.proofs.leaves import Statement
from protocol.messages import CertificateShown, Token

HexHash = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class LeafForm(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf that is shown, and its path to the root (RFC 9162)."""

    leaf: Annotated[str, Meta(max_length=1024)]
    index: Annotated[int, Meta(ge=0, lt=4096)]
    path: Annotated[tuple[HexHash, ...], Meta(max_length=12)]


class CertificateForm(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate as its issuer signed it, and the leaves that its subject shows to anybody."""

    token: Token
    leaves: Annotated[tuple[LeafForm, ...], Meta(max_length=64)]


class NodeCertificates(msgspec.Struct, frozen=True, kw_only=True):
    """All that one node shows."""

    did: Annotated[str, Meta(max_length=128)]
    certificates: Annotated[tuple[CertificateForm, ...], Meta(max_length=8)]


def certificate_form(shown: CertificateShown) -> CertificateForm:
    """What a node showed, in JSON."""
    leaves = tuple(
        LeafForm(leaf=base64.b64encode(one.leaf).decode(), index=one.index, path=tuple(step.hex() for step in one.path))
        for one in shown.leaves
    )
    return CertificateForm(token=shown.token, leaves=leaves)


def open_certificate(
    form: CertificateForm, *, subject: bytes, network: str, now_unix_s: int
) -> tuple[Certificate, list[Statement]]:
    """The certificate and the statements shown of it; ProofError where it is forged, another's, expired, or not so."""
    certificate = read(form.token)
    check(certificate, subject=subject, network=network, now_unix_s=now_unix_s)
    statements = []
    for one in form.leaves:
        try:
            leaf = base64.b64decode(one.leaf, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProofError("malformed", "a leaf is not in base64") from error
        path = tuple(bytes.fromhex(step) for step in one.path)
        statements.append(check_disclosed(certificate, Disclosed(leaf, one.index, path)))
    return certificate, statements
