"""The console's line grammar: text to a Line. Pure; what the words mean is the commands' business.

    line      = words [ "|" "json" ] [ ">" word ] [ "&" ]
    word      = bare characters, 'single quotes' (verbatim), "double quotes" (backslash escapes)
    $_        = the text of the last result, anywhere in a word; not inside single quotes
    # ...     = a comment, where a word could begin

A line that begins with `expect` has no operators: there, > compares.
Quoting follows POSIX shells, so that a line can be moved between console and shell.
"""

from dataclasses import dataclass
from typing import Literal

LAST_RESULT = "$_"
_BREAKS = frozenset(" \t")
_OPERATORS = frozenset("|>&")
_NO_OPERATORS: frozenset[str] = frozenset()


class GrammarError(ValueError):
    """A line that cannot be read. `column` counts from 1."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(f"{text} (column {column})")
        self.column = column


@dataclass(frozen=True, slots=True)
class Line:
    """One line, understood. An empty `words` is an empty line or a comment."""

    words: tuple[str, ...] = ()
    as_json: bool = False
    into_file: str = ""
    in_background: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["word", "operator"]
    text: str
    column: int


def parse(text: str, *, last_result: str = "") -> Line:
    """Understand one line, with `$_` replaced by `last_result`; GrammarError says what is wrong and where."""
    tokens = _tokens(text, last_result)
    words: list[str] = []
    as_json = in_background = False
    into_file = ""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token.kind == "word":
            if as_json or into_file or in_background:
                raise GrammarError(f"nothing may follow here, but {token.text!r} does", token.column)
            words.append(token.text)
            continue
        if not words:
            raise GrammarError(f"{token.text!r} needs a command before it", token.column)
        if in_background:
            raise GrammarError(f"nothing may follow '&', but {token.text!r} does", token.column)
        match token.text:
            case "&":
                in_background = True
            case "|":
                follower = _follower(tokens, at, token, "json")
                if follower != "json" or as_json or into_file:
                    raise GrammarError("only '| json' is understood, once, before '> file'", token.column)
                as_json = True
                at += 1
            case _:
                if into_file:
                    raise GrammarError("a line writes into one file only", token.column)
                into_file = _follower(tokens, at, token, "a file name")
                at += 1
    return Line(tuple(words), as_json, into_file, in_background)


def _follower(tokens: list[_Token], at: int, operator: _Token, expected: str) -> str:
    if at >= len(tokens) or tokens[at].kind != "word" or not tokens[at].text:
        raise GrammarError(f"{operator.text!r} needs {expected} after it", operator.column)
    return tokens[at].text


def _tokens(text: str, last_result: str) -> list[_Token]:
    tokens: list[_Token] = []
    operators = _OPERATORS
    at = 0
    while at < len(text):
        character = text[at]
        if character in _BREAKS:
            at += 1
        elif character == "#":
            break
        elif character in operators:
            tokens.append(_Token("operator", character, at + 1))
            at += 1
        else:
            word, end = _word(text, at, last_result, operators)
            if not tokens and word == "expect":
                operators = _NO_OPERATORS
            tokens.append(_Token("word", word, at + 1))
            at = end
    return tokens


def _word(text: str, start: int, last_result: str, operators: frozenset[str]) -> tuple[str, int]:
    """One word from `start`: its meaning, and the position after it."""
    parts: list[str] = []
    at = start
    while at < len(text) and text[at] not in _BREAKS and text[at] not in operators:
        character = text[at]
        if character == "'":
            end = text.find("'", at + 1)
            if end < 0:
                raise GrammarError("this quote is never closed", at + 1)
            parts.append(text[at + 1 : end])
            at = end + 1
        elif character == '"':
            inner, at = _double_quoted(text, at, last_result)
            parts.append(inner)
        elif character == "\\":
            if at + 1 >= len(text):
                raise GrammarError("nothing follows this backslash", at + 1)
            parts.append(text[at + 1])
            at += 2
        elif text.startswith(LAST_RESULT, at):
            parts.append(last_result)
            at += len(LAST_RESULT)
        else:
            parts.append(character)
            at += 1
    return "".join(parts), at


def _double_quoted(text: str, start: int, last_result: str) -> tuple[str, int]:
    parts: list[str] = []
    at = start + 1
    while at < len(text):
        character = text[at]
        if character == '"':
            return "".join(parts), at + 1
        if character == "\\" and at + 1 < len(text) and text[at + 1] in '"\\$':
            parts.append(text[at + 1])
            at += 2
        elif text.startswith(LAST_RESULT, at):
            parts.append(last_result)
            at += len(LAST_RESULT)
        else:
            parts.append(character)
            at += 1
    raise GrammarError("this quote is never closed", start + 1)


def quote(word: str) -> str:
    """`word` written so that `parse` reads it back as it is."""
    if word and not set(word) & (_BREAKS | _OPERATORS | set("'\"\\#$\n\r")):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
