"""The bounded field types that messages are made of. No float: money in micro-dollars, ratios in parts per million."""

from typing import Annotated

from msgspec import Meta

Id16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""A random 128-bit identifier (task, quote, salt)."""
Hash32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A SHA-256 digest."""
Key32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""An Ed25519 public key."""
Signature64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
Micro = Annotated[int, Meta(ge=0, le=10**15)]
"""Micro-dollars; the limit, a billion dollars, only keeps sums inside 64 bits."""
Ppm = Annotated[int, Meta(ge=0, le=1_000_000)]
MAX_MILLIS = 10**11
Millis = Annotated[int, Meta(ge=0, le=MAX_MILLIS)]
"""A duration in milliseconds, at most about three years."""
UnixMillis = Annotated[int, Meta(ge=0, le=2**53)]
Size = Annotated[int, Meta(ge=0, le=2**40)]
"""A byte count of at most 1 TiB."""
Label = Annotated[str, Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._/-]{0,62}[a-z0-9])?\Z", max_length=64)]
"""A skill label, as sellers publish it: lower case, digits, '.', '_', '/', '-'."""
ShortText = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
MediaType = Annotated[str, Meta(pattern=r"\A[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}\Z", max_length=121)]
SignedBody = Annotated[bytes, Meta(min_length=1, max_length=4096)]
"""The exact bytes a signature covers; decoded only after the signature was checked."""
