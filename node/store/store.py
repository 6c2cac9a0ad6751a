"""All that one node keeps, opened and closed together: node.db, blobs.db, journal.db, ledger.db in its directory."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from crypto.identity import Identity
from node.store import blobs, tasks
from node.store.a2a import A2aTasks
from node.store.blobs import Blobs, RetentionConfig
from node.store.calibration import Calibrations
from node.store.credentials import Credentials
from node.store.database import Database
from node.store.decisions import Decisions
from node.store.drifting import Drifting
from node.store.earnings import Earnings
from node.store.errors import StorageError
from node.store.examinations import Examinations
from node.store.exhibits import Exhibits
from node.store.found import FoundRecords
from node.store.history import Outcomes
from node.store.journal_store import Journal
from node.store.ledger_store import LedgerStore
from node.store.memory_disk import MemoryDisk, MemoryFile
from node.store.migrations import BLOBS, NODE
from node.store.offers import SoldFunctions
from node.store.peers import KnownPeers
from node.store.places import Places
from node.store.policy import PolicyMemories
from node.store.priors import Priors
from node.store.probes import Probes
from node.store.quoterounds import QuoteRounds
from node.store.shown import ShownProofs
from node.store.spending import Caps, Spending
from node.store.successions import Successions
from node.store.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    tasks: int
    decisions: int
    content_bytes: int


@dataclass(frozen=True, slots=True)
class Store:
    """A node's stored state by subject. Use `Store.open`, and `close` it."""

    database: Database
    tasks: Tasks
    spending: Spending
    peers: KnownPeers
    outcomes: Outcomes
    successions: Successions
    calibrations: Calibrations
    policy_memories: PolicyMemories
    sold_functions: SoldFunctions
    decisions: Decisions
    quote_rounds: QuoteRounds
    places: Places
    found: FoundRecords
    shown: ShownProofs
    earnings: Earnings
    a2a: A2aTasks
    credentials: Credentials
    examinations: Examinations
    drifting: Drifting
    probes: Probes
    priors: Priors
    blobs: Blobs
    exhibits: Exhibits
    journal: Journal
    ledger: LedgerStore | StorageError
    """What is wrong with its file is a value: everything else works without a ledger."""
    _files: AsyncExitStack

    @classmethod
    async def open(
        cls,
        directory: Path | MemoryDisk | None,
        identity: Identity,
        *,
        caps: Caps,
        retention: RetentionConfig,
        inline: bool = False,
    ) -> "Store":
        """Open or create everything; None keeps it all in memory. StorageError says which file is wrong and how."""

        def file(name: str) -> Path | MemoryFile | None:
            match directory:
                case Path():
                    return directory / name
                case MemoryDisk():
                    return directory.open(name)
                case None:
                    return None

        async with AsyncExitStack() as opened:
            database = await Database.open(file("node.db"), NODE, inline=inline)
            opened.push_async_callback(database.close)
            contents = await Database.open(file("blobs.db"), BLOBS, inline=inline)
            opened.push_async_callback(contents.close)
            journal = await Journal.open(file("journal.db"), identity, inline=inline)
            opened.push_async_callback(journal.close)
            ledger = await _opened_ledger(file("ledger.db"), inline=inline)
            if isinstance(ledger, LedgerStore):
                opened.push_async_callback(ledger.close)
            await _release_finished_content(contents, database)
            return cls(
                database=database,
                tasks=Tasks(database),
                spending=Spending(database, caps),
                peers=KnownPeers(database),
                outcomes=Outcomes(database),
                successions=Successions(database),
                calibrations=Calibrations(database),
                policy_memories=PolicyMemories(database),
                sold_functions=SoldFunctions(database),
                decisions=Decisions(database),
                quote_rounds=QuoteRounds(database),
                places=Places(database),
                found=FoundRecords(database),
                shown=ShownProofs(database),
                earnings=Earnings(database),
                a2a=A2aTasks(database),
                credentials=Credentials(database),
                examinations=Examinations(database),
                drifting=Drifting(database),
                probes=Probes(database),
                priors=Priors(database),
                blobs=Blobs(contents, retention),
                exhibits=Exhibits(contents),
                journal=journal,
                ledger=ledger,
                _files=opened.pop_all(),
            )

    async def sweep(self, unix_ms: int) -> Swept:
        """Remove what is past its retention time; the journal is never touched."""
        await self.spending.forget(unix_ms)
        before_unix_ms = unix_ms - round(self.blobs.config.keep_tasks_s * 1000)
        await self.quote_rounds.forget(before_unix_ms)
        await self.a2a.forget(before_unix_ms)
        await self.found.forget(unix_ms)
        await self.probes.forget(unix_ms)
        return Swept(
            tasks=len(await self.tasks.forget(before_unix_ms)),
            decisions=await self.decisions.forget(before_unix_ms),
            content_bytes=await self.blobs.expire(unix_ms),
        )

    async def close(self) -> None:
        """Finish what is queued and close every file, also when one of them fails to."""
        await self._files.aclose()


async def _opened_ledger(where: Path | MemoryFile | None, *, inline: bool) -> LedgerStore | StorageError:
    try:
        return await LedgerStore.open(where, inline=inline)
    except StorageError as error:
        return error


async def _release_finished_content(contents: Database, database: Database) -> None:
    """After a crash between two files: a task that has finished, or is not known, must not hold content for ever."""
    held = await contents.read(blobs.live_tasks)
    for task_id, ended_unix_ms in await database.read(tasks.end_times, held):
        await contents.write(blobs.finish, task_id, ended_unix_ms)
