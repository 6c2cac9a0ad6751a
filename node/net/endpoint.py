"""An address to listen on or to dial: host and port, in one spelling."""

import ipaddress
import re
from dataclasses import dataclass

from node.errors import UsageError

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\.?\Z){_LABEL}\.?")
"""The last label is not a number: 1.2.3 and 1.2.3.400 are mistyped addresses, not names."""
_OWN_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
MAX_HOST_CHARS = 253
"""RFC 1035, 2.3.4, in the dotted form."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A host, as a numeric address in its canonical form or as a lower-case name, and a port; port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it can only be reached from this machine."""
        address = _address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def may_be_dialled_from(self, own: "Endpoint") -> bool:
        """Whether a peer that names this address as its own can mean it, seen from a node at `own`.

        Loopback, unspecified, link-local and multicast addresses of a stranger would point into this machine or its
        wire. On loopback itself, as in a test network, everybody is at home.
        """
        address = _address(self.host)
        if own.is_loopback:
            return address is None or not address.is_multicast
        if address is None:
            return self.host != "localhost"
        return not (address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast)

    @property
    def address_group(self) -> str:
        """What one party can be taken to control: an IPv4 address, an IPv6 /64 (RFC 6177), a name."""
        address = _address(self.host)
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.IPv6Network((address, 64), strict=False))
        return self.host

    @property
    def subnet(self) -> str:
        """What one party can rent whole, and thus fill with keys: an IPv4 /24, an IPv6 /48.

        Empty for a name, which proves nothing, and for loopback, link-local and private addresses: there an owner, or
        a test network, has many nodes side by side.
        """
        address = _address(self.host)
        if address is None or any(
            address in network for network in _OWN_NETWORKS if network.version == address.version
        ):
            return ""
        return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def endpoint(host: str, port: int) -> Endpoint:
    """An endpoint in canonical form; UsageError when it can be none."""
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} is not between 0 and 65535")
    address = _address(host)
    if address is not None:
        return Endpoint(str(address), port)
    name = host.lower()
    if len(name) > MAX_HOST_CHARS or not _HOST_NAME.fullmatch(name):
        raise UsageError(f"{host[:80]!r} is neither an IP address nor a host name")
    return Endpoint(name, port)


def parse_endpoint(text: str) -> Endpoint:
    """Read "host:port" or "[ipv6]:port"; UsageError otherwise."""
    match = re.fullmatch(r"\[([0-9a-fA-F.]*:[0-9a-fA-F:.]*)\]:([0-9]{1,5})|([^:\[\]]+):([0-9]{1,5})", text.strip())
    if match is None:
        raise UsageError(f"{text[:80]!r} is not an address: write host:port, or [address]:port for IPv6")
    bracketed, bracketed_port, host, port = match.groups()
    return endpoint(bracketed or host, int(bracketed_port or port))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
