"""The kept inputs: `seed-*` made from real values by make(), `found-*` what once went wrong. One folder a target."""

import hashlib
from pathlib import Path

from tests.fuzz.target import Target

ROOT = Path(__file__).with_name("corpus")
MAX_ENTRY_BYTES = 8_192


def load(target: Target) -> list[bytes]:
    """All entries of a target, in the order of their names."""
    return [path.read_bytes() for path in sorted((ROOT / target.name).glob("*.bin"))]


def make(target: Target) -> int:
    """Write the seeds of a target afresh, leaving what was found; how many bytes they have."""
    folder = ROOT / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*.bin"):
        old.unlink()
    total = 0
    for data in target.seeds():
        assert len(data) <= MAX_ENTRY_BYTES, f"{target.name}: a seed of {len(data)} bytes is over {MAX_ENTRY_BYTES}"
        (folder / f"seed-{digest(data)}.bin").write_bytes(data)
        total += len(data)
    return total


def digest(data: bytes) -> str:
    """The name of an input."""
    return hashlib.sha256(data).hexdigest()[:12]
