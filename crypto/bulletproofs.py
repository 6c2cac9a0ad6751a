"""Range proofs that reveal nothing else: what a Pedersen commitment commits to is from 0 to 2^bits - 1.

Bünz et al., "Bulletproofs: Short Proofs for Confidential Transactions and More" (2018), 4.1 and 4.2, in the exact form
of dalek's bulletproofs (generators, transcript labels, encoding), whose published proofs we verify. We make proofs of
one commitment and check those of several.

    proof = A | S | T1 | T2 | t(x) | its blinding | e's blinding | L1 | R1 | ... | a | b      32 bytes each
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Final

from crypto.group import Group
from crypto.merlin import Transcript
from crypto.pedersen import BASE, BLINDING_BASE, commit
from crypto.ristretto import IDENTITY_ENCODED, ORDER, UNIFORM_BYTES, RistrettoError, encode, from_uniform, inverses

BITS: Final = (8, 16, 32, 64)
MAX_COMMITMENTS: Final = 8
ENTROPY_BYTES: Final = 32
_WORD: Final = 32


class RangeProofError(ValueError):
    """A proof that does not hold, or a value that none can be made for."""


def proof_bytes(bits: int, commitments: int = 1) -> int:
    """The length of a proof: 608 bytes for one commitment of 32 bits."""
    return _WORD * (9 + 2 * ((bits * commitments).bit_length() - 1))


def prove(group: Group, transcript: Transcript, value: int, blinding: int, *, bits: int, entropy: bytes) -> bytes:
    """That commit(value, blinding) is in range, bound to all that `transcript` holds. `entropy`: 32 fresh bytes.

    RangeProofError when the value is not in range: there is no such proof to make.
    """
    _check_shape(bits, 1)
    if not 0 <= value < 1 << bits:
        raise RangeProofError(f"the value is not one of {bits} bits: no proof of that can be made")
    draw = _scalars(entropy, value, blinding)
    gs, hs = _generators(bits, 1)
    group.keep([*gs, *hs, BASE, BLINDING_BASE])
    _begin(transcript, bits, [commit(group, value, blinding)])

    a_l = [value >> at & 1 for at in range(bits)]
    a_r = [bit - 1 for bit in a_l]
    s_l, s_r = list(islice(draw, bits)), list(islice(draw, bits))
    alpha, rho, tau1, tau2 = islice(draw, 4)
    a_point = group.combine([alpha, *a_l, *a_r], [BLINDING_BASE, *gs, *hs])
    s_point = group.combine([rho, *s_l, *s_r], [BLINDING_BASE, *gs, *hs])
    transcript.append(b"A", a_point)
    transcript.append(b"S", s_point)
    y, z = transcript.challenge_scalar(b"y"), transcript.challenge_scalar(b"z")

    ys = list(_powers(y, bits))
    l0 = [bit - z for bit in a_l]
    r0 = [y_i * (bit + z) + z * z * (1 << at) for at, (y_i, bit) in enumerate(zip(ys, a_r, strict=True))]
    r1 = [y_i * s for y_i, s in zip(ys, s_r, strict=True)]
    t0, t1, t2 = _inner(l0, r0), _inner(l0, r1) + _inner(s_l, r0), _inner(s_l, r1)
    t1_point, t2_point = commit(group, t1, tau1), commit(group, t2, tau2)
    transcript.append(b"T_1", t1_point)
    transcript.append(b"T_2", t2_point)
    x = transcript.challenge_scalar(b"x")

    t_x = (t0 + t1 * x + t2 * x * x) % ORDER
    t_x_blinding = (z * z * blinding + tau1 * x + tau2 * x * x) % ORDER
    e_blinding = (alpha + rho * x) % ORDER
    w = _finish(transcript, t_x, t_x_blinding, e_blinding)
    left = [(zero + one * x) % ORDER for zero, one in zip(l0, s_l, strict=True)]
    right = [(zero + one * x) % ORDER for zero, one in zip(r0, r1, strict=True)]
    scaled = [*_powers(pow(y, -1, ORDER), bits)]
    inner = _prove_inner(group, transcript, w, scaled, left, right, gs, hs)
    scalars = b"".join(scalar.to_bytes(_WORD, "little") for scalar in (t_x, t_x_blinding, e_blinding))
    return a_point + s_point + t1_point + t2_point + scalars + inner


def verify(group: Group, transcript: Transcript, commitments: Sequence[bytes], proof: bytes, *, bits: int) -> None:
    """RangeProofError unless every commitment is in range and the proof was made with this very transcript."""
    _check_shape(bits, len(commitments))
    parts = _split(proof, bits * len(commitments))
    m, n = len(commitments), bits
    gs, hs = _generators(bits, m)
    group.keep([*gs, *hs, BASE, BLINDING_BASE], often=True)
    _begin(transcript, bits, commitments)
    _append_point(transcript, b"A", parts.a_point)
    _append_point(transcript, b"S", parts.s_point)
    y, z = transcript.challenge_scalar(b"y"), transcript.challenge_scalar(b"z")
    _append_point(transcript, b"T_1", parts.t1_point)
    _append_point(transcript, b"T_2", parts.t2_point)
    x = transcript.challenge_scalar(b"x")
    w = _finish(transcript, parts.t_x, parts.t_x_blinding, parts.e_blinding)
    us = _inner_challenges(transcript, n * m, parts)
    y_inverse, *us_inverses = inverses([y, *us], ORDER)  # a challenge is 0 once in 2^252 times

    # Two equations, for t(x) and for the inner product, checked as one: c is drawn after all of the proof is fixed.
    c = int.from_bytes(hashlib.sha512(transcript.challenge(b"batch", 32) + proof).digest(), "little") % ORDER
    zz, a, b = z * z % ORDER, parts.a, parts.b
    s = _folding(us, us_inverses)
    g_scalars = [-z - a * s_i for s_i in s]
    y_powers = _powers(y_inverse, n * m)
    places = [zz * z_j * (1 << at) for z_j in _powers(z, m) for at in range(n)]
    h_scalars = [
        z + y_power * (place - b * s_inverse)
        for y_power, place, s_inverse in zip(y_powers, places, reversed(s), strict=True)
    ]
    delta = (z - zz) * sum(_powers(y, n * m)) - z * zz * ((1 << n) - 1) * sum(_powers(z, m))
    base_scalar = w * (parts.t_x - a * b) + c * (delta - parts.t_x)
    scalars = [1, x, c * x, c * x * x, base_scalar, -parts.e_blinding - c * parts.t_x_blinding]
    points = [parts.a_point, parts.s_point, parts.t1_point, parts.t2_point, BASE, BLINDING_BASE]
    for u, inverse, l_point, r_point in zip(us, us_inverses, parts.l_points, parts.r_points, strict=True):
        scalars += [u * u, inverse * inverse]
        points += [l_point, r_point]
    scalars += [c * zz * z_j for z_j in _powers(z, m)]
    points += commitments
    try:
        total = group.combine([*scalars, *g_scalars, *h_scalars], [*points, *gs, *hs])
    except RistrettoError as error:
        raise RangeProofError(f"a part of the proof or a commitment is no element: {error}") from error
    if total != IDENTITY_ENCODED:
        raise RangeProofError("the range proof does not hold for this commitment and this context")


@dataclass(frozen=True, slots=True)
class _Parts:
    a_point: bytes
    s_point: bytes
    t1_point: bytes
    t2_point: bytes
    t_x: int
    t_x_blinding: int
    e_blinding: int
    l_points: tuple[bytes, ...]
    r_points: tuple[bytes, ...]
    a: int
    b: int


def _split(proof: bytes, size: int) -> _Parts:
    rounds = size.bit_length() - 1
    if len(proof) != _WORD * (9 + 2 * rounds):
        raise RangeProofError(f"a proof of {len(proof)} bytes is not one of {_WORD * (9 + 2 * rounds)}")
    words = [proof[at : at + _WORD] for at in range(0, len(proof), _WORD)]
    numbers = [int.from_bytes(word, "little") for word in (*words[4:7], *words[-2:])]
    if any(number >= ORDER for number in numbers):
        raise RangeProofError("a number of the proof is not below the group's order: a second spelling of another")
    t_x, t_x_blinding, e_blinding, a, b = numbers
    folded = words[7:-2]
    return _Parts(
        words[0],
        words[1],
        words[2],
        words[3],
        t_x,
        t_x_blinding,
        e_blinding,
        tuple(folded[::2]),
        tuple(folded[1::2]),
        a,
        b,
    )


def _check_shape(bits: int, commitments: int) -> None:
    if bits not in BITS or commitments not in (1, 2, 4, MAX_COMMITMENTS):
        raise RangeProofError(
            f"range proofs are of {BITS} bits and 1, 2, 4 or 8 commitments, not {bits}, {commitments}"
        )


@cache
def _generators(bits: int, parties: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The Gs and Hs: for each commitment a chain of elements drawn by SHAKE256, as in dalek's generators.rs."""
    chains = []
    for kind in (b"G", b"H"):
        drawn: list[bytes] = []
        for party in range(parties):
            stream = hashlib.shake_256(b"GeneratorsChain" + kind + party.to_bytes(4, "little"))
            data = stream.digest(UNIFORM_BYTES * bits)
            drawn += [encode(from_uniform(data[at : at + UNIFORM_BYTES])) for at in range(0, len(data), UNIFORM_BYTES)]
        chains.append(tuple(drawn))
    return chains[0], chains[1]


