"""Between the executor and a worker process: frames both ways, and inputs of users' own functions."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TypedDict

from node.execute.frames import FrameError, FrameReader, encode_frame, read_frame
from node.execute.user_function import Bound, InputError, call, load
from tests.fuzz.target import Target, plain


class Order(TypedDict):
    """What `takes_typed` takes."""

    name: str
    counts: list[int]


def takes_text(text: str, loud: bool = False) -> str:
    """Text in, text out."""
    return text.upper() if loud else text


def takes_bytes(data: bytes) -> bytes:
    """Bytes in, bytes out."""
    return data[::-1]


def takes_typed(order: Order) -> dict[str, int]:
    """A typed object."""
    return {order["name"]: sum(order["counts"])}


def takes_arguments(number: float, words: list[str], extra: dict[str, int] | None = None) -> list[str]:
    """Several parameters."""
    return [*words, str(number), *(extra or {})]


FUNCTIONS: tuple[Bound, ...] = tuple(
    load(__name__, name) for name in ("takes_text", "takes_bytes", "takes_typed", "takes_arguments")
)


def parse_frames(data: bytes) -> None:
    """The same bytes at once, in pieces, and from a blocking stream: the same frames, or the same refusal."""
    reader, pieces = FrameReader(), []
    try:
        whole = FrameReader().feed(data)
    except FrameError:
        whole = None
    with suppress(FrameError):
        for at in range(0, len(data), 7):
            pieces += reader.feed(data[at : at + 7])
        assert whole == pieces
        stream = io.BytesIO(data)
        read = []
        while (frame := read_frame(stream)) is not None:
            read.append(frame)
        assert read == whole
    for header, payload in whole or ():
        assert FrameReader().feed(encode_frame(header, payload))


def call_function(data: bytes) -> None:
    """An input for each shape of function; refused is what none of them takes."""
    refusals = []
    for bound in FUNCTIONS:
        for media_type in ("application/json", "text/plain", "application/octet-stream"):
            try:
                call(bound, data, media_type)
            except InputError as error:
                refusals.append(error)
    if len(refusals) == 3 * len(FUNCTIONS):
        raise refusals[0]


def _frames() -> Iterator[bytes]:
    yield encode_frame({"event": "progress", "done_ppm": 1, "text": "x"})
    yield encode_frame({"event": "done", "media_type": "text/plain", "wall_s": 0.1}, b"the result")
    yield encode_frame({"op": "run", "effort": "full"}, b"input") + encode_frame({"op": "answer"}, b"1999")


def _inputs() -> Iterator[bytes]:
    yield b"some text"
    yield json.dumps({"name": "a", "counts": [1, 2]}).encode()
    yield json.dumps({"number": 1.5, "words": ["a"], "extra": {"b": 1}}).encode()
    yield json.dumps({"text": "hello", "files": [{"name": "f", "text": "x"}, {"name": "g", "base64": "eHg="}]}).encode()
    yield json.dumps({"text": "", "files": [{"name": "f", "text": '{"name": "a", "counts": []}'}]}).encode()


TARGETS = (
    Target(name="worker-frames", form="bytes", opened=plain(parse_frames), seeds=_frames, may_raise=(FrameError,)),
    Target(
        name="function-input",
        form="json",
        opened=plain(call_function),
        seeds=_inputs,
        may_raise=(InputError,),
        share=0.5,
    ),
)
