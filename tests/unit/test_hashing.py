"""Domain-separated hashing."""

import hashlib

from crypto.hashing import tagged_hash


def test_the_label_and_the_borders_between_parts_count() -> None:
    digests = {
        tagged_hash(b"a", b"bc"),
        tagged_hash(b"a", b"b", b"c"),
        tagged_hash(b"a", b"", b"bc"),
        tagged_hash(b"ab", b"c"),
        tagged_hash(b"a"),
    }
    assert len(digests) == 5


def test_the_form_is_the_documented_one() -> None:
    assert tagged_hash(b"x", b"yz") == hashlib.sha256(b"coalesced/x/1\0" + (2).to_bytes(8, "big") + b"yz").digest()
