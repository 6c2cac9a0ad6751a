"""Texts cut into pieces: together they are the text, none is too large or blank, and no character is torn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalesced.control.errors import ControlError
from coalesced.control.inputs import chunked


@given(st.text(st.sampled_from("a é\n😀"), max_size=300), st.integers(16, 64))
def test_the_pieces_are_the_text_and_none_is_too_large_or_torn(text: str, most_bytes: int) -> None:
    pieces = chunked([{"name": "t.txt", "media_type": "text/plain", "data": text.encode()}], most_bytes)
    assert all(len(piece["data"]) <= most_bytes for piece in pieces)
    written = "".join(piece["data"].decode() for piece in pieces)
    # What is left out is blank.
    assert "".join(written.split()) == "".join(text.split())
    assert len({piece["name"] for piece in pieces}) == len(pieces)


def test_texts_are_cut_between_paragraphs_and_small_files_stay() -> None:
    text = b"\n\n".join(b"x" * 30 for _ in range(4))
    pieces = chunked(
        [
            {"name": "a.b.txt", "media_type": "text/plain", "data": text},
            {"name": "small.json", "media_type": "application/json", "data": b"{}"},
        ],
        70,
    )
    assert [piece["name"] for piece in pieces] == ["a.b.1.txt", "a.b.2.txt", "small.json"]
    assert pieces[0]["data"] == b"x" * 30 + b"\n\n" + b"x" * 30 + b"\n\n"


def test_what_is_no_text_cannot_be_cut() -> None:
    with pytest.raises(ControlError, match="only texts"):
        chunked([{"name": "a.png", "media_type": "image/png", "data": b"x" * 100}], 70)
