"""Tokens: RFC 8037's example, what other implementations may write, and every forgery refused with its reason."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.identity import Identity, did_key
from crypto.jws import (
    JwsError,
    decode_base64url,
    encode_base64url,
    sign_compact,
    sign_detached,
    verify_compact,
    verify_detached,
)

SIGNER, OTHER = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
TYP = "example+jws"


def raw_token(header: dict[str, object], payload: bytes = b"{}", seed: bytes = b"\x01" * 32) -> str:
    """What another implementation with this key may write."""
    signed = f"{encode_base64url(json.dumps(header).encode())}.{encode_base64url(payload)}"
    return f"{signed}.{encode_base64url(Ed25519PrivateKey.from_private_bytes(seed).sign(signed.encode()))}"


def test_the_example_of_rfc_8037_verifies_and_is_what_its_key_signs() -> None:
    """RFC 8037, appendix A.4 and A.5."""
    public = decode_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert verify_compact(f"{signed}.{signature}", typ=None, signer=public).payload == b"Example of Ed25519 signing"
    key = Identity(decode_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    assert encode_base64url(key.sign_jws_input(signed.encode())) == signature


def test_a_token_gives_its_payload_and_the_key_that_signed_it() -> None:
    signed = verify_compact(sign_compact(SIGNER, b"payload", typ=TYP), typ=TYP)
    assert (signed.payload, signed.signer) == (b"payload", SIGNER.public_key)
    assert signed.header == {"alg": "EdDSA", "kid": did_key(SIGNER.public_key), "typ": TYP}


def test_a_detached_token_holds_for_its_payload_alone() -> None:
    token = sign_detached(SIGNER, b"payload", typ=TYP)
    assert verify_detached(token, b"payload", typ=TYP, signer=SIGNER.public_key).signer == SIGNER.public_key
    with pytest.raises(JwsError, match="signature is not that of"):
        verify_detached(token, b"another", typ=TYP)
    with pytest.raises(JwsError, match="no payload"):
        verify_compact(token, typ=TYP)
    with pytest.raises(JwsError, match="payload of its own"):
        verify_detached(sign_compact(SIGNER, b"payload", typ=TYP), b"payload", typ=TYP)


def test_the_algorithm_may_also_be_called_by_its_newer_name() -> None:
    token = raw_token({"alg": "Ed25519", "kid": did_key(SIGNER.public_key)})
    assert verify_compact(token, typ=None).payload == b"{}"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"alg": "none"}, "alg is 'none'"),
        ({"alg": "HS256", "kid": did_key(SIGNER.public_key)}, "alg is 'HS256'"),
        ({"alg": "EdDSA"}, "does not say who signed"),
        ({"alg": "EdDSA", "kid": "key-1"}, "not the did:key of a node"),
        ({"alg": "EdDSA", "kid": did_key(OTHER.public_key)}, "signature is not that of"),
        ({"alg": "EdDSA", "kid": did_key(SIGNER.public_key), "crit": ["b64"], "b64": False}, "extensions"),
        ({"alg": "EdDSA", "jwk": {"x": "theirs"}, "kid": 7}, "does not say who signed"),
    ],
)
def test_a_header_that_asks_for_anything_else_is_refused(header: dict[str, object], why: str) -> None:
    with pytest.raises(JwsError, match=why):
        verify_compact(raw_token(header), typ=None)


def test_a_token_of_another_kind_or_signer_is_refused() -> None:
    token = sign_compact(SIGNER, b"{}", typ="other+jws")
    with pytest.raises(JwsError, match="typ is 'other"):
        verify_compact(token, typ=TYP)
    with pytest.raises(JwsError, match="was signed by did:key"):
        verify_compact(token, typ=None, signer=OTHER.public_key)


def test_any_changed_character_is_refused() -> None:
    token = sign_compact(SIGNER, b'{"n":1}', typ=TYP)
    for at, character in enumerate(token):
        changed = token[:at] + ("A" if character != "A" else "B") + token[at + 1 :]
        with pytest.raises(JwsError):
            verify_compact(changed, typ=TYP)


@pytest.mark.parametrize("text", ["a", "YQ==", "YR", "Y Q", "Y+Q/", "é"])
def test_only_one_spelling_of_base64url_is_read(text: str) -> None:
    with pytest.raises(JwsError, match="base64url"):
        decode_base64url(text)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "." * 3, "x" * 2**19])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(JwsError):
        verify_compact(token, typ=None)


def test_nothing_but_a_token_is_signed_without_a_label() -> None:
    with pytest.raises(ValueError, match="signing input"):
        SIGNER.sign_jws_input(b"coalesced/quote/1\x00body")


def test_the_jwt_package_reads_our_tokens_and_we_its() -> None:
    jwt = pytest.importorskip("jwt", reason="PyJWT is in the a2a extra")
    private = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    token = sign_compact(SIGNER, b'{"n":1}', typ=TYP)
    assert jwt.decode(token, private.public_key(), algorithms=["EdDSA"]) == {"n": 1}
    theirs = jwt.encode({"n": 1}, private, algorithm="EdDSA", headers={"kid": did_key(SIGNER.public_key), "typ": TYP})
    assert json.loads(verify_compact(theirs, typ=TYP).payload) == {"n": 1}
    assert base64.urlsafe_b64decode(theirs.split(".")[0] + "==")
