"""The tables of threats and forgeries name tests that exist, and every class that must be refused has its row."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = {
    "docs/trust.md": "## Forgeries and the tests that refuse them",
    "docs/testing.md": "### Threats to a market",
}
CLASSES = (
    *("wrong subject", "expired", "revoked", "not in the root", "another verifier", "replayed nonce"),
    *("raised threshold", "wraparound", "structured matrix", "the prover's clock", "item leak"),
    *("man in the middle", "skill spoofing", "prompt leeching", "result fabrication", "exploration abuse"),
    "bait and switch",
)


def rows(document: str) -> list[list[str]]:
    """The cells of every row of a document's table, without its head."""
    text = (ROOT / document).read_text(encoding="utf-8").split(f"{TABLES[document]}\n", 1)[1]
    lines = [line for line in re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0].splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("document", TABLES)
def test_every_row_names_tests_that_exist(document: str) -> None:
    for threat, _, tests, _ in rows(document):
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
        assert named, f"{threat}: no test"
        for file, name in named:
            tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
            defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert name in defined, f"{threat}: {file} has no {name}"


@pytest.mark.parametrize("wanted", CLASSES)
def test_every_class_has_its_row(wanted: str) -> None:
    assert any(wanted in row[0] for document in TABLES for row in rows(document))


def test_every_attack_on_discovery_names_tests_that_exist() -> None:
    """There a name may be cut short by dots, before or behind."""
    text = (ROOT / "docs/testing.md").read_text(encoding="utf-8").split("### Attacks on discovery\n", 1)[1]
    lines = [line for line in text.split("\n### ", 1)[0].splitlines() if line[:1] == "|"][2:]
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = [name for source in sources for name in re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE)]
    assert len(lines) > 10
    for line in lines:
        for named in re.findall(r"`([^`]+)`", line.split("|")[3]):
            file, _, name = named.rpartition("::")
            if named.endswith(".py"):
                file, name = named, "test_..."
            pattern = ".*".join(map(re.escape, name.split("...")))
            assert not file or (ROOT / "tests" / file).is_file(), named
            assert any(re.fullmatch(pattern, one) for one in defined), named
