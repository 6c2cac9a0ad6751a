"""Certificates and proofs: tokens, leaves, credentials, range proofs, as others hand them in."""

import hashlib
from collections.abc import Callable, Iterator

from crypto.bulletproofs import RangeProofError, prove, verify
from crypto.group import fastest_group
from crypto.identity import Identity
from crypto.jcs import JcsError, parse
from crypto.jws import JwsError, sign_compact, verify_compact
from crypto.merlin import Transcript
from crypto.pedersen import commit
from node.proofs.certificate import Terms, issue_revocations, read, read_revocations
from node.proofs.credential import Credential, Wanted, certify, decode_credential, encode_credential
from node.proofs.errors import ProofError
from node.proofs.leaves import decode_leaf
from tests.fuzz.target import Target, plain

ISSUER = Identity(b"\x05" * 32)
GROUP = fastest_group()
COMMITMENT = commit(GROUP, 96, 5)
SEED = bytes(32)


def _quiet(parse: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        parse(data)

    return run


def _credential() -> Credential:
    terms = Terms(subject=ISSUER.public_key, network="test", issued_unix_s=0, expires_unix_s=3600, serial="0" * 32)
    wanted = Wanted({"risk": 900_000, "portfolio": None}, {("memory_gib", None): 96, ("disk_gib", "left"): 7})
    drawn = hashlib.sha512(b"fuzz").digest()
    return certify(ISSUER, terms, wanted, None, group=GROUP, entropy=lambda count: drawn[:count])


def _proof() -> Iterator[bytes]:
    yield prove(GROUP, Transcript(b"fuzz"), 96, 5, bits=32, entropy=SEED)


def _check_range(data: bytes) -> None:
    verify(GROUP, Transcript(b"fuzz"), [COMMITMENT], data, bits=32)


TARGETS = (
    Target(
        name="jcs",
        form="json",
        opened=plain(_quiet(lambda data: parse(data))),
        seeds=lambda: [encode_credential(_credential()), b'{"a":[1,null,true,"\xc3\xa9"]}'],
        may_raise=(JcsError,),
    ),
    Target(
        name="jws",
        form="text",
        opened=plain(_quiet(lambda data: verify_compact(data.decode(errors="replace"), typ=None))),
        seeds=lambda: [sign_compact(ISSUER, b"{}", typ="fuzz").encode()],
        may_raise=(JwsError,),
    ),
    Target(
        name="certificate",
        form="text",
        opened=plain(_quiet(lambda data: read(data.decode(errors="replace")))),
        seeds=lambda: [_credential().token.encode()],
        may_raise=(ProofError,),
    ),
    Target(
        name="revocations",
        form="text",
        opened=plain(
            _quiet(lambda data: read_revocations(data.decode(errors="replace"), ISSUER.public_key, now_unix_s=1))
        ),
        seeds=lambda: [issue_revocations(ISSUER, ["0" * 32], now_unix_s=0, life_s=60).encode()],
        may_raise=(ProofError,),
    ),
    Target(
        name="certificate-leaf",
        form="bytes",
        opened=plain(_quiet(lambda data: decode_leaf(data))),
        seeds=lambda: _credential().leaves[:3] + _credential().leaves[-2:],
        may_raise=(ProofError,),
    ),
    Target(
        name="credential",
        form="json",
        opened=plain(_quiet(lambda data: decode_credential(data, GROUP))),
        seeds=lambda: [encode_credential(_credential())],
        may_raise=(ProofError,),
        share=0.2,
    ),
    Target(
        name="range-proof",
        form="bytes",
        opened=plain(_check_range),
        seeds=_proof,
        may_raise=(RangeProofError,),
        share=0.02,
    ),
)
