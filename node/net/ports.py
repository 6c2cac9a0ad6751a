"""One port number for UDP and TCP, on several addresses at once."""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

import psutil

from node.net.errors import ListenError

ATTEMPTS = 50
"""Free TCP ports tried until one is free in UDP and on every address too."""

MAX_NAMED = 12
"""Addresses named in an error: machines with containers have dozens."""


def is_free(hosts: Sequence[str], port: int) -> bool:
    """Whether `port` can be bound now in TCP and UDP on all `hosts`. ListenError when a host is not this machine's."""
    with ExitStack() as stack:
        try:
            for host in hosts:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    _bind(stack, host, port, kind)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ListenError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return True


def refuse_foreign(hosts: Sequence[str]) -> None:
    """ListenError, with this machine's own addresses, when one of `hosts` is the address of another."""
    for host in hosts:
        try:
            with ExitStack() as stack:
                _bind(stack, host, 0, socket.SOCK_STREAM)
        except OSError as error:
            # Whatever else is wrong will be found, and named, by whoever listens.
            if error.errno == errno.EADDRNOTAVAIL:
                raise ListenError(
                    f"{host} is no address of this machine, which has {', '.join(own_addresses())}: listen on one of "
                    "these or on all (0.0.0.0), and --advertise what peers reach from outside, such as a router"
                ) from error


def own_addresses() -> tuple[str, ...]:
    """The addresses of this machine's interfaces, IPv4 first; without link-local ones, which need a zone as well."""
    found = [
        (one.family != socket.AF_INET, one.address)
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family in (socket.AF_INET, socket.AF_INET6) and "%" not in one.address
    ]
    return tuple(address for _, address in sorted(found)[:MAX_NAMED])


def free_port(hosts: Sequence[str]) -> int:
    """A port that is free now in TCP and UDP on all `hosts`."""
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            port = int(_bind(stack, hosts[0], 0, socket.SOCK_STREAM).getsockname()[1])
        if is_free(hosts, port):
            return port
    raise ListenError(f"found no port that is free in TCP and UDP on {', '.join(hosts)}: give one with --port")


def has_ipv6_loopback() -> bool:
    """Whether this machine can be reached at ::1."""
    with ExitStack() as stack:
        try:
            _bind(stack, "::1", 0, socket.SOCK_STREAM)
        except OSError:
            return False
    return True


def local_address(towards: str, port: int = 9) -> str | None:
    """The address of this machine that packets towards a host would carry; nothing is sent."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(towards, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(where)
            return str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return None


def _bind(stack: ExitStack, host: str, port: int, kind: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = stack.enter_context(socket.socket(family, kind))
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        # A port in TIME_WAIT from our own last run is free.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((host, port))
    return opened
