"""An endpoint's reply, whatever it is: a text, or one error; and the same however the network cuts it."""

import asyncio
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from coalesced.gateway.openai.answers import Answered
from node.execute.errors import InputError
from node.execute.openai.exchange import lines
from node.execute.openai.reply import Assembly, ReplyError, reason
from node.execute.openai.request import read_chat, read_texts
from node.views import TaskView

PIECES = st.lists(st.text(max_size=20), min_size=1, max_size=8)


class Cut:
    """A response whose body comes in given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.content = self
        self._pieces = pieces

    async def iter_any(self):  # type: ignore[no-untyped-def]
        for piece in self._pieces:
            yield piece


def assembled(pieces: list[bytes], max_bytes: int = 10_000) -> Assembly:
    async def read() -> Assembly:
        assembly = Assembly(max_bytes)
        async for line in lines(Cut(pieces)):  # type: ignore[arg-type]
            assembly.take_line(line)
        assembly.end()
        return assembly

    return asyncio.run(read())


@given(PIECES, st.lists(st.integers(0, 400), max_size=6), st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_a_stream_reads_the_same_however_it_is_cut(texts: list[str], cuts: list[int], end: bytes) -> None:
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in [*texts, "."]]
    events = [b"data: " + msgspec.json.encode(chunk) for chunk in chunks]
    body = end.join([b": comment", *events, b"data: [DONE]", b""])
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    assert assembled(pieces).text == "".join(texts) + "."


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_do_more_than_be_refused(given_lines: list[bytes]) -> None:
    for start in (b"", b"data:", b'data: {"choices": '):
        assembly = Assembly(100)
        try:
            for line in given_lines:
                assembly.take_line(start + line)
            assembly.end()
        except ReplyError:
            continue
        assert assembly.written_bytes <= 100


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda one: st.dictionaries(st.text(), one), max_leaves=4
    )
)
def test_any_error_has_a_short_reason_on_one_line(error: object) -> None:
    assert len(reason(error).splitlines()) <= 1
    assert len(reason(error)) <= 300


@given(st.binary(max_size=300), st.sampled_from(["application/json", "text/plain", "image/png"]))
def test_any_input_is_a_request_or_an_input_error(data: bytes, media_type: str) -> None:
    for read in (read_chat, read_texts):
        try:
            read(data, media_type)
        except InputError:
            continue


CLAIMS = st.fixed_dictionaries(
    {"content": st.text(max_size=20)},
    optional={
        "finish_reason": st.text(max_size=8),
        "usage": st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), st.integers()),
        "tool_calls": st.text(max_size=3),
    },
)


@given(
    st.binary(max_size=300) | CLAIMS.map(msgspec.json.encode),
    st.sampled_from(["application/json", "text/plain", "image/png"]),
)
def test_any_result_of_a_seller_is_a_text_with_an_end_and_a_count(data: bytes, media_type: str) -> None:
    task = TaskView(id="0" * 32, state="completed", skill="chat", created_unix_ms=0, peer="\r\nx-evil: 1")
    answer = Answered(task, None, data, media_type)
    reply = answer.chat(100)
    assert reply.finish_reason in ("stop", "length", "content_filter")
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    assert all(value.isprintable() and value.isascii() for value in answer.headers().values())
