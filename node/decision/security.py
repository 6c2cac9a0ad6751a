"""Security budgets: what may go to whom, where, and on which proof. Pure.

The owner's grants add up: a task may go to a seller that one of them covers whole. What a task itself demands comes on
top and can only narrow that. Without grants, everybody may get what the other limits allow.

Regions are what sellers say of themselves; what each proof shows, and what it does not, is in docs/trust.md.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Final

from msgspec import Meta

from node.decision.checked import Checked
from node.decision.evidence import NAMES, Evidence, Need, Pattern
from node.views.base import Proof
from node.wording import usd
from protocol.fields import Micro, Name, Size
from protocol.specification import PRIVACY_LEVELS, Privacy

PROOFS: Final[tuple[Proof, ...]] = ("certificate", "at-least", "attestation")
"""A believed certificate about a skill; "at least so much" shown; a machine that was put to the test. None implies
another."""


class Grant(Checked, frozen=True, kw_only=True):
    """Who may get what: everything that is left out sets no limit, but privacy."""

    to: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=64)] = ("*",)
    """did:keys, with * for anything."""
    skills: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=64)] = ("*",)
    """Labels, with * for anything."""
    data: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=64)] = ("*",)
    """Media types of the input, with * for anything."""
    privacy: Privacy = "internal"
    """The most private data: as an ask without options has it."""
    regions: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    """The seller must say that it is in one of these."""
    proofs: Annotated[tuple[Proof, ...], Meta(max_length=3)] = ()
    """All of these it must have shown lately."""
    needs: Annotated[tuple[Need, ...], Meta(max_length=8)] = ()
    """All of these as well, which say more exactly what."""
    most_value_micro: Micro | None = None
    """The value at risk, V."""
    most_bytes: Size | None = None
    """Of input."""


class Exposure(Checked, frozen=True, kw_only=True):
    """What would be entrusted."""

    skill: str
    media_type: str = ""
    privacy: Privacy
    value_micro: float
    input_bytes: Size = 0


class Recipient(Checked, frozen=True, kw_only=True):
    """To whom."""

    did: str
    regions: tuple[str, ...] = ()
    """That it says it is in."""
    shown: tuple[Proof, ...] = ()
    """What it has shown to this node, as far as that still counts."""
    evidence: tuple[Evidence, ...] = ()
    """The same, claim by claim."""
    drift: str = ""
    """Why it seems to have changed since it was examined, which makes all that it showed before count no more."""


class Demand(Checked, frozen=True, kw_only=True):
    """What one task asks for beyond the owner's grants."""

    only_to: Annotated[tuple[Pattern, ...], Meta(max_length=64)] = ()
    """did:keys, with * for anything; empty: anybody whom the grants allow."""
    proofs: Annotated[tuple[Proof, ...], Meta(max_length=3)] = ()


def gate(grants: Iterable[Grant], demand: Demand, what: Exposure, to: Recipient) -> str:
    """Why this may not go there, as the end of a sentence about the seller; empty when it may."""
    if demand.only_to and not _matches(to.did, demand.only_to):
        return "is not among those whom the task may go to"
    if missing := _missing(demand.proofs, to):
        return f"has not shown {missing} {_when(to)}, which the task demands"
    found = [list(_objections(grant, what, to)) for grant in grants]
    if not found or not all(found):
        return ""
    number, nearest = min(enumerate(found, 1), key=lambda pair: (len(pair[1]), pair[0]))
    which = "" if len(found) == 1 else f" (grant {number} of {len(found)} comes nearest)"
    return f"{' and '.join(nearest)}: security.grants{which}"


def _objections(grant: Grant, what: Exposure, to: Recipient) -> Iterator[str]:
    """What of this grant does not hold."""
    if not _matches(to.did, grant.to):
        yield "is nobody whom the owner named"
    if not _matches(what.skill, grant.skills):
        yield f"may not do {what.skill}"
    if not _matches(what.media_type, grant.data):
        yield f"may not get {what.media_type or 'data of an unknown type'}"
    if PRIVACY_LEVELS.index(what.privacy) > PRIVACY_LEVELS.index(grant.privacy):
        yield f"may get {grant.privacy} data at most, and the task is {what.privacy}"
    if grant.regions and not set(grant.regions) & set(to.regions):
        where = ", ".join(to.regions) or "nowhere"
        yield f"says that it is {'in ' if to.regions else ''}{where}, not in {' or '.join(grant.regions)}"
    if missing := _missing(grant.proofs, to):
        yield f"has not shown {missing} {_when(to)}"
    for need in grant.needs:
        if not need.is_met(to.evidence, what.skill):
            since = f" {_when(to)}" if to.drift or need.within_s is None else ""
            yield f"has not shown {need.in_words(what.skill)}{since}"
    if grant.most_value_micro is not None and what.value_micro > grant.most_value_micro:
        yield f"may hold {usd(grant.most_value_micro)} of value at most, and the task is worth {usd(what.value_micro)}"
    if grant.most_bytes is not None and what.input_bytes > grant.most_bytes:
        yield f"may get {grant.most_bytes} bytes at most, and the input has {what.input_bytes}"


def _missing(proofs: Iterable[Proof], to: Recipient) -> str:
    return " and ".join(NAMES[proof] for proof in proofs if proof not in to.shown)


def _when(to: Recipient) -> str:
    return f"since it seems to have changed ({to.drift})" if to.drift else "lately"


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
