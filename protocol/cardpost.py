"""What a node publishes in the DHT of an agent that is no node: where its card is, and which of its skills is meant."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.errors import LocalProtocolError
from protocol.fields import Label
from protocol.packing import pack, unpack

MAX_BODY_BYTES = 512
"""Of a record in the DHT."""


class CardPost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An agent's card. The record around it is signed by whoever vouches for it; the card's own key proves the rest."""

    kind: Literal["a2a-card"] = "a2a-card"
    skill: Label
    """What it does, in this network's words."""
    url: Annotated[str, Meta(min_length=8, max_length=256)]
    """Where its card is."""
    agent_skill: Annotated[str, Meta(max_length=96)] = ""
    """What its card calls the skill; empty: the same."""


def encode_card_post(post: CardPost) -> bytes:
    """Pack it for the body of a DHT record; LocalProtocolError when it is too large."""
    body = pack(post)
    if len(body) > MAX_BODY_BYTES:
        raise LocalProtocolError(f"an agent's address and skill have {len(body)} bytes, over the {MAX_BODY_BYTES}")
    return body


def decode_card_post(body: bytes) -> CardPost:
    """The post in a record's body; RemoteProtocolError when it is not one."""
    return unpack(CardPost, body, max_bytes=MAX_BODY_BYTES)
