"""New inputs out of old ones. Everything is drawn from the generator that is passed in: equal seeds, equal inputs."""

from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz import scripts, trees
from tests.fuzz.target import Form

COUNTS = (1, 1, 1, 2, 2, 3, 5, 8)
"""How many mutations an input gets; mostly few, so that most of it stays right and the deep places are reached."""
BYTES = (0x00, 0x01, 0x0A, 0x20, 0x22, 0x27, 0x2C, 0x5B, 0x5C, 0x7B, 0x7F, 0x80, 0xC0, 0xC1, 0xDC, 0xDF, 0xFE, 0xFF)
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63, 2**64 - 1)
TEXTS = (
    "\0", "\x1b[31m", "\r\n", "\u2028", "\u202e", "\ufeff", "\ud800", "é" * 40, "İ", "ﬃ", "👩‍👩‍👧", "..", "../..", "/",
    "a" * 70, "-", "'", '"', "\\", "#", "$_", "|", ">", "&", "%00", "%2f", "=", "[", "]]", "9" * 30, "-1", "1e999",
    "nan", "inf", "[" * 1500, "true", "null", "١٢", "0x10", "1_000", "::1", "[::]:0", ":", "@", " ", "\t",
)  # fmt: skip


class Mutator:
    """Draws inputs for one target from its corpus."""

    def __init__(self, form: Form, corpus: Sequence[bytes], max_bytes: int) -> None:
        assert corpus, "a target without a corpus cannot be fuzzed"
        self._form = form
        self._corpus = corpus
        self._max_bytes = max_bytes

    def draw(self, rng: Random) -> bytes:
        """One input of at most `max_bytes`."""
        data = rng.choice(self._corpus)
        for _ in range(rng.choice(COUNTS)):
            mutated = self._mutated(rng, data)
            # What became too long is cut as the last thing only: cut, hardly anything of it would be parsed.
            if len(mutated) <= 2 * self._max_bytes:
                data = mutated
        return data[: self._max_bytes]

    def _mutated(self, rng: Random, data: bytes) -> bytes:
        other = rng.choice(self._corpus)
        if self._form != "bytes" and rng.random() < 0.8:
            match self._form:
                case "msgpack" | "json":
                    return trees.mutated(rng, data, other, self._form)
                case "script":
                    return scripts.mutated(rng, data, other)
                case "text":
                    return _text(rng, data)
        return mutated_bytes(rng, data, other)


Mutation = Callable[[Random, bytes, bytes], bytes]


def mutated_bytes(rng: Random, data: bytes, other: bytes) -> bytes:
    """`data` with one change that knows nothing about its form."""
    mutation: Mutation = rng.choice(_MUTATIONS)
    return mutation(rng, data, other)


def _flip(rng: Random, data: bytes, _: bytes) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _set(rng: Random, data: bytes, _: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.choice(BYTES)]) + data[at + 1 :]


def _number(rng: Random, data: bytes, _: bytes) -> bytes:
    """A number of 1, 2, 4 or 8 bytes is overwritten: the lengths and counts of binary forms."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice(NUMBERS) if rng.random() < 0.7 else len(data) + rng.randint(-9, 9)
    at = rng.randrange(len(data) + 1)
    fitted = int(value % 2 ** (8 * width))
    return data[:at] + fitted.to_bytes(width, "big" if rng.random() < 0.7 else "little") + data[at + width :]


def _insert(rng: Random, data: bytes, _: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 16, 64))) + data[at:]


def _delete(rng: Random, data: bytes, _: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def _duplicate(rng: Random, data: bytes, _: bytes) -> bytes:
    start, end = _range(rng, data)
    many = rng.choice((2, 2, 3, 16)) if rng.random() < 0.95 else 4096 // max(1, end - start)
    return data[:start] + data[start:end] * many + data[end:]


def _truncate(rng: Random, data: bytes, _: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _splice(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _token(rng: Random, data: bytes, _: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TEXTS).encode(errors="surrogatepass") + data[at:]


def _range(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 32, 128)))


_MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _set, _set, _number, _number, _insert, _delete, _duplicate, _truncate, _splice, _token,
)  # fmt: skip


def _text(rng: Random, data: bytes) -> bytes:
    """A change between words or lines of a text."""
    breaks = b"\n" if rng.random() < 0.5 else b" "
    parts = data.split(breaks)
    at = rng.randrange(len(parts))
    match rng.randrange(5):
        case 0:
            parts[at] = rng.choice(TEXTS).encode(errors="surrogatepass")
        case 1:
            del parts[at]
        case 2:
            parts.insert(rng.randrange(len(parts) + 1), parts[at])
        case 3:
            other = rng.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        case _:
            parts[at] = mutated_bytes(rng, parts[at], b"")
    return breaks.join(parts)
