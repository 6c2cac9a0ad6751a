"""The settings of a registry, and of whoever asks one."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from node.errors import UsageError
from node.net.endpoint import parse_endpoint


class RegistryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Being a registry, and using some."""

    serve: bool = False
    """Serve signed records, cards, certificates and reputation sums over HTTP on the public port
    (`start --registry`)."""
    use: Annotated[tuple[str, ...], Meta(max_length=8)] = ()
    """Registries, as host:port or http(s)://host: told what this node sells, and asked where the DHT knows nobody. A
    registry learns what is looked for, which is why it is not asked first."""
    compare_s: Annotated[float, Meta(ge=0, le=86_400)] = 600.0
    """How often, at most, a registry is asked for a key that the DHT has answered, to notice who hides sellers: ten
    minutes tell it little of what is bought here. 0: never."""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 2.0
    """For one registry's answer: a slow one must not use up the time for quotes."""
    cached_records: Annotated[int, Meta(ge=0, le=100_000)] = 2_048
    """Records kept in node.db until they expire, for when neither the DHT nor a registry answers: 1.5 MiB at most."""
    lan: bool = False
    """Find nodes in the local network by multicast DNS, and let them find this one (extra `lan`). Off: it tells all
    who are on the wire that a node runs here."""

    # --- the serving side
    max_records: Annotated[int, Meta(ge=1, le=100_000)] = 50_000
    """About 25 MiB at the usual size."""
    max_records_per_key: Annotated[int, Meta(ge=1, le=4_096)] = 4_096
    """HTTP pages where a datagram ends: eight times what a DHT node holds."""
    look_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    """How old the DHT's answer may be that is served for a key: as long as answers may be kept by caches."""
    requests_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 600
    """Per address, each published record counting as one: a signature takes 0.1 ms to check."""

    def __post_init__(self) -> None:
        for text in self.use:
            base_url(text)


def base_url(text: str) -> str:
    """Where a registry is served, without a slash at the end; ValueError for what is no address."""
    if "://" not in text:
        try:
            return f"http://{parse_endpoint(text)}"
        except UsageError as error:
            raise ValueError(f"use: {error}") from error
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"use: {text[:80]!r} is not a registry's address: write host:port or https://host")
    return text.rstrip("/")
