"""An open channel: what it carries, and everything that it must not accept."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.noise import MAX_NONCE, CipherState, NoiseError
from protocol.channel import KEPT_BUFFER_BYTES, REKEY_MESSAGES, Channel, ReceiveBuffer
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import FIRST_BYTES, MAX_PLAIN_BYTES
from protocol.packing import MAX_MESSAGE_BYTES
from tests.harness.channels import open_channels


def one_way(nonce: int = 0) -> tuple[Channel, Channel]:
    """A sender and a receiver whose counters stand at `nonce`."""
    keys = bytes(32), bytes([1]) * 32

    def make(send: bytes, receive: bytes) -> Channel:
        states = CipherState(send, nonce), CipherState(receive, nonce)
        return Channel(*states, peer_key=bytes(32), handshake_hash=bytes(32))

    return make(*keys), make(*reversed(keys))


@pytest.mark.parametrize(
    "size",
    [0, 1, FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, FIRST_BYTES + MAX_PLAIN_BYTES, 2**20, MAX_MESSAGE_BYTES],
)
def test_payloads_up_to_the_limit_arrive(size: int) -> None:
    sender, receiver = open_channels()
    payload = random.Random(size).randbytes(size)
    assert receiver.open(sender.seal(payload)) == payload
    assert sender.open(receiver.seal(payload)) == payload


@given(st.lists(st.integers(0, 200_000), max_size=6))
@settings(max_examples=30)
def test_any_sequence_of_payloads_arrives_in_order(sizes: list[int]) -> None:
    sender, receiver = open_channels()
    payloads = [bytes([number]) * size for number, size in enumerate(sizes)]
    frames = [sender.seal(payload) for payload in payloads]
    assert [bytes(receiver.open(frame)) for frame in frames] == payloads


def test_nothing_of_a_payload_is_visible_in_its_frame() -> None:
    sender, _ = open_channels()
    assert b"secret prompt" not in sender.seal(b"secret prompt" * 10_000)


def test_a_payload_over_the_limit_is_our_own_error() -> None:
    sender, _ = open_channels(max_payload_bytes=1000)
    with pytest.raises(LocalProtocolError, match="1001 bytes is over the limit of 1000"):
        sender.seal(bytes(1001))


def test_a_frame_over_the_limit_is_refused_before_it_is_decrypted() -> None:
    sender, receiver = open_channels()
    receiver.max_payload_bytes = 1000
    with pytest.raises(RemoteProtocolError, match="too_large"):
        receiver.open(sender.seal(bytes(1001)))


def test_a_replayed_frame_is_refused() -> None:
    sender, receiver = open_channels()
    frame = sender.seal(b"pay 1")
    receiver.open(frame)
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        receiver.open(frame)


def test_reordered_frames_are_refused() -> None:
    sender, receiver = open_channels()
    _, second = sender.seal(b"1"), sender.seal(b"2")
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        receiver.open(second)


def test_a_dropped_frame_is_noticed_at_the_next_one() -> None:
    sender, receiver = open_channels()
    receiver.open(sender.seal(b"1"))
    sender.seal(b"dropped")
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        receiver.open(sender.seal(b"3"))


@pytest.mark.parametrize("size", [10, 3 * MAX_PLAIN_BYTES])
def test_a_frame_cut_anywhere_is_refused(size: int) -> None:
    frame = open_channels()[0].seal(bytes(size))
    # Every position of the small frame; of the large one the borders of its messages and their neighbours.
    borders = {border + step for border in range(0, len(frame), 65535) for step in (-1, 0, 1)}
    cuts = range(len(frame)) if size == 10 else sorted(border for border in borders if 0 <= border < len(frame))
    for cut in cuts:
        _, receiver = open_channels()
        with pytest.raises(RemoteProtocolError, match="bad_frame"):
            receiver.open(frame[:cut])


def test_two_frames_in_one_are_refused() -> None:
    sender, receiver = open_channels()
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        receiver.open(bytes(sender.seal(b"1")) + bytes(sender.seal(b"2")))


def test_a_frame_sent_back_to_its_sender_is_refused() -> None:
    sender, _ = open_channels()
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        sender.open(sender.seal(b"reflected"))


def test_every_flipped_bit_of_a_frame_is_refused() -> None:
    frame = open_channels()[0].seal(b"ten bytes!")
    for position in range(8 * len(frame)):
        altered = bytearray(frame)
        altered[position // 8] ^= 1 << position % 8
        _, receiver = open_channels()
        with pytest.raises(RemoteProtocolError, match="bad_frame"):
            receiver.open(altered)


def test_messages_of_a_large_frame_cannot_change_places() -> None:
    sender, receiver = open_channels()
    frame = sender.seal(bytes(3 * MAX_PLAIN_BYTES))
    swapped = frame[:65535] + frame[2 * 65535 : 3 * 65535] + frame[65535 : 2 * 65535] + frame[3 * 65535 :]
    assert len(swapped) == len(frame)
    with pytest.raises(RemoteProtocolError, match="bad_frame"):
        receiver.open(swapped)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    _, receiver = open_channels()
    with pytest.raises(RemoteProtocolError):
        receiver.open(data)


def test_the_key_changes_after_65536_messages_on_both_sides_alike() -> None:
    sender, receiver = one_way(REKEY_MESSAGES - 2)
    frames = [sender.seal(bytes([number])) for number in range(4)]
    assert [bytes(receiver.open(frame)) for frame in frames] == [bytes([number]) for number in range(4)]
    kept = CipherState(bytes(32), REKEY_MESSAGES - 2)  # a thief of the first key, who knows the counter
    opened = 0
    for frame in frames:
        try:
            kept.decrypt(frame)
        except NoiseError:
            break
        opened += 1
    assert opened == 2


def test_the_key_may_change_in_the_middle_of_a_frame() -> None:
    sender, receiver = one_way(REKEY_MESSAGES - 2)
    payload = random.Random(1).randbytes(4 * MAX_PLAIN_BYTES)
    assert receiver.open(sender.seal(payload)) == payload
    assert bytes(receiver.open(sender.seal(b"after"))) == b"after"


def test_at_the_end_of_the_nonces_nothing_is_sealed_or_opened_any_more() -> None:
    sender, receiver = one_way(MAX_NONCE - 1)
    last = sender.seal(b"the last one")
    assert bytes(receiver.open(last)) == b"the last one"
    with pytest.raises(LocalProtocolError, match="nonces"):
        sender.seal(b"one too many")
    with pytest.raises(LocalProtocolError, match="nonces"):
        sender.seal(bytes(2 * MAX_PLAIN_BYTES))
    with pytest.raises(RemoteProtocolError, match="nonces"):
        receiver.open(last)


def test_a_shared_receive_buffer_is_reused_but_never_grows_past_its_limit() -> None:
    buffer = ReceiveBuffer()
    small, large = buffer.view(1000), buffer.view(KEPT_BUFFER_BYTES)
    assert len(small) == 1000
    assert large.obj is buffer.view(10).obj
    assert buffer.view(KEPT_BUFFER_BYTES + 1).obj is not large.obj
    assert buffer.view(10).obj is large.obj
