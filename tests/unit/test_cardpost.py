"""What is published of an agent's card: small, exact, refused when it is anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dht.ids import anchor_key, card_key, skill_key
from protocol.cardpost import MAX_BODY_BYTES, CardPost, decode_card_post, encode_card_post
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.messages import Advert, encode_advert

POST = CardPost(skill="sentiment", url="https://agent.example", agent_skill="mood")


def test_a_post_is_read_as_it_was_written() -> None:
    assert decode_card_post(encode_card_post(POST)) == POST


def test_the_largest_ascii_post_fits_a_record_and_a_larger_one_is_refused() -> None:
    largest = CardPost(skill="s" * 64, url="https://" + "a" * 248, agent_skill="k" * 96)
    assert len(encode_card_post(largest)) <= MAX_BODY_BYTES
    with pytest.raises(LocalProtocolError):
        encode_card_post(CardPost(skill="s", url="https://" + "€" * 248))


@given(st.binary(max_size=64))
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_card_post(body)


def test_an_advert_is_no_card_and_lies_elsewhere() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_card_post(encode_advert(Advert(host="h", port=1, skill="sentiment")))
    keys = {key("main", "sentiment") for key in (skill_key, anchor_key, card_key)}
    assert len(keys) == 3
