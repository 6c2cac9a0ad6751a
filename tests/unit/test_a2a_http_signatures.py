"""Requests signed as RFC 9421 says: whoever changed anything that counts, or sent a copy, is found out."""

from dataclasses import replace

import pytest

from coalesced.gateway.a2a.http_signatures import (
    MAX_AGE_S,
    MAX_AHEAD_S,
    SignatureError,
    SignedRequest,
    content_digest,
    sign_request,
    verify_request,
)
from crypto.identity import Identity

IDENTITY = Identity(b"\1" * 32)
NOW_S = 1_800_000_000
URL = "http://node.example:7733/a2a/rpc?x=1"


def signed(body: bytes = b'{"a":1}', url: str = URL) -> SignedRequest:
    request = SignedRequest.to("POST", url, {"Content-Type": "application/json"}, body)
    added = sign_request(IDENTITY, request, created_unix_s=NOW_S, nonce="n1")
    return replace(request, headers={**request.headers, **{name.lower(): value for name, value in added.items()}})


def test_a_signed_request_names_its_signer() -> None:
    signer = verify_request(signed(), now_unix_s=NOW_S + 5)
    assert (signer.public_key, signer.nonce) == (IDENTITY.public_key, "n1")


def test_a_request_without_body_or_query_needs_no_digest() -> None:
    request = SignedRequest.to("GET", "http://node.example/.well-known/x", {}, b"")
    added = sign_request(IDENTITY, request, created_unix_s=NOW_S, nonce="n")
    assert set(added) == {"Signature-Input", "Signature"}
    lower = {name.lower(): value for name, value in added.items()}
    assert verify_request(replace(request, headers=lower), now_unix_s=NOW_S).public_key == IDENTITY.public_key


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/a2a/rest"},
        {"query": "x=2"},
        {"authority": "evil.example"},
        {"body": b'{"a":2}'},
        {"body": b""},
    ],
)
def test_any_change_is_found(change: dict[str, object]) -> None:
    with pytest.raises(SignatureError):
        verify_request(replace(signed(), **change), now_unix_s=NOW_S)  # type: ignore[arg-type]


def test_a_new_digest_for_a_new_body_is_found() -> None:
    request = signed()
    forged = {**request.headers, "content-digest": content_digest(b"{}")}
    with pytest.raises(SignatureError, match="not that of"):
        verify_request(replace(request, body=b"{}", headers=forged), now_unix_s=NOW_S)


@pytest.mark.parametrize("age_s", [MAX_AGE_S + 1, -MAX_AHEAD_S - 1])
def test_a_stale_signature_is_refused(age_s: int) -> None:
    with pytest.raises(SignatureError, match="created"):
        verify_request(signed(), now_unix_s=NOW_S + age_s)


@pytest.mark.parametrize("name", ["@method", "@authority", "@path", "@query", "content-digest"])
def test_what_must_be_covered_must_be_covered(name: str) -> None:
    request = signed()
    fewer = request.headers["signature-input"].replace(f'"{name}" ', "").replace(f' "{name}"', "")
    with pytest.raises(SignatureError, match="does not cover"):
        verify_request(replace(request, headers={**request.headers, "signature-input": fewer}), now_unix_s=NOW_S)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('alg="ed25519"', 'alg="hmac-sha256"', "alg"),
        ('nonce="n1"', 'tag="n1"', "nonce"),
        ("created=", "expires=", "created"),
        ("did:key:z6Mk", "did:web:z6Mk", "did:key"),
        ('"@path"', '"@path" "x-missing"', "lacks"),
        ('"@path"', '"@path" "@status"', "does not know"),
        ("sig1=", "sig1=;;", "one signature"),
    ],
)
def test_a_signature_that_says_too_little_is_refused(old: str, new: str, reason: str) -> None:
    request = signed()
    changed = {**request.headers, "signature-input": request.headers["signature-input"].replace(old, new)}
    with pytest.raises(SignatureError, match=reason):
        verify_request(replace(request, headers=changed), now_unix_s=NOW_S)


def test_a_default_port_is_the_same_authority() -> None:
    request = signed(url="http://node.example:80/a2a/rpc")
    signer = verify_request(replace(request, authority="node.example"), now_unix_s=NOW_S)
    assert signer.public_key == IDENTITY.public_key


def test_the_example_of_the_digest_rfc() -> None:
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
