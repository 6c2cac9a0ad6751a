"""What a buyer takes from an agent's card, and from its answers: the form, never the word."""

import copy
from typing import Any

import pytest

from coalesced.gateway.a2a.buying.card import CardError, read_card
from coalesced.gateway.a2a.buying.exchange import content_of, economics_in, said_in, task_in
from coalesced.gateway.a2a.buying.wire import AgentError
from crypto.identity import Identity
from crypto.jcs import canonical
from crypto.jws import sign_parts

SIGNER, OTHER = Identity(b"\1" * 32), Identity(b"\2" * 32)
WHERE = "http://agent.example/.well-known/agent-card.json"
CARD: dict[str, Any] = {
    "name": "agent",
    "skills": [{"id": "risk", "name": "Risk"}],
    "capabilities": {"extensions": [{"uri": "urn:coalesced:a2a:economics:1"}]},
    "supportedInterfaces": [
        {"protocolBinding": "GRPC", "protocolVersion": "1.0", "url": "http://agent.example/grpc"},
        {"protocolBinding": "HTTP+JSON", "protocolVersion": "1.0", "url": "http://agent.example/rest/"},
    ],
}


def signed(card: dict[str, Any], by: Identity = SIGNER) -> dict[str, Any]:
    head, signature = sign_parts(by, canonical(card), typ="JOSE")
    return {**card, "signatures": [{"protected": head, "signature": signature}]}


def test_a_card_gives_the_first_binding_that_is_spoken() -> None:
    card = read_card(CARD, where=WHERE, skill_id="risk", key=None)
    assert (card.binding, card.url, card.signer, card.has_prices) == (
        "HTTP+JSON",
        "http://agent.example/rest",
        None,
        True,
    )


def test_a_signature_names_the_signer_also_where_empty_fields_were_left_out() -> None:
    assert read_card(signed(CARD), where=WHERE, skill_id="risk", key=SIGNER.public_key).signer == SIGNER.public_key
    padded = {**signed(CARD), "securityRequirements": [], "iconUrl": ""}
    assert read_card(padded, where=WHERE, skill_id="risk", key=None).signer == SIGNER.public_key


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(CARD), **fields}


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ([], "no JSON object"),
        (changed(skills=[{"id": "other"}]), "no skill"),
        (changed(skills="risk"), "no skill"),
        (changed(supportedInterfaces=[]), "no interface"),
        (
            changed(supportedInterfaces=[{"protocolBinding": "JSONRPC", "protocolVersion": "0.3", "url": "http://x"}]),
            "no interface",
        ),
        (
            changed(
                supportedInterfaces=[
                    {"protocolBinding": "JSONRPC", "protocolVersion": "1.0", "url": "http://169.254.169.254/"}
                ]
            ),
            "another host",
        ),
        ({**signed(CARD), "name": "changed"}, "none of its signatures holds"),
        ({**CARD, "signatures": [{"protected": "x", "signature": "y"}]}, "none of its signatures holds"),
    ],
)
def test_a_card_that_cannot_be_used_says_why(card: Any, reason: str) -> None:
    with pytest.raises(CardError, match=reason):
        read_card(card, where=WHERE, skill_id="risk", key=None)


@pytest.mark.parametrize("card", [CARD, signed(CARD, OTHER)])
def test_a_configured_key_must_have_signed(card: Any) -> None:
    with pytest.raises(CardError, match="key"):
        read_card(card, where=WHERE, skill_id="risk", key=SIGNER.public_key)


def task(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "t", "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": [{"parts": list(parts)}], **fields}


def test_a_result_is_its_parts_of_one_kind() -> None:
    assert content_of(task({"text": "a"}, {"text": "b"}), "", 100).data == b"a\nb"
    assert content_of(task({"text": "{}"}), "application/json", 100).media_type == "application/json"
    assert content_of(task({"raw": "AAE=", "mediaType": "image/png"}), "", 100).data == b"\0\1"
    assert content_of(task({"data": {"a": 1}}), "", 100).data == b'{"a":1}'


@pytest.mark.parametrize(
    "wrong",
    [
        task(),
        task({"text": "x" * 200}),
        task({"text": "a"}, {"raw": "AAE="}),
        task({"raw": "no base64!"}),
        task({"url": "http://169.254.169.254/"}),
        task({}),
    ],
)
def test_a_result_that_cannot_be_used_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AgentError):
        content_of(wrong, "text/plain", 100)


@pytest.mark.parametrize("answer", [{}, {"message": {}}, {"task": []}, {"task": {"id": 1, "status": {}}}, {"id": "x"}])
def test_an_answer_without_a_task_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(AgentError):
        task_in(answer)


def test_what_an_agent_says_is_cut_and_what_it_claims_is_typed() -> None:
    told = {"id": "t", "status": {"state": "x", "message": {"parts": [{"text": "y" * 9000}, 5, {"text": 1}]}}}
    assert len(said_in(told)) == 2000
    assert said_in({"id": "t", "status": {"message": "no object"}}) == ""
    assert economics_in({"metadata": {"urn:coalesced:a2a:economics:1": "text"}}) == {}
    assert economics_in("nothing") == {}
