"""What a person types: console lines, names of peers, tasks and skills, addresses, amounts."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from coalesced.cli import units
from coalesced.cli.escape import escaped, escaped_block
from coalesced.repl.expect import ExpectError, parse_expectation
from coalesced.repl.expecting import QUANTITIES
from coalesced.repl.grammar import GrammarError, parse, quote
from coalesced.repl.words import WordError, meaning
from crypto.identity import Identity, did_key, parse_did_key
from node.errors import UsageError
from node.execute.user import split_target
from node.net.endpoint import parse_endpoint
from node.owner.names import find_peer
from node.skills.labels import check_label, nearest
from protocol.errors import LocalProtocolError
from protocol.version import check_network
from tests.fuzz.target import Target, plain

KNOWN = [Identity(bytes([number]) * 32).public_key for number in (1, 2, 3)]
LABELS = ("document-analysis", "portfolio", "risk", "sentiment", "nlp/summary")


def run_line(data: bytes) -> None:
    """One line of the console, as far as its meaning."""
    text = data.decode(errors="surrogateescape")
    line = parse(text, last_result="the last 'result' | > &")
    if not line.words:
        return
    quoted = " ".join(quote(word) for word in line.words)
    assert parse(quoted).words == line.words, "what was quoted reads back"
    meant = meaning(line.words)
    if meant.own == "expect":
        expectation = parse_expectation(meant.arguments, tuple(QUANTITIES))
        expectation.holds(1.0)
        assert str(expectation)


def read_names(data: bytes) -> None:
    """Any text in place of a name or a figure: each reader takes it or says what is wrong, in words fit to print."""
    text = data.decode(errors="replace")
    for read, errors in READERS:
        with suppress(*errors):
            read(text)
    assert "\n" not in escaped(text)
    assert "\x1b" not in escaped_block(text)
    assert len(nearest(text, LABELS)) <= 3


def _reread_did(text: str) -> None:
    assert did_key(parse_did_key(text)) == text


def _reread_endpoint(text: str) -> None:
    read = parse_endpoint(text)
    assert parse_endpoint(str(read)) == read
    assert read.address_group
    assert read.is_loopback in (True, False)


READERS: tuple[tuple[Callable[[str], object], tuple[type[Exception], ...]], ...] = (
    (_reread_did, (ValueError,)),
    (_reread_endpoint, (UsageError,)),
    (lambda text: find_peer(text, KNOWN), (UsageError,)),
    (check_label, (UsageError,)),
    (check_network, (LocalProtocolError,)),
    (split_target, (UsageError,)),
    (units.parse_money, (ValueError,)),
    (units.parse_duration, (ValueError,)),
    (units.parse_size, (ValueError,)),
)


def _lines() -> Iterator[bytes]:
    lines = (
        'ask document-analysis "What are \\"the\\" risks?" -f report.txt --budget 0.05',
        "decide risk $_ | json > 'my file.json'",
        "task watch 0a1b2c3d &",
        "expect peers >= 7 within 10s",
        "expect spent<0.5 within 2m",
        "peers ls # all of them",
        "find sentiment; why 12",
        "use n2",
        "help ask",
    )
    yield from (line.encode() for line in lines)


def _names() -> Iterator[bytes]:
    names = (
        did_key(KNOWN[0]), "127.0.0.1:7400", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:1", "node.example.org:7733",
        "nlp/summary", "pages:read_pages", "$0.05", "1e3", "1.5h", "512MiB", "k7m2qfab", "lab-1",
    )  # fmt: skip
    yield from (name.encode() for name in names)


TARGETS = (
    Target(
        name="console-line",
        form="text",
        opened=plain(run_line),
        seeds=_lines,
        may_raise=(GrammarError, WordError, ExpectError),
    ),
    Target(name="names", form="text", opened=plain(read_names), seeds=_names),
)
