"""What a model's name in a request stands for, and the names that there are."""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from coalesced.gateway.openai.errors import RequestError
from node.errors import UsageError
from node.execute.openai.offer import PREFIXES, is_chat, label_of
from node.skills.labels import check_label
from node.views import ModelKind, Preference

AUTO: Final = "auto"
LOCAL: Final = "local"
SKILL: Final = "skill:"


@dataclass(frozen=True, slots=True)
class Target:
    """A skill to ask for, and where its work may be done."""

    label: str
    prefer: Preference = "auto"

    @property
    def takes_chat(self) -> bool:
        """Whether it takes a whole conversation; anything else gets the last message."""
        return is_chat(self.label)


def target_of(name: str, kind: ModelKind, own: Collection[str], auto_skill: str) -> Target:
    """The skill behind a model's name; RequestError when no skill can be called so.

    auto = whoever does the configured skill best; local = this node's own model; skill:NAME = that skill; anything else
    is a model's name or a label, by whoever sells it.
    """
    if name == AUTO and kind == "chat":
        return Target(auto_skill)
    if name == LOCAL:
        return Target(_own_model(kind, own, auto_skill), "local")
    try:
        if name.startswith(SKILL):
            return Target(check_label(name.removeprefix(SKILL)))
        if name in own or name.startswith(PREFIXES[kind]):
            return Target(check_label(name))
        return Target(label_of(name, kind))
    except UsageError as error:
        raise _unknown(name, str(error)) from error


def known_names(own: Collection[str], seen: Collection[str], auto_skill: str) -> list[str]:
    """The names that a client may choose from: this node's own skills, and those that it has asked sellers about."""
    labels = sorted({*own, *seen})
    names = [AUTO]
    if any(is_chat(label) for label in own):
        names.append(LOCAL)
    models = [label for label in labels if label.startswith(tuple(PREFIXES.values()))]
    return [*names, *models, *(SKILL + label for label in labels if label not in models and label != auto_skill)]


def _own_model(kind: ModelKind, own: Collection[str], auto_skill: str) -> str:
    if kind == "chat" and auto_skill in own:
        return auto_skill
    for label in sorted(own):
        if label.startswith(PREFIXES[kind]):
            return label
    raise _unknown(LOCAL, "this node has no model of its own: coalesced sell --openai URL --model M")


def _unknown(name: str, why: str) -> RequestError:
    return RequestError(
        f"no model {name[:100]!r}: {why}", param="model", code="model_not_found", status=HTTPStatus.NOT_FOUND
    )
