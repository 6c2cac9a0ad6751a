"""Judging a delivered result: what a judgement is, and the checks that need no knowledge of the skill. Pure."""

import json
import math
from dataclasses import dataclass

from node.tasks.checks import CheckMade

FULL_SCORE_PPM = 1_000_000
RELATIVE_TOLERANCE = 1e-6
"""How far numbers of two honest runs may differ: libraries and processors round differently."""
MAX_DEPTH = 64
MAX_REASON_CHARS = 1_000
"""A reason is stored and shown, and may quote a result: what is kept of it is not for the seller to choose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: how much of the asked quality is there (ppm), and what was wrong or worth saying."""

    score_ppm: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one result, and the CPU seconds that it cost."""

    accepted: bool
    score_ppm: int
    reasons: tuple[str, ...] = ()
    cpu_s: float = 0.0
    checks: tuple[CheckMade, ...] = ()
    """What was looked at, where the level is made up of single checks."""
    cost_micro: int = 0
    """What somebody else charged for checking."""
    unmade: str = ""
    """Why a check that was asked for could not be made, by no fault of the work: it is paid for and not handed over."""


def judge(finding: Finding, *, min_score_ppm: int, cpu_s: float) -> Judgement:
    """Accept when the score reaches `min_score_ppm`; a refusal always says why."""
    accepted = finding.score_ppm >= min_score_ppm
    reasons = tuple(reason[:MAX_REASON_CHARS] for reason in finding.reasons)
    if not accepted:
        reasons = (
            *reasons,
            f"score {finding.score_ppm / 10_000:.1f} % is under the {min_score_ppm / 10_000:.1f} % asked",
        )
    return Judgement(accepted=accepted, score_ppm=finding.score_ppm, reasons=reasons, cpu_s=cpu_s)


def check_form(output: bytes, media_type: str, *, expected_media_type: str = "", max_bytes: int = 2**40) -> Finding:
    """Size, media type and, for text and JSON, well-formedness; the score is 0 or full."""
    if len(output) > max_bytes:
        return Finding(0, (f"the result has {len(output)} bytes, over the limit of {max_bytes}",))
    if expected_media_type and media_type != expected_media_type:
        return Finding(0, (f"the result is {media_type}, not the {expected_media_type} asked for",))
    if not output:
        return Finding(0, ("the result is empty",))
    if media_type == "application/json":
        try:
            value = json.loads(output)
        except (ValueError, RecursionError) as error:
            return Finding(0, (f"the result is not JSON: {error}",))
        if value is None or value in ({}, []):
            return Finding(0, ("the result is an empty JSON value",))
    elif media_type.startswith("text/"):
        try:
            output.decode()
        except UnicodeDecodeError as error:
            return Finding(0, (f"the result is not UTF-8 text: {error}",))
    return Finding(FULL_SCORE_PPM)


def check_agreement(first: bytes, second: bytes, media_type: str) -> Finding:
    """Whether two independent results of one task say the same (redundant verification).

    JSON is compared as a value, numbers within a relative 1e-6; text without regard to white space; anything
    else byte by byte.
    """
    if first == second:
        return Finding(FULL_SCORE_PPM)
    if media_type == "application/json":
        try:
            difference = _difference(json.loads(first), json.loads(second), "$", MAX_DEPTH)
        except (ValueError, OverflowError, RecursionError) as error:
            return Finding(0, (f"one of the two results cannot be compared: {error}",))
        return Finding(0, (f"the two results differ at {difference}",)) if difference else Finding(FULL_SCORE_PPM)
    if media_type.startswith("text/") and first.split() == second.split():
        return Finding(FULL_SCORE_PPM)
    return Finding(0, ("the two results differ",))


def _difference(first: object, second: object, path: str, depth: int) -> str:
    """The path of the first difference between two JSON values; empty when there is none."""
    if depth == 0:
        return "" if first == second else path
    if isinstance(first, bool) or isinstance(second, bool):
        return "" if first is second else path
    if isinstance(first, int | float) and isinstance(second, int | float):
        return "" if math.isclose(first, second, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12) else path
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return path
        pairs = [(first[key], second[key], f"{path}.{key}") for key in first]
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return path
        pairs = [(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(first, second, strict=True))]
    else:
        return "" if first == second else path
    for a, b, place in pairs:
        if found := _difference(a, b, place, depth - 1):
            return found
    return ""
