"""The command line's drawings: any view that fits its schema is drawn, and nothing in it steers the terminal."""

import io
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from coalesced.cli.escape import escaped
from coalesced.cli.render import draw, event_line
from node import views
from node.views import View
from tests.fuzz.target import Target, plain
from tests.harness.commandline import Terminal
from tests.harness.memory_ledger import DID, NOW_UNIX_MS
from tests.harness.memory_node import OPTIONS

VIEWS: tuple[type[View], ...] = tuple(
    kind
    for kind in vars(views).values()
    if isinstance(kind, type) and issubclass(kind, View) and kind is not View and "Request" not in kind.__name__
)
ANY_VIEW: Any = __import__("typing").Union[VIEWS]
STYLES = re.compile("\x1b\\[[01]m")
"""The bold titles of tables, which rich draws."""
LARGEST = 2**53
"""No number from a peer or a file is larger."""


def draw_view(data: bytes) -> None:
    """One view, on a terminal and in a pipe."""
    try:
        view = msgspec.to_builtins(msgspec.json.decode(data, type=ANY_VIEW))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if any(abs(number) > LARGEST for number in _numbers(view)):
        return
    if view["schema"] == "coalesced.error/1":
        return
    for out in (Terminal(), io.StringIO()):
        draw(view, out)
        drawn = STYLES.sub("", out.getvalue()).replace("\n", "").replace("\t", "")
        assert escaped(drawn) == drawn, "every control character is escaped"
    if view["schema"] == "coalesced.event/1":
        assert "\n" not in event_line(view)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


def _seeds() -> Iterator[bytes]:
    result = views.ResultInfo(media_type="text/plain", size_bytes=5, sha256="00" * 32)
    error = views.TaskError(code="failed", text="it \x1b[31mdid not")
    task = views.TaskView(
        id="ab" * 16, state="failed", skill="risk", created_unix_ms=NOW_UNIX_MS, finished_unix_ms=NOW_UNIX_MS + 9,
        deadline_unix_ms=NOW_UNIX_MS, choice="outsource", peer="k7m2qfab", cost_micro=5, local_micro=9, saving_micro=4,
        verdict="accepted", level="cheap", score_ppm=900_000, tried=("a: busy",), result=result, error=error,
        subtasks=("cd" * 16,), receipt="00" * 8,
    )  # fmt: skip
    decision = views.DecisionView(
        skill="risk", choice="outsource", options=OPTIONS, reasons=("Local wins if its p95 falls under 9 s.",)
    )
    receipt = views.ReceiptView(
        id="00", task_id="ab" * 16, skill="risk", client="aaaaaaaa", client_did=DID, contractor="k7m2qfab",
        contractor_did=DID, price_micro=1200, started_unix_ms=NOW_UNIX_MS, finished_unix_ms=NOW_UNIX_MS + 1500,
        level="cheap", verdict="accepted", countersigned=False, fault="timeout: x", digest="ab" * 32,
    )  # fmt: skip
    seller = views.SellerRow(
        peer="k7m2qfab", did=DID, endpoint="127.0.0.1:1", price_hint_micro=9, load_ppm=5, expires_unix_ms=NOW_UNIX_MS
    )
    peer = views.PeerRow(
        peer="k7m2qfab", did=DID, endpoint="x:1", connected=True, rtt_s=0.01, last_seen_unix_ms=NOW_UNIX_MS
    )
    row = views.JournalRow(height=1, at_unix_ms=NOW_UNIX_MS, kind="note", task_id="ab" * 16, text="x", digest="00" * 8)
    timeline = (views.TimelineRow(after_s=0.5, name="decided", text="x"),)
    shown: tuple[View, ...] = (
        views.OkView(text="done"),
        views.DoctorView(checks=(views.Check(name="disk", status="warn", text="full", fix="free some"),)),
        views.PeersView(peers=(peer,)),
        views.PingView(peer="k7m2qfab", did=DID, endpoint="x:1", rtt_s=0.0123),
        views.SkillsView(skills=(views.SkillRow(label="risk", caption="x", seconds_per_unit=1e-9),)),
        views.SellersView(skill="risk", sellers=(seller,)),
        views.OffersView(offers=(views.OfferView(label="risk", price_micro=5),)),
        decision,
        task,
        views.TasksView(tasks=(task,)),
        receipt,
        views.EventView(name="decided", at_unix_ms=NOW_UNIX_MS, task_id="ab" * 16, done_ppm=5, decision=decision),
        views.WhyView(task=task, decision=decision, timeline=timeline, tried=("a",), receipt=receipt, subtasks=(task,)),
        views.JournalView(height=1, entries=(row,)),
        views.JournalEntryView(
            height=1, at_unix_ms=NOW_UNIX_MS, kind="note", previous="00", digest="11", body={"what": "\u202ex", "n": 1}
        ),
        views.VerifyView(ok=False, checked=3, head="00", problem="entry 2"),
    )
    yield from (msgspec.json.encode(view) for view in shown)


TARGETS = (
    Target(
        name="drawing",
        form="json",
        opened=plain(draw_view),
        seeds=_seeds,
        share=0.25,
    ),
)
