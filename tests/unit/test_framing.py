"""The sizes of frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.framing import FIRST_BYTES, MAX_PLAIN_BYTES, frame_bytes, payload_bytes
from protocol.packing import MAX_MESSAGE_BYTES


@given(st.integers(0, MAX_MESSAGE_BYTES))
def test_a_frames_size_tells_its_payloads(size: int) -> None:
    assert payload_bytes(frame_bytes(size)) == size


def test_the_overhead_is_20_bytes_and_16_more_for_every_further_message() -> None:
    assert frame_bytes(0) == 20
    assert frame_bytes(FIRST_BYTES) == 65535
    assert frame_bytes(FIRST_BYTES + 1) == 65535 + 17
    assert frame_bytes(FIRST_BYTES + MAX_PLAIN_BYTES) == 2 * 65535


@pytest.mark.parametrize("size", [0, 1, 19, 65536, 65535 + 16, 2 * 65535 + 16])
def test_a_size_that_no_frame_has_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        payload_bytes(size)


def test_a_payload_over_the_limit_is_refused_by_its_size_alone() -> None:
    assert payload_bytes(frame_bytes(MAX_MESSAGE_BYTES)) == MAX_MESSAGE_BYTES
    with pytest.raises(RemoteProtocolError, match="too_large: a payload of 16777217 bytes"):
        payload_bytes(frame_bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(RemoteProtocolError, match="limit of 99"):
        payload_bytes(frame_bytes(100), max_bytes=99)
