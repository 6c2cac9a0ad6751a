"""The local network: nodes find each other by multicast DNS (RFC 6762, 6763), where their owners let them.

What is found this way is an address to join the DHT through, and no more: who is there proves its key as anywhere, and
sellers are then found as anywhere.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from dht.contacts import packed_host
from node.errors import NodeError
from node.net.endpoint import Endpoint

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

log = structlog.get_logger()

SERVICE: Final = "_coalesced._udp.local."
MAX_NEIGHBOURS: Final = 16
"""Addresses taken from the wire: anybody on it can announce any."""
RESOLVE_MS: Final = 1_000


class Neighbours(Protocol):
    """What sources know of the local network."""

    async def open(self) -> None:
        """Announce this node and listen."""
        ...  # pragma: no cover

    async def met_another(self, timeout_s: float) -> bool:
        """Whether the DHT can be joined through a neighbour, once one is known; waits for so long at most."""
        ...  # pragma: no cover

    async def close(self) -> None:
        """Say goodbye."""
        ...  # pragma: no cover


class ExtraMissingError(NodeError):
    """The package for it is not installed."""

    code = "extra_missing"


class Lan:
    """Announces one node of `network` and joins through others."""

    def __init__(
        self,
        *,
        own: Endpoint,
        name: str,
        network: str,
        join: Callable[[str, int], None],
        has_contacts: Callable[[], bool],
    ) -> None:
        """`name`: the node's short id; `join` is called with every neighbour's address, once."""
        self._own = own
        self._name = name
        self._network = network
        self._join = join
        self._has_contacts = has_contacts
        self._known: set[tuple[str, int]] = set()
        self._met = asyncio.Event()
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._resolving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Announce and browse; ExtraMissingError without zeroconf. A network without multicast is only logged."""
        zeroconf, asynchronous = _loaded()
        try:
            interfaces = [self._own.host] if self._own.is_loopback else zeroconf.InterfaceChoice.All
            made = asynchronous.AsyncZeroconf(interfaces=interfaces)
            self._zeroconf = made
            info: ServiceInfo = zeroconf.ServiceInfo(
                SERVICE,
                f"{self._name}.{SERVICE}",
                addresses=[packed_host(self._own.host)],
                port=self._own.port,
                properties={"network": self._network},
            )
            await made.async_register_service(info, cooperating_responders=True, allow_name_change=True)
        except (OSError, zeroconf.Error) as error:
            log.warning("lan.unusable", error=str(error) or type(error).__name__)
            return

        def changed(*, zeroconf: "Zeroconf", service_type: str, name: str, state_change: object) -> None:
            if not name.startswith(f"{self._name}.") and len(self._known) < MAX_NEIGHBOURS:
                task = asyncio.get_running_loop().create_task(self._resolve(service_type, name))
                self._resolving.add(task)
                task.add_done_callback(self._resolving.discard)

        self._browser = asynchronous.AsyncServiceBrowser(made.zeroconf, SERVICE, handlers=[changed])

    async def _resolve(self, service_type: str, name: str) -> None:
        assert self._zeroconf is not None
        info = await self._zeroconf.async_get_service_info(service_type, name, timeout=RESOLVE_MS)
        if info is None or (info.properties or {}).get(b"network") != self._network.encode():
            return
        for host in info.parsed_addresses()[:2]:
            where = Endpoint(host, info.port or 0)
            if not where.port or not where.may_be_dialled_from(self._own) or (host, where.port) in self._known:
                continue
            self._known.add((host, where.port))
            log.info("lan.neighbour", endpoint=str(where))
            self._join(host, where.port)
            self._met.set()

    async def met_another(self, timeout_s: float) -> bool:
        """See `Neighbours`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._met.wait()
                while not self._has_contacts():  # noqa: ASYNC110  # discovery has no event for it
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """See `Neighbours`."""
        for task in self._resolving:
            task.cancel()
        if self._browser is not None:
            await self._browser.async_cancel()
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()


def _loaded() -> tuple[Any, Any]:
    try:
        import zeroconf
        from zeroconf import asyncio as asynchronous
    except ModuleNotFoundError as error:
        raise ExtraMissingError(
            f"registry.lan needs a package that is not installed ({error.name}): pip install 'coalesced[lan]'"
        ) from error
    return zeroconf, asynchronous