def _begin(transcript: Transcript, bits: int, commitments: Sequence[bytes]) -> None:
    transcript.append(b"dom-sep", b"rangeproof v1")
    transcript.append_u64(b"n", bits)
    transcript.append_u64(b"m", len(commitments))
    for commitment in commitments:
        transcript.append(b"V", commitment)


def _finish(transcript: Transcript, t_x: int, t_x_blinding: int, e_blinding: int) -> int:
    transcript.append_scalar(b"t_x", t_x)
    transcript.append_scalar(b"t_x_blinding", t_x_blinding)
    transcript.append_scalar(b"e_blinding", e_blinding)
    return transcript.challenge_scalar(b"w")


def _append_point(transcript: Transcript, label: bytes, point: bytes) -> None:
    if point == IDENTITY_ENCODED:
        raise RangeProofError("a part of the proof is the identity, which no prover draws")
    transcript.append(label, point)


def _prove_inner(
    group: Group,
    transcript: Transcript,
    w: int,
    h_scales: list[int],
    a: list[int],
    b: list[int],
    gs: Sequence[bytes],
    hs: Sequence[bytes],
) -> bytes:
    """The inner-product argument (3.1) for <a, b>, in halving rounds.

    Instead of folding the generators, it keeps by which factor each counts after the rounds so far: generators have
    their multiples prepared, and what is folded would not.
    """
    size = len(a)
    g_scales = [1] * size
    transcript.append(b"dom-sep", b"ipp v1")
    transcript.append_u64(b"n", size)
    out = b""
    while len(a) > 1:
        half, width = len(a) // 2, len(a)
        upper = [at for at in range(size) if at % width >= half]
        lower = [at for at in range(size) if at % width < half]
        folded = []
        for g_side, h_side, g_shift, h_shift in ((upper, lower, -half, half), (lower, upper, half, -half)):
            scalars = [w * sum(a[at % width + g_shift] * b[at % width] for at in g_side if at < width)]
            scalars += [a[at % width + g_shift] * g_scales[at] for at in g_side]
            scalars += [b[at % width + h_shift] * h_scales[at] for at in h_side]
            points = [BASE, *(gs[at] for at in g_side), *(hs[at] for at in h_side)]
            folded.append(group.combine(scalars, points))
        transcript.append(b"L", folded[0])
        transcript.append(b"R", folded[1])
        out += folded[0] + folded[1]
        u = transcript.challenge_scalar(b"u")
        inverse = pow(u, -1, ORDER)
        a = [(a[at] * u + a[at + half] * inverse) % ORDER for at in range(half)]
        b = [(b[at] * inverse + b[at + half] * u) % ORDER for at in range(half)]
        for at in lower:
            g_scales[at], h_scales[at] = g_scales[at] * inverse % ORDER, h_scales[at] * u % ORDER
        for at in upper:
            g_scales[at], h_scales[at] = g_scales[at] * u % ORDER, h_scales[at] * inverse % ORDER
    return out + a[0].to_bytes(_WORD, "little") + b[0].to_bytes(_WORD, "little")


