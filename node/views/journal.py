"""The journal."""

from node.views.base import Part, View


class JournalRow(Part, frozen=True, kw_only=True):
    """One entry by its heading."""

    height: int
    at_unix_ms: int
    kind: str
    task_id: str = ""
    text: str = ""
    digest: str


class JournalView(View, frozen=True, kw_only=True, tag="coalesced.journal/1"):
    """The latest entries, oldest first. `height` counts all."""

    height: int
    entries: tuple[JournalRow, ...]


class JournalEntryView(View, frozen=True, kw_only=True, tag="coalesced.journal-entry/1"):
    """One entry in full; `body` holds its decoded fields, bytes as hex."""

    height: int
    at_unix_ms: int
    kind: str
    previous: str
    digest: str
    body: dict[str, object]


class VerifyView(View, frozen=True, kw_only=True, tag="coalesced.verify/1"):
    """What recomputing the whole journal gave. `problem` names the first height that does not hold."""

    ok: bool
    checked: int
    head: str
    problem: str = ""
