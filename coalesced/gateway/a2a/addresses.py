"""Addresses that strangers name: which of them may be called, without being led into networks of our own.

An address is looked at twice: when it is named, and when a connection to it is opened. Only the second counts, since a
name may mean another machine by then; the first says early what would never work.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

MAX_URL_CHARS: Final = 2048


def is_public(address: str) -> bool:
    """Whether an IP address is a machine's on the open internet: not this one's, its networks', or nobody's."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        parsed = inner or parsed
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not parsed.is_unspecified


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; what the connection is opened to is what was looked at."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`; OSError when one of them is not public."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise OSError(None, f"{host} has an address that is not public")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


def url_check(*, allow_private: bool) -> Callable[[str], Awaitable[bool]]:
    """What says, of an address that a caller names, whether it may be told."""

    async def check(url: str) -> bool:
        if not _is_well_formed(url):
            return False
        host = urlsplit(url).hostname or ""
        if allow_private:
            return True
        if _is_address(host):
            return is_public(host)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return True  # No name yet. When there is something to tell, the resolver above decides.
        return all(is_public(str(one[4][0])) for one in found)

    return check


def _is_well_formed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    has_login = parts.username is not None or parts.password is not None
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not has_login and len(url) <= MAX_URL_CHARS


def _is_address(host: str) -> bool:
    """Whether `host` is a number: in any of the forms that a C library takes, 0x7f.1 among them."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except (OSError, ValueError):
            return False
    return True
