"""What an owner sees of what is sold elsewhere, and what is taken from an agent's card."""

from typing import Any

import pytest

pytest.importorskip("mcp")

from coalesced.cli.sell_tool import shown_command
from coalesced.gateway.a2a.buying.card import CardError, offered, read_card

WHERE = "https://agent.example/.well-known/agent-card.json"


def card(**fields: Any) -> dict[str, Any]:
    interface = {"protocolBinding": "JSONRPC", "protocolVersion": "1.0", "url": "https://agent.example/rpc"}
    return {"skills": [{"id": "a", **fields}], "supportedInterfaces": [interface]}


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["python3", "weather.py"], "python3 weather.py"),
        (["w", "--api-key", "s3cr3t", "--fast"], "w --api-key ... --fast"),
        (["w", "--token=s3cr3t"], "w --token=..."),
        (["env", "API_KEY=s3cr3t", "w"], "env API_KEY=... w"),
        (["w", "https://me:s3cr3t@host/path?key=s3cr3t"], "w https://host/path"),
    ],
)
def test_a_command_is_shown_without_its_secrets(command: list[str], shown: str) -> None:
    assert shown_command(command).replace("'", "") == shown


def test_media_types_come_from_the_skill_or_else_the_card_and_only_sound_ones() -> None:
    modes = ["text", "text/markdown", "TEXT/plain", "not a type\x1b[0m", 7]
    read = read_card(card(inputModes=modes), where=WHERE, skill_id="a", key=None)
    assert read.takes == ("text/plain", "text/markdown")
    general = {**card(), "defaultOutputModes": ["image/png"]}
    assert read_card(general, where=WHERE, skill_id="a", key=None).gives == ("image/png",)


@pytest.mark.parametrize("found", [None, [], "x"])
def test_what_is_no_card_offers_nothing(found: object) -> None:
    with pytest.raises(CardError):
        offered(found)


def test_malformed_skills_are_left_out() -> None:
    assert offered({"skills": [7, {"id": 7}, {"id": ""}, {"id": "x" * 300}, {"id": "a"}]}) == ("a",)
