"""Money promised and paid, under three caps: per day over all peers, outstanding per peer, and per subnet of strangers.

A reservation is stored durably before the award leaves, so neither a crash nor a power cut can lose a promise.
It counts on the (UTC) day on which it was made, at its full amount until it is settled, at what was paid from then
on; a released one counts nothing. After a restart the caller settles or releases what `open_reservations` gives.
"""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from node.errors import UsageError
from node.store.database import Database
from node.wording import usd

DAY_MS = 86_400_000
KEEP_DAYS = 90
"""Settled payments are kept at least this long, so that a clock set wrong for a while cannot free a cap."""


class Caps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this node may spend.

    `day_micro` bounds all reservations and payments of one UTC day. `peer_micro` bounds what one peer may cost if it
    cheats now: its open reservations plus value taken from it unchecked in the last `unverified_days`; a week by
    default, by which time a bad result has shown. `subnet_micro` bounds the same for all sellers of one subnet (an
    IPv4 /24, an IPv6 /48) together, as far as they were unproven (`decision.proven_jobs`) when they were hired: keys
    cost nothing, subnets do.
    """

    day_micro: Annotated[int, Meta(ge=0, le=10**15)] = 1_000_000
    """$1: a few hundred typical tasks, and pocket money if an agent runs away."""
    peer_micro: Annotated[int, Meta(ge=0, le=10**15)] = 250_000
    """$0.25 at the mercy of any one peer."""
    subnet_micro: Annotated[int, Meta(ge=0, le=10**15)] = 250_000
    """$0.25 as well: all the newcomers of a subnet together may cost what one peer may. Loopback and private addresses
    have no such cap."""
    unverified_days: Annotated[int, Meta(ge=1, le=365)] = 7


class Reservation(msgspec.Struct, frozen=True):
    """Money promised to a peer for a task, not yet settled."""

    task_id: bytes
    peer: bytes
    day: int
    reserved_unix_ms: int
    amount_micro: int
    unverified_micro: int = 0


class CapRefusal(msgspec.Struct, frozen=True):
    """Why a reservation was refused: which cap, its limit, what is used of it, what was asked."""

    cap: Literal["day", "peer", "subnet"]
    limit_micro: int
    used_micro: int
    asked_micro: int

    def __str__(self) -> str:
        return (
            f"{_CAPPED[self.cap]} would be {usd(self.used_micro + self.asked_micro)} ({usd(self.used_micro)} used and "
            f"{usd(self.asked_micro)} asked), over the cap of {usd(self.limit_micro)}: "
            f"raise caps.{self.cap}_micro to allow it"
        )


_CAPPED: Final = {
    "day": "today's spending",
    "peer": "the exposure to this peer",
    "subnet": "the exposure to unproven sellers of its subnet",
}


def day_of(unix_ms: int) -> int:
    """The UTC day number that a time falls on."""
    return unix_ms // DAY_MS


def day_used_micro(connection: sqlite3.Connection, day: int) -> int:
    """Reserved or paid on `day`, over all peers."""
    (used,) = connection.execute(
        "SELECT coalesce(sum(coalesce(paid_micro, amount_micro)), 0) FROM spending WHERE day = ?", (day,)
    ).fetchone()
    return int(used)


def of_task_micro(connection: sqlite3.Connection, task_id: bytes) -> int:
    """Reserved or paid for one task, its subtasks not included."""
    (used,) = connection.execute(
        "SELECT coalesce(sum(coalesce(paid_micro, amount_micro)), 0) FROM spending WHERE task_id = ?", (task_id,)
    ).fetchone()
    return int(used)


def peer_exposure_micro(connection: sqlite3.Connection, peer: bytes, day: int, unverified_days: int) -> int:
    """What `peer` may still cost: its open reservations, whenever made, plus recent value taken from it unchecked."""
    (promised,) = connection.execute(
        "SELECT coalesce(sum(amount_micro + unverified_micro), 0) FROM spending WHERE peer = ? AND paid_micro IS NULL",
        (peer,),
    ).fetchone()
    (unverified,) = connection.execute(
        "SELECT coalesce(sum(unverified_micro), 0) FROM spending WHERE peer = ? AND day > ? AND paid_micro IS NOT NULL",
        (peer, day - unverified_days),
    ).fetchone()
    return int(promised) + int(unverified)


def exposures_micro(
    connection: sqlite3.Connection, peers: Sequence[bytes], day: int, unverified_days: int
) -> dict[bytes, int]:
    """`peer_exposure_micro` of several."""
    return {peer: peer_exposure_micro(connection, peer, day, unverified_days) for peer in peers}


def subnet_exposure_micro(connection: sqlite3.Connection, subnet: str, day: int, unverified_days: int) -> int:
    """What those of `subnet` may still cost who were unproven when they were hired; counted as for one peer."""
    (exposed,) = connection.execute(
        "SELECT coalesce(sum(CASE WHEN paid_micro IS NULL THEN amount_micro ELSE 0 END + unverified_micro), 0)"
        " FROM spending WHERE subnet = ? AND subnet <> '' AND (paid_micro IS NULL OR day > ?)",
        (subnet, day - unverified_days),
    ).fetchone()
    return int(exposed)


def subnet_exposures_micro(
    connection: sqlite3.Connection, subnets: Collection[str], day: int, unverified_days: int
) -> dict[str, int]:
    """`subnet_exposure_micro` of several."""
    return {subnet: subnet_exposure_micro(connection, subnet, day, unverified_days) for subnet in subnets}


def reserve(
    connection: sqlite3.Connection,
    caps: Caps,
    task_id: bytes,
    peer: bytes,
    amount_micro: int,
    unix_ms: int,
    unverified_micro: int = 0,
    subnet: str = "",
) -> Reservation | CapRefusal:
    """Promise up to `amount_micro` to `peer`, or say which cap forbids it.

    `unverified_micro` is the value that the chosen verification level will leave unchecked; it counts towards
    exposures only. `subnet` is that of an unproven seller, empty where no such cap holds. A task has at most one
    promise to one peer: a second is a UsageError, unless the first was released.
    """
    if min(amount_micro, unverified_micro) < 0:
        raise UsageError(
            f"cannot reserve {usd(amount_micro)} with {usd(unverified_micro)} unverified: both are at least 0"
        )
    if connection.execute("SELECT 1 FROM spending WHERE task_id = ? AND peer = ?", (task_id, peer)).fetchone():
        raise UsageError(f"task {task_id.hex()} already has a reservation for this peer: settle or release it first")
    day = day_of(unix_ms)
    used = day_used_micro(connection, day)
    if used + amount_micro > caps.day_micro:
        return CapRefusal("day", caps.day_micro, used, amount_micro)
    exposure = peer_exposure_micro(connection, peer, day, caps.unverified_days)
    asked = amount_micro + unverified_micro
    if exposure + asked > caps.peer_micro:
        return CapRefusal("peer", caps.peer_micro, exposure, asked)
    if subnet:
        exposure = subnet_exposure_micro(connection, subnet, day, caps.unverified_days)
        if exposure + asked > caps.subnet_micro:
            return CapRefusal("subnet", caps.subnet_micro, exposure, asked)
    connection.execute(
        "INSERT INTO spending (task_id, peer, day, reserved_unix_ms, amount_micro, unverified_micro, subnet)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (task_id, peer, day, unix_ms, amount_micro, unverified_micro, subnet),
    )
    return Reservation(task_id, peer, day, unix_ms, amount_micro, unverified_micro)


def settle(connection: sqlite3.Connection, task_id: bytes, peer: bytes, paid_micro: int) -> None:
    """Record what the task cost in the end, at most what was reserved.

    The value reserved as unverified goes on counting until `mark_verified` or its age ends it. Settling again with
    the same payment changes nothing, so recovery may repeat it. UsageError for anything else.
    """
    row = connection.execute(
        "SELECT amount_micro, paid_micro FROM spending WHERE task_id = ? AND peer = ?", (task_id, peer)
    ).fetchone()
    if row is None:
        raise UsageError(f"task {task_id.hex()} has no reservation for this peer: nothing can be paid")
    amount_micro, already_micro = row
    if already_micro is not None:
        if already_micro != paid_micro:
            raise UsageError(f"task {task_id.hex()} was settled at {usd(already_micro)}, not {usd(paid_micro)}")
        return
    if not 0 <= paid_micro <= amount_micro:
        raise UsageError(
            f"task {task_id.hex()} reserved {usd(amount_micro)}: {usd(paid_micro)} cannot be paid, a quote binds"
        )
    connection.execute("UPDATE spending SET paid_micro = ? WHERE task_id = ? AND peer = ?", (paid_micro, task_id, peer))


def release(connection: sqlite3.Connection, task_id: bytes, peer: bytes) -> bool:
    """Give up an open reservation: nothing was paid. False when there is none (a settled one stays)."""
    gone = connection.execute(
        "DELETE FROM spending WHERE task_id = ? AND peer = ? AND paid_micro IS NULL", (task_id, peer)
    )
    return gone.rowcount == 1


def mark_verified(connection: sqlite3.Connection, task_id: bytes, peer: bytes) -> bool:
    """The value taken from `peer` in this task was checked after all: it is no exposure any more.

    False, and nothing changed, while the task is not settled: what is still to come cannot have been checked.
    """
    marked = connection.execute(
        "UPDATE spending SET unverified_micro = 0 WHERE task_id = ? AND peer = ? AND paid_micro IS NOT NULL",
        (task_id, peer),
    )
    return marked.rowcount == 1


def open_reservations(connection: sqlite3.Connection) -> list[Reservation]:
    """Every promise that is neither settled nor released, oldest first."""
    rows = connection.execute(
        "SELECT task_id, peer, day, reserved_unix_ms, amount_micro, unverified_micro FROM spending"
        " WHERE paid_micro IS NULL ORDER BY reserved_unix_ms, task_id, peer"
    )
    return [Reservation(*row) for row in rows]


def forget(connection: sqlite3.Connection, before_day: int) -> int:
    """Delete settled payments made before that day; how many went. Open reservations never go by age."""
    return connection.execute("DELETE FROM spending WHERE day < ? AND paid_micro IS NOT NULL", (before_day,)).rowcount


class Spending:
    """The functions above on a node's database, under this node's caps."""

    def __init__(self, database: Database, caps: Caps) -> None:
        self._database = database
        self.caps = caps

    async def reserve(
        self,
        task_id: bytes,
        peer: bytes,
        amount_micro: int,
        unix_ms: int,
        *,
        unverified_micro: int = 0,
        subnet: str = "",
    ) -> Reservation | CapRefusal:
        """See `reserve`; on the disk platter when it returns, so that the award may be sent."""
        return await self._database.write_durably(
            reserve, self.caps, task_id, peer, amount_micro, unix_ms, unverified_micro, subnet
        )

    async def settle(self, task_id: bytes, peer: bytes, paid_micro: int) -> None:
        """See `settle`. Losing one in a power cut leaves the reservation, which counts for no less."""
        await self._database.write(settle, task_id, peer, paid_micro)

    async def release(self, task_id: bytes, peer: bytes) -> bool:
        """See `release`."""
        return await self._database.write(release, task_id, peer)

    async def mark_verified(self, task_id: bytes, peer: bytes) -> bool:
        """See `mark_verified`."""
        return await self._database.write(mark_verified, task_id, peer)

    async def open_reservations(self) -> list[Reservation]:
        """See `open_reservations`."""
        return await self._database.read(open_reservations)

    async def day_used_micro(self, unix_ms: int) -> int:
        """Reserved or paid on the day of `unix_ms`, over all peers."""
        return await self._database.read(day_used_micro, day_of(unix_ms))

    async def of_task_micro(self, task_id: bytes) -> int:
        """See `of_task_micro`."""
        return await self._database.read(of_task_micro, task_id)

    async def peer_exposure_micro(self, peer: bytes, unix_ms: int) -> int:
        """What `peer` may still cost; see `peer_exposure_micro`."""
        return await self._database.read(peer_exposure_micro, peer, day_of(unix_ms), self.caps.unverified_days)

    async def exposures_micro(self, peers: Sequence[bytes], unix_ms: int) -> dict[bytes, int]:
        """See `exposures_micro`."""
        return await self._database.read(exposures_micro, peers, day_of(unix_ms), self.caps.unverified_days)

    async def subnet_exposures_micro(self, subnets: Collection[str], unix_ms: int) -> dict[str, int]:
        """See `subnet_exposures_micro`."""
        return await self._database.read(subnet_exposures_micro, subnets, day_of(unix_ms), self.caps.unverified_days)

    async def forget(self, unix_ms: int) -> int:
        """Delete settled payments that no cap looks at any more; how many went."""
        kept_days = max(self.caps.unverified_days, KEEP_DAYS)
        return await self._database.write(forget, day_of(unix_ms) - kept_days)
