"""What the checks of the builtin skills find: written by `scripts/bench_skills powers --write`.

scripts/bench/forgers.py says what the kinds of dishonest work are.
"""

from protocol.specification import Level

AS_OF = "2026-11-21"
SOURCE = "scripts/bench_skills powers --tasks 60 --scale 0.25"

TRIED = 60
"""Results of each kind, and honest ones."""
FOUND: dict[str, dict[Level, dict[str, int]]] = {
    "document-analysis": {
        "cheap": {"cheaper": 60, "cut": 58, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
        "full": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
        "redundant": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
    },
    "portfolio": {
        "cheap": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 15},
        "full": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
        "redundant": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
    },
    "risk": {
        "cheap": {"cheaper": 60, "cut": 30, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 27},
        "full": {"cheaper": 60, "cut": 55, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 58},
        "redundant": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
    },
    "sentiment": {
        "cheap": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 0},
        "full": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 0},
        "redundant": {"cheaper": 60, "cut": 60, "fabricated": 60, "stale": 60, "truncated": 60, "tampered": 60},
    },
}
REFUSED: dict[str, dict[Level, int]] = {
    "document-analysis": {
        "cheap": 0,
        "full": 0,
        "redundant": 0,
    },
    "portfolio": {
        "cheap": 0,
        "full": 0,
        "redundant": 0,
    },
    "risk": {
        "cheap": 0,
        "full": 0,
        "redundant": 0,
    },
    "sentiment": {
        "cheap": 0,
        "full": 0,
        "redundant": 0,
    },
}
"""Honest ones that were refused."""
WORK_SHARE: dict[str, dict[Level, float]] = {
    "document-analysis": {
        "cheap": 0.082,
        "full": 0.37,
        "redundant": 0.37,
    },
    "portfolio": {
        "cheap": 0.07,
        "full": 0.082,
        "redundant": 0.083,
    },
    "risk": {
        "cheap": 0.046,
        "full": 0.168,
        "redundant": 0.168,
    },
    "sentiment": {
        "cheap": 0.087,
        "full": 0.147,
        "redundant": 0.148,
    },
}
"""CPU time of the check, as a share of the work at full effort."""
