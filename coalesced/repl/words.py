"""The console's vocabulary: the command line's words, a few shorter ones, a few of its own. Pure."""

from dataclasses import dataclass
from typing import Final

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "find": ("skills", "find"),
    "watch": ("task", "watch"),
}
"""Console word -> the command line's words that it stands for."""

OWN: Final[dict[str, str]] = {
    "expect": "expect peers >= 7 within 10s: wait until it holds, or fail",
    "use": "use NODE|DIRECTORY: talk to another node of this machine",
    "jobs": "jobs: what runs in the background (a line that ends with &)",
    "help": "help [COMMAND]: this, or what a command takes",
    "exit": "exit: leave; the node goes on (also ^D)",
}
"""The console's own commands, each with its line of help."""

REFUSED: Final[dict[str, str]] = {
    "console": "this is the console already",
    "start": "a node runs in a terminal of its own: coalesced start",
    "init": "a node's directory is made outside: coalesced init",
    "completion": "the console completes by itself: press Tab",
}
"""What makes no sense in here, and why."""

GRAMMAR_HELP: Final = """\
  $_          the last result        command | json     as JSON
  command &   in the background      command > FILE     into a file
  ^C          cancels the call       ^D                 leaves; the node goes on"""


class WordError(ValueError):
    """A command that the console does not run."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a line's words ask for: one of the console's own commands, or a command line."""

    own: str = ""
    arguments: tuple[str, ...] = ()


def meaning(words: tuple[str, ...]) -> Meaning:
    """Understand the words of a line, of which there is at least one; WordError when it has no place in a console."""
    if words[0] == "coalesced" and len(words) > 1:
        words = words[1:]  # pasted: hints and documents say it with the program's name
    first, rest = words[0], words[1:]
    if first in ("quit", "exit"):
        return Meaning("exit", rest)
    if first == "help" and rest:
        return meaning((*rest, "--help")) if rest[0] not in OWN else Meaning("help", rest)
    if first in OWN:
        return Meaning(first, rest)
    if first in REFUSED and "--help" not in rest:
        raise WordError(f"{first!r} does not work in here: {REFUSED[first]}")
    return Meaning(arguments=(*ALIASES.get(first, (first,)), *rest))
