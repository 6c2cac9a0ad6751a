"""What an owner asks for."""

from typing import Annotated

from msgspec import Meta

from node.views.base import Part, Preference, Proof, View
from node.views.plans import PlanBy
from protocol.fields import Label, MediaType, Micro, Name, Ppm
from protocol.specification import Effort, Level, Privacy


class InputFile(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the input. `data` is base64 in JSON."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    media_type: MediaType
    data: bytes


class AskRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.ask/1"):
    """One task, as its owner gives it. What is None or empty is taken from the node's configuration."""

    skill: Annotated[str, Meta(min_length=1, max_length=4000)]
    """An exact label; anything else is refused with the nearest ones."""
    text: Annotated[str, Meta(max_length=2**26)] = ""
    files: Annotated[tuple[InputFile, ...], Meta(max_length=256)] = ()
    budget_micro: Micro | None = None
    value_micro: Micro | None = None
    """What the result is worth to the owner: the value at risk V. None takes ten local costs (the node's setting),
    bounded by the budget; and the budget itself where this node cannot do the task."""
    deadline_s: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None
    prefer: Preference = "auto"
    privacy: Privacy | None = None
    regions: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    effort: Effort | None = None
    least_level: Level | None = None
    min_score_ppm: Ppm | None = None
    verify: Annotated[tuple[Annotated[str, Meta(max_length=32)], ...], Meta(max_length=8)] = ()
    """The words of `--verify`: a level (it goes before `least_level`), and what is checked of the result whatever the
    level: `schema`, `citations`, `recompute`, `judge`, `redundant:2`, `redundant:3`."""
    result_schema: Annotated[str, Meta(max_length=2**16)] = ""
    """JSON Schema that the result must fit, as text."""
    idempotency_key: Annotated[str, Meta(max_length=128)] = ""
    """Asking again with the same key gives the same task."""
    parent: Annotated[str, Meta(max_length=128)] = ""
    """The token of the running task for which this is done: it is a subtask of that one, within its budget and time."""
    policy: Annotated[str, Meta(max_length=64)] = ""
    """The rule that decides; empty takes the configured one. An unknown name is refused with the nearest."""
    only: Annotated[str, Meta(max_length=64)] = ""
    """The did:key of the seller that alone may be hired; this node does not do the task either."""
    proofs: Annotated[tuple[Proof, ...], Meta(max_length=3)] = ()
    """What a seller must have shown, beyond the node's security budget."""
    only_to: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=64)] = ()
    """did:keys, with * for anything, of those whom it may go to; empty: anybody whom the node's budget allows."""
    what_if: Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=32)] = ()
    """`name=value`, for a dry run only: decide as if that were so."""
    dry_run: bool = False
    """Decide and say why; do nothing."""
    plan: Annotated[str, Meta(max_length=2**20)] = ""
    """A DAG of subtasks as JSON text."""
    split: bool = False
    """One subtask a document, then merge."""
    by: PlanBy = ""
    """Make a plan for `skill`, which is then a goal in words, or the label that the rule is to use: by this node's own
    model, by rule, or `auto`: by the model where one is configured, else by rule."""
    skills: Annotated[tuple[Label, ...], Meta(max_length=64)] = ()
    """Others' skills that a plan may use beside this node's own; the first is the rule's."""
