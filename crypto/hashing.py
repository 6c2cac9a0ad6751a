"""SHA-256 with a domain label, so that a digest made for one purpose never equals one made for another."""

import hashlib


def tagged_hash(label: bytes, *parts: bytes) -> bytes:
    """The 32-byte SHA-256 of `parts` under the domain `label`.

    Every part is preceded by its length (8 bytes, big-endian): ("ab", "c") and ("a", "bc") differ.
    """
    content = b"coalesced/" + label + b"/1\x00"
    for part in parts:
        content += len(part).to_bytes(8, "big") + part
    return hashlib.sha256(content).digest()