def _inner_challenges(transcript: Transcript, size: int, parts: _Parts) -> list[int]:
    transcript.append(b"dom-sep", b"ipp v1")
    transcript.append_u64(b"n", size)
    us = []
    for l_point, r_point in zip(parts.l_points, parts.r_points, strict=True):
        _append_point(transcript, b"L", l_point)
        _append_point(transcript, b"R", r_point)
        us.append(transcript.challenge_scalar(b"u"))
    return us


def _folding(us: Sequence[int], inverses: Sequence[int]) -> list[int]:
    """By which factor each generator counts after all rounds: the product of u or 1/u, by the bits of its index."""
    scales = [1]
    for u, inverse in zip(us, inverses, strict=True):
        scales = [scale * factor % ORDER for scale in scales for factor in (inverse, u)]
    return scales


def _powers(base: int, count: int) -> Iterator[int]:
    power = 1
    for _ in range(count):
        yield power
        power = power * base % ORDER


def _inner(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(one, other, strict=True)) % ORDER


def _scalars(entropy: bytes, value: int, blinding: int) -> Iterator[int]:
    """Fresh scalars. They depend on the secrets too, so that two proofs of one bad entropy still share no mask."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a proof needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    seed = entropy + (value % ORDER).to_bytes(_WORD, "little") + (blinding % ORDER).to_bytes(_WORD, "little")
    counter = 0
    while True:
        drawn = hashlib.sha512(b"coalesced/range-proof/1\x00" + seed + counter.to_bytes(8, "big")).digest()
        yield int.from_bytes(drawn, "little") % ORDER
        counter += 1
