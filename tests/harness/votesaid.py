"""What the members of a real chain have voted for, from all places where it can be read; and whether it is consistent.

- Each member's log of votes, read from its ledger.db while it runs, and from a copy of the file after a kill -9: what
  is in there was about to be sent.
- The files of hostile members that wrote down what votes they were sent.
- The certificates of all stored blocks.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from coalesced.testnet.byzantine.witness import FILE
from node.ledger.pbft.records import Accepted, Prepared, decode_record
from protocol.consensus import Certificate, Phase, decode_ballot

Said = tuple[bytes, Phase, int, int]
"""Signer, phase, height and view of a vote."""


class VotesSaid:
    """Every vote ever seen, by signer; `contradictions` must stay empty."""

    def __init__(self, honest: Iterable[bytes]) -> None:
        self._honest = frozenset(honest)
        self._blocks: dict[Said, bytes] = {}
        self.contradictions: list[str] = []
        self.logged = self.heard = self.certified = 0
        """How many votes came from logs, from hostile members, from certificates."""

    def __len__(self) -> int:
        return len(self._blocks)

    def read_log(self, signer: bytes, home: Path, *, is_dead: bool) -> None:
        """Look at a member's log of votes. A dead one's file is copied: to open it would already mend it."""
        if not is_dead:
            self._read_log(signer, f"file:{home / 'ledger.db'}?mode=ro")
            return
        with tempfile.TemporaryDirectory() as directory:
            for name in ("ledger.db", "ledger.db-wal"):
                if (home / name).exists():
                    shutil.copy(home / name, directory)
            self._read_log(signer, f"file:{directory}/ledger.db")

    def read_heard(self, home: Path) -> None:
        """Look at what a hostile member was sent."""
        for line in (home / FILE).read_text().splitlines() if (home / FILE).exists() else ():
            match line.split():
                case [("prepare" | "commit") as phase, height, view, block, signer]:
                    self.heard += 1
                    self._add(bytes.fromhex(signer), phase, int(height), int(view), bytes.fromhex(block), "heard")
                case _:
                    pass  # the last line of a process that was killed

    def read_certificate(self, certificate: Certificate) -> None:
        """Look at the COMMITs of a stored block."""
        ballot = decode_ballot(certificate.ballot)
        for seal in certificate.seals:
            self.certified += 1
            self._add(seal.signer, "commit", ballot.height, ballot.view, ballot.block, "certified")

    def _read_log(self, signer: bytes, uri: str) -> None:
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
                rows = connection.execute("SELECT record FROM votes ORDER BY id").fetchall()
        except sqlite3.OperationalError:
            return  # killed before it had made the table
        for (packed,) in rows:
            match decode_record(packed):
                case Accepted(height=height, proposal=proposal):
                    ballot = decode_ballot(proposal.vote.ballot)
                    phase: Phase = "prepare"
                case Prepared(height=height, certificate=certificate):
                    ballot = decode_ballot(certificate.ballot)
                    phase = "commit"
                case _:
                    continue
            self.logged += 1
            self._add(signer, phase, height, ballot.view, ballot.block, "logged")

    def _add(self, signer: bytes, phase: Phase, height: int, view: int, block: bytes, where: str) -> None:
        if signer in self._honest:
            known = self._blocks.setdefault((signer, phase, height, view), block)
            if known != block:
                self.contradictions.append(
                    f"{signer.hex()[:8]} said {phase} for {known.hex()[:8]} and {block.hex()[:8]} ({where}) "
                    f"at height {height} in view {view}"
                )
