"""Bugs that implementations of PBFT are known to have had, planted one at a time into the core.

A bug is a change of the text of one or two functions, compiled in place of the original while it is hunted: what the
scripts and the simulator say of it shows that they would have seen it. A change whose old text is gone from
the core fails loudly. Test-only.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Final

from node.ledger.pbft import blocks, certified, doubt, fetching, normal, quorum, restore, timers, viewchange
from node.ledger.pbft.core import Core
from node.ledger.pbft.state import Replica
from node.ledger.pbft.votes import Votes


@dataclass(frozen=True, slots=True)
class Edit:
    """In this function, `old` (which is there exactly once) becomes `new`."""

    function: Callable[..., Any]
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug."""

    name: str
    edits: tuple[Edit, ...]
    found_in: tuple[str, int] | None = None
    """A scenario and seed that fail with it, for a bug that no script sees."""


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The core has this bug inside the block."""
    sources: dict[FunctionType, str] = {}
    for edit in mutant.edits:
        function = edit.function
        assert isinstance(function, FunctionType)
        source = sources.get(function) or textwrap.dedent(inspect.getsource(function))
        if source.count(edit.old) != 1:
            raise ValueError(f"{mutant.name}: {edit.old!r} is in {function.__name__} {source.count(edit.old)} times")
        sources[function] = source.replace(edit.old, edit.new)
    originals: dict[FunctionType, CodeType] = {function: function.__code__ for function in sources}
    try:
        for function, source in sources.items():
            function.__code__ = _compiled(function, source)
        yield
    finally:
        for function, code in originals.items():
            function.__code__ = code


def _compiled(function: FunctionType, source: str) -> CodeType:
    namespace: dict[str, Any] = dict(function.__globals__)
    exec(compile(source, f"<mutant of {function.__name__}>", "exec"), namespace)  # noqa: S102
    made: Any = namespace[function.__name__]
    if isinstance(made, property):
        made = made.fget
    assert isinstance(made, FunctionType)
    return made.__code__


_timeout = Replica.timeout_s.fget  # type: ignore[attr-defined]

MUTANTS: Final = (
    Mutant(
        "VIEW-CHANGE without the prepared certificate",
        (Edit(viewchange.view_change, "r.prepared, None", "None, None"),),
    ),
    Mutant(
        "prepared block dropped on entering a view",
        (Edit(viewchange.enter, "r.bound_to = None", "r.bound_to = r.prepared = None"),),
    ),
    Mutant(
        "prepared block dropped after an empty view",
        (
            Edit(
                viewchange.ask,
                "r.view = view",
                "r.view, r.prepared = view, None if r.stage is Stage.CHANGING else r.prepared",
            ),
        ),
    ),
    Mutant("lowest instead of highest prepared view", (Edit(viewchange.choose, "max(", "min("),)),
    Mutant("quorum one short", (Edit(quorum.quorum, "// 2 + 1", "// 2"),)),
    Mutant("quorum 2f + 1 for any n", (Edit(quorum.quorum, "(n + tolerated(n)) // 2 + 1", "2 * tolerated(n) + 1"),)),
    Mutant(
        "PREPAREs not written down",
        (Edit(normal.accept, "r.emit(Persist(Accepted(height=r.height, proposal=proposal)))", "pass"),),
    ),
    Mutant(
        "prepared certificate not written down",
        (
            Edit(
                normal.prepare,
                "r.emit(Persist(Prepared(height=r.height, certificate=certificate.certificate)))",
                "pass",
            ),
        ),
    ),
    Mutant(
        "view not written down",
        (Edit(viewchange.declare, "r.emit(Persist(AskedView(height=r.height, view=r.view)))", "pass"),),
    ),
    Mutant(
        "COMMIT sent before it is written down",
        (
            Edit(normal.prepare, "r.emit(Persist(Prepared(height=r.height, certificate=certificate.certificate)))", ""),
            Edit(
                normal.prepare,
                "r.emit(Broadcast(vote.vote))",
                "r.emit(Broadcast(vote.vote))\n"
                "    r.emit(Persist(Prepared(height=r.height, certificate=certificate.certificate)))",
            ),
        ),
    ),
    Mutant(
        "what binds a view forgotten in a crash",
        (Edit(restore._redo_view, "r.bound_to = record.bound_to", "pass"),),
    ),
    Mutant(
        "PREPARE in the old view after a VIEW-CHANGE",
        (
            Edit(
                normal.take_proposal,
                "if ballot.view < r.view or",
                "if ballot.view < r.view and ('prepare', ballot.view) not in r.voted:\n"
                "        r.emit(Broadcast(sign_vote(r, 'prepare', ballot.view, opened.block.hash).vote))\n"
                "    if ballot.view < r.view or",
            ),
        ),
    ),
    Mutant(
        "COMMIT in the old view after a VIEW-CHANGE",
        (
            Edit(
                normal.prepare,
                "if r.stage is not Stage.PREPARING",
                "old = r.voted.get(('prepare', r.view - 1))\n"
                "    if r.stage is Stage.CHANGING and old and ('commit', r.view - 1) not in r.voted:\n"
                "        if r.votes.certificate('prepare', r.view - 1, old, r.committee):\n"
                "            r.emit(Broadcast(sign_vote(r, 'commit', r.view - 1, old).vote))\n"
                "    if r.stage is not Stage.PREPARING",
            ),
        ),
    ),
    Mutant(
        "COMMITs of different views added up",
        (
            Edit(
                Votes.certificate,
                "self._first.get((phase, view), {}).values() if",
                "[v for (p, _), vs in self._first.items() if p == phase and (p == 'commit' or _ == view) "
                "for v in vs.values()] if",
            ),
        ),
    ),
    Mutant(
        "second proposal accepted",
        (
            Edit(normal.take_proposal, "r.stage is not Stage.IDLE or has_voted(r)", "not r.is_active"),
            Edit(normal.sign_vote, "r.voted.setdefault((phase, view), block) != block", "False"),
            Edit(normal.accept, "r.go(Event.ACCEPTED)", "r.stage = Stage.PREPARING"),
        ),
    ),
    Mutant(
        "votes counted by message, not by sender",
        (
            Edit(
                Votes.add,
                ".setdefault(signer, vote)",
                ".setdefault((signer, len(self._first.get((phase, view), ()))), vote)",
            ),
            Edit(
                Votes.certificate,
                "not committee.has_quorum(vote.vote.signer for vote in votes)",
                "len(votes) < committee.q",
            ),
        ),
    ),
    Mutant("votes of strangers counted", (Edit(quorum.Committee.count, "set(keys) & set(self.members)", "set(keys)"),)),
    Mutant(
        "NEW-VIEW unchecked", (Edit(viewchange.check_new_view, "terms, changes =", "return\n    terms, changes ="),)
    ),
    Mutant(
        "NEW-VIEW too short",
        (
            Edit(
                viewchange.check_new_view,
                "not committee.has_quorum(change.change.signer for change in changes)",
                "False",
            ),
        ),
    ),
    Mutant(
        "backups ignore what NEW-VIEW is bound to",
        (Edit(viewchange.take_new_view, "opened.block, opened.vote)", "None, None)"),),
    ),
    Mutant(
        "backups do not work out the choice themselves",
        (
            Edit(viewchange.check_new_view, "chosen = choose(changes)", "chosen = opened.block"),
            Edit(
                viewchange.check_new_view,
                "(opened.prepared.ballot.view, opened.prepared.ballot.block) != chosen",
                "False",
            ),
        ),
    ),
    Mutant(
        "forged height",
        (
            Edit(
                viewchange.check_new_view,
                "(c.terms.chain, c.terms.height, c.terms.view) != (terms.chain, terms.height, terms.view)",
                "c.terms.view != terms.view",
            ),
            Edit(
                viewchange.choose,
                "named = [",
                "changes = list(changes)\n"
                "    top = max(change.terms.height for change in changes)\n"
                "    changes = [change for change in changes if change.terms.height == top]\n"
                "    named = [",
            ),
        ),
    ),
    Mutant("forged prepared proof in a VIEW-CHANGE", (Edit(viewchange.is_proven, "return ", "return True or "),)),
    Mutant(
        "forged prepared proof in a NEW-VIEW",
        (Edit(viewchange.check_new_view, "not committee.has_quorum(opened.prepared.signers)", "False"),),
    ),
    Mutant(
        "prepared proof of another height",
        (
            Edit(
                viewchange.check_new_view,
                "(opened.prepared.ballot.chain, opened.prepared.ballot.height) != (terms.chain, terms.height)",
                "False",
            ),
        ),
    ),
    Mutant(
        "synchronisation without certificate",
        (Edit(certified.uncertified, "if certificate.phase", "return None\n    if certificate.phase"),),
    ),
    Mutant(
        "no joining of f + 1", (Edit(viewchange.join, "if not r.is_member", "return False\n    if not r.is_member"),)
    ),
    Mutant(
        "no back-off",
        (Edit(_timeout, "2 ** min(self.patience, self.config.max_doublings)", "1"),),
        found_in=("slow", 1),
    ),
    Mutant(
        "no saying again",
        (Edit(timers.say_again, "if r.stage is Stage.CHANGING", "return\n    if r.stage is Stage.CHANGING"),),
    ),
    Mutant(
        "only the latest VIEW-CHANGE kept",
        (
            Edit(
                viewchange.take_view_change,
                "r.changes[signer] = opened",
                "r.changes = {key: mine for key, mine in r.changes.items() if key == r.me} | {signer: opened}",
            ),
        ),
    ),
    Mutant(
        "an old VIEW-CHANGE replaces a newer one",
        (Edit(viewchange.take_view_change, "known is None or order(known.change) < order(opened.change)", "True"),),
    ),
    Mutant(
        "re-proposed block checked against the clock again",
        (
            Edit(
                viewchange.take_new_view,
                "check_new_view(opened, r.committee)",
                "check_new_view(opened, r.committee)\n"
                "    if opened.block and abs(opened.block.header.time_unix_ms - now.unix_ms) > r.config.max_skew_ms:\n"
                "        return",
            ),
        ),
    ),
    Mutant("timer counts only my exact view", (Edit(viewchange.members_at, ".view >= view", ".view == view"),)),
    Mutant(
        "stuck after state transfer",
        (
            Edit(normal.arrive, "r.view = max(r.view, head.view)", "pass"),
            Edit(normal.arrive, "head.view >= r.view", "False"),
        ),
    ),
    Mutant(
        "state root of a proposal unchecked",
        (Edit(blocks.execute, "r.machine.root(state) != header.state_root", "False"),),
    ),
    Mutant(
        "two votes of one member are no evidence",
        (Edit(Votes.add, "return Equivocation(first=first.vote, second=vote.vote)", "return None"),),
    ),
    Mutant(
        "votes without its log",
        (
            Edit(Core.__init__, "and not forgot else", "else"),
            Edit(Core.__init__, "forgot=forgot", "forgot=False"),
        ),
    ),
    Mutant("any block ends the doubt", (Edit(doubt.settle, "any(tx_id in r.proofs for tx_id in tx_ids)", "True"),)),
    Mutant("a doubt that never ends", (Edit(doubt.settle, "any(tx_id in r.proofs for tx_id in tx_ids)", "False"),)),
    Mutant(
        "snapshot without certificate",
        (Edit(fetching.proven, "if why := uncertified(certificate, committee):", "if why := '':"),),
    ),
    Mutant(
        "pieces unchecked",
        (Edit(fetching.take_pieces, "name = r.machine.piece_name(piece)", "name = missing(r)[0]"),),
    ),
    Mutant(
        "the same peer asked for pieces for ever",
        (Edit(fetching.ask_next, "fetch.sources.pop(fetch.peer, None)", "pass"),),
    ),
)
