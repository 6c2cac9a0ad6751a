"""Where this node listens, and which address its peers are told."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.errors import UsageError
from node.net.endpoint import Endpoint, endpoint
from node.net.ports import free_port, has_ipv6_loopback, is_free, local_address, refuse_foreign

WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  recognised, never a default without a bootstrap elsewhere
FAR_AWAY = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): routed like any other address, so it tells which own address faces the world."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What was decided, and one sentence about it for the owner."""

    listen: tuple[Endpoint, ...]
    advertised: Endpoint
    explanation: str


def resolve(
    *,
    listen: Sequence[Endpoint],
    port: int,
    port_is_fixed: bool,
    advertise: Endpoint | None,
    bootstrap: Sequence[Endpoint],
) -> Addresses:
    """Choose addresses and a port. ListenError when a given port is taken or an address is not this machine's.

    Without `listen`, loopback alone, unless a bootstrap address is on another machine: then every address.
    """
    far = [one for one in bootstrap if not one.is_loopback]
    if listen:
        hosts, wanted, why = [one.host for one in listen], listen[0].port, "as told"
        if len({one.port for one in listen}) > 1:
            raise UsageError("all listen addresses must have the same port: UDP and TCP share one number")
        port_is_fixed = wanted != 0
    elif far:
        hosts, wanted = ["0.0.0.0"], port  # noqa: S104  the owner named a peer on another machine
        why = f"on all addresses, because {far[0]} is on another machine"
    else:
        hosts = ["127.0.0.1", "::1"] if has_ipv6_loopback() else ["127.0.0.1"]
        wanted, why = port, "only reachable from this machine; --listen opens it"
    refuse_foreign(hosts)
    chosen = _port(hosts, wanted, port_is_fixed)
    if wanted and chosen != wanted:
        why += f"; port {wanted} was taken"
    bound = tuple(endpoint(host, chosen) for host in hosts)
    return Addresses(bound, advertise or _advertised(bound, far), why)


def _port(hosts: Sequence[str], wanted: int, is_fixed: bool) -> int:
    if wanted and (is_fixed or is_free(hosts, wanted)):
        return wanted  # a taken one is then refused by the listener itself, which says by name what is wrong
    return free_port(hosts)


def _advertised(bound: Sequence[Endpoint], far: Sequence[Endpoint]) -> Endpoint:
    """The first address that is not a wildcard; behind one, the own address that faces the peers."""
    for one in bound:
        if one.host not in WILDCARDS:
            return one
    towards = far[0].host if far else FAR_AWAY
    return endpoint(local_address(towards) or "127.0.0.1", bound[0].port)
