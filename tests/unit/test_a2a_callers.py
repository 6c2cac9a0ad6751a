"""Callers are told apart, tokens and nonces too, and each is answered at its own pace."""

from dataclasses import replace
from pathlib import Path

import pytest

from coalesced.gateway.a2a.callers import Callers, UnknownCallerError, read_tokens
from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from coalesced.gateway.quotas import RequestRates
from crypto.identity import Identity, did_key
from node.errors import UsageError

IDENTITY = Identity(b"\2" * 32)
NOW_S = 1_800_000_000


def request(**headers: str) -> SignedRequest:
    return SignedRequest("POST", "http", "h", "/a2a/rpc", "", headers, b"")


def signed(nonce: str) -> SignedRequest:
    added = sign_request(IDENTITY, request(), created_unix_s=NOW_S, nonce=nonce)
    return replace(request(), headers={name.lower(): value for name, value in added.items()})


def tokens(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_key_of_a_signed_request_is_the_caller() -> None:
    caller = Callers({}, anonymous=False).identify(signed("a"), "1.2.3.4", NOW_S)
    assert caller.name == did_key(IDENTITY.public_key)
    assert caller.public_key == IDENTITY.public_key


def test_a_copy_of_a_signed_request_is_refused() -> None:
    callers = Callers({}, anonymous=True)
    callers.identify(signed("a"), "1.2.3.4", NOW_S)
    with pytest.raises(UnknownCallerError, match="received before"):
        callers.identify(signed("a"), "1.2.3.4", NOW_S + 1)
    assert callers.identify(signed("b"), "1.2.3.4", NOW_S + 1).is_known


def test_what_was_signed_before_the_start_is_refused_for_it_may_be_a_copy() -> None:
    with pytest.raises(UnknownCallerError, match="before this agent was started"):
        Callers({}, anonymous=True, since_unix_s=NOW_S + 2).identify(signed("a"), "1.2.3.4", NOW_S + 3)
    assert Callers({}, anonymous=True, since_unix_s=NOW_S).identify(signed("a"), "1.2.3.4", NOW_S).is_known


def test_a_token_names_its_caller(tmp_path: Path) -> None:
    callers = Callers(read_tokens(tokens(tmp_path, "# who\nbob 0123456789abcdefghij\n\n")), anonymous=False)
    assert callers.identify(request(authorization="Bearer 0123456789abcdefghij"), "", NOW_S).name == "token:bob"


@pytest.mark.parametrize("value", ["Bearer wrong", "Basic 0123456789abcdefghij", "Bearer "])
def test_wrong_credentials_are_refused_even_where_none_are_needed(tmp_path: Path, value: str) -> None:
    callers = Callers(read_tokens(tokens(tmp_path, "bob 0123456789abcdefghij")), anonymous=True)
    with pytest.raises(UnknownCallerError):
        callers.identify(request(authorization=value), "1.2.3.4", NOW_S)


def test_callers_without_credentials_are_told_apart_by_address_or_refused() -> None:
    assert Callers({}, anonymous=True).identify(request(), "1.2.3.4", NOW_S).name == "address:1.2.3.4"
    with pytest.raises(UnknownCallerError, match="sign the request"):
        Callers({}, anonymous=False).identify(request(), "1.2.3.4", NOW_S)


def test_a_file_of_tokens_is_private_and_its_tokens_long(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=":1: write a name"):
        read_tokens(tokens(tmp_path, "bob short"))
    path = tokens(tmp_path, "bob 0123456789abcdefghij")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        read_tokens(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_tokens(tmp_path / "none")


def test_a_caller_is_held_back_and_no_other() -> None:
    rates = RequestRates(per_minute=60)
    assert [rates.wait_s("a", 0.0) for _ in range(60)] == [0.0] * 60
    assert 0 < rates.wait_s("a", 0.0) <= 1.0
    assert rates.wait_s("b", 0.0) == 0.0
    assert rates.wait_s("a", 1.0) == 0.0
