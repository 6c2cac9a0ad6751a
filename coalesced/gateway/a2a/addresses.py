"""Addresses that strangers name: which of them may be called, without being led into networks of our own.

An address is looked at twice: when it is named, and when a connection to it is opened. Only the second counts, since a
name may mean another machine by then; the first says early what would never work.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from yarl import URL

MAX_URL_CHARS: Final = 2048
RESOLVE_S: Final = 5.0
"""Whose name servers do not answer must not hold up whoever names the address."""
CLOUDS_OWN: Final = tuple(ipaddress.ip_network(one) for one in ("192.0.0.0/24", "168.63.129.16/32"))
"""Where clouds tell a machine its secrets, though not every Python knows the addresses as private."""


def is_public(address: str) -> bool:
    """Whether an IP address is a machine's on the open internet: not this one's, its networks', or nobody's."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        parsed = inner or parsed
    if any(parsed in network for network in CLOUDS_OWN):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not parsed.is_unspecified


def connector(*, allow_private: bool) -> aiohttp.TCPConnector:
    """What opens a client's connections: only to public addresses, however they were written, or to any."""
    return aiohttp.TCPConnector(socket_factory=None if allow_private else public_socket, use_dns_cache=False)


def public_socket(towards: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for a connection to an address that was resolved; OSError when it is not public."""
    family, kind, protocol, _, where = towards
    if not is_public(str(where[0])):
        raise OSError(None, f"{where[0]} is not public")
    return socket.socket(family, kind, protocol)


def url_check(*, allow_private: bool, resolve_s: float = RESOLVE_S) -> Callable[[str], Awaitable[bool]]:
    """What says, of an address that a caller names, whether it may be told; a name is looked up for `resolve_s`."""

    async def check(url: str) -> bool:
        host = _host(url)
        if not host or allow_private:
            return bool(host)
        if _is_address(host):
            return is_public(host)
        try:
            async with asyncio.timeout(resolve_s):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return True  # No name yet. When there is something to tell, its address is looked at.
        return all(is_public(str(one[4][0])) for one in found)

    return check


def _host(url: str) -> str:
    """The host of a URL as the HTTP client reads it, digits of any script included; empty when the URL will not do."""
    if len(url) > MAX_URL_CHARS:
        return ""
    try:
        read = URL(url)
    except ValueError:
        return ""
    has_login = read.user is not None or read.password is not None
    return (read.raw_host or "") if read.scheme in ("http", "https") and not has_login else ""


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
