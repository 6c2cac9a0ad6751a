"""Whether q members of the right committee vouch for a header: the committee known here, or one that it leads to."""

from collections.abc import Sequence

from node.ledger.pbft.opened import OpenCertificate, open_certificate
from node.ledger.pbft.quorum import Committee
from protocol.consensus import Certificate, CommitteeLink, Header, block_hash, decode_header, members_hash
from protocol.errors import RemoteProtocolError


def uncertified(certificate: OpenCertificate, committee: Committee) -> str | None:
    """Why a certificate is not enough for `committee`; None when it is."""
    if certificate.phase != "commit" or not committee.has_quorum(certificate.signers):
        have = committee.count(certificate.signers)
        return f"the block at {certificate.ballot.height} has {have} members' COMMITs of {committee.q}"
    return None


def follow_committees(chain: bytes, height: int, committee: Committee, links: Sequence[CommitteeLink]) -> Committee:
    """The committee that `links` lead to from the one that decides the height after `height`.

    Each link is certified by the committee before it; RemoteProtocolError when one is not.
    """
    for link in links:
        header, certificate = open_header(chain, link.header, link.certificate)
        if header.height <= height:
            raise RemoteProtocolError("bad_snapshot", "changes of the committee that are not in order")
        if why := uncertified(certificate, committee):
            raise RemoteProtocolError("forged_block", why)
        if members_hash(link.members) != header.members_hash:
            raise RemoteProtocolError("bad_snapshot", f"not the committee that the header of {header.height} names")
        height, committee = header.height, Committee(link.members)
    return committee


def open_header(chain: bytes, header: bytes, certificate: Certificate) -> tuple[Header, OpenCertificate]:
    """A header and the COMMITs for it, signatures checked; members and their number are the caller's."""
    decoded, opened = decode_header(header), open_certificate(certificate, "commit")
    ballot = opened.ballot
    if (decoded.chain, ballot.chain, ballot.height, ballot.block) != (chain, chain, decoded.height, block_hash(header)):
        raise RemoteProtocolError("forged_block", f"COMMITs for another block than that at {decoded.height}")
    return decoded, opened
