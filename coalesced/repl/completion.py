"""Completion of a console line: command words and options from the command line itself, names from the cache."""

from collections.abc import Iterable, Iterator

import click
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from coalesced.cli.main import group
from coalesced.repl.expecting import QUANTITIES
from coalesced.repl.names import Names
from coalesced.repl.words import ALIASES, OWN, REFUSED

TASK_WORDS = frozenset({"why", "task", "watch"})
SKILL_WORDS = frozenset({"ask", "decide", "skills", "find", "sell"})


class ConsoleCompleter(Completer):
    """Completes the last word. Synchronous and local, so it cannot be late and need not be cancelled."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What the word before the cursor may become."""
        *before, word = document.text_before_cursor.split(" ")
        for candidate in sorted(set(candidates([part for part in before if part], word, self._names))):
            if candidate.startswith(word):
                yield Completion(candidate, start_position=-len(word))


def candidates(before: list[str], word: str, names: Names) -> Iterable[str]:
    """Everything that could stand after the words `before`; those that do not begin with `word` are dropped later."""
    if not before:
        commands = group.list_commands(click.Context(group))
        return [name for name in (*commands, *OWN, *ALIASES) if name not in REFUSED]
    first = before[0]
    if first == "expect":
        return QUANTITIES if len(before) == 1 else ("within",)
    if first == "help":
        return [*group.list_commands(click.Context(group)), *OWN]
    command, rest = _command([*ALIASES.get(first, (first,)), *before[1:]])
    if command is None:
        return ()
    if word.startswith("-"):
        return [name for parameter in command.params for name in parameter.opts if name.startswith("--")]
    if isinstance(command, click.Group):
        return command.list_commands(click.Context(command)) if not rest else ()
    chosen = [name for parameter in command.params[: len(rest) + 1] for name in _choices(parameter)]
    return [*chosen, *_names(first, names)]


def _command(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """The innermost command that `words` begin with, and the words after it."""
    command: click.Command | None = group.get_command(click.Context(group), words[0])
    at = 1
    while isinstance(command, click.Group) and at < len(words):
        inner = command.get_command(click.Context(command), words[at])
        if inner is None:
            break
        command, at = inner, at + 1
    return command, words[at:]


def _choices(parameter: click.Parameter) -> Iterable[str]:
    if isinstance(parameter, click.Argument) and isinstance(parameter.type, click.Choice):
        return [str(choice) for choice in parameter.type.choices]
    return ()


def _names(first: str, names: Names) -> Iterable[str]:
    if first in TASK_WORDS:
        return names.tasks
    if first in SKILL_WORDS:
        return names.skills
    return names.peers if first == "peers" else ()
