"""Tidiness that linters miss: the top level, documents that point at things which exist, text that was left over."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "coalesced", "node", "dht", "protocol", "crypto", "tests", "scripts", "docs"),
}
MAX_MODULE_LINES = 500
"""The aim is 350; beyond this a module surely holds more than one idea."""


def repository_files() -> list[Path]:
    """What git tracks or would track, as existing paths."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


FILES = repository_files()
MODULES = [path for path in FILES if path.suffix == ".py"]
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_top_level_holds_only_what_was_fixed() -> None:
    tops = {relative(path).split("/", 1)[0] for path in FILES}
    assert {top for top in tops if not top.startswith(".")} <= TOP_LEVEL


def test_no_package_lies_below_tests() -> None:
    assert [relative(p) for p in MODULES if p.name == "__init__.py" and p.is_relative_to(ROOT / "tests")] == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_it_is_and_stays_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)), "no module docstring"
    assert source.count("\n") <= MAX_MODULE_LINES


def test_nothing_unfinished_is_left_in_the_code() -> None:
    unfinished = re.compile(r"#.*\b(?:TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b")
    found = [f"{relative(p)}: {m.group()}" for p in MODULES for m in unfinished.finditer(p.read_text(encoding="utf-8"))]
    assert [line for line in found if not line.startswith("tests/unit/test_docs.py")] == []


def anchors(document: Path) -> set[str]:
    """The heading anchors of a document, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_local_link_of_a_document_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{relative(document)} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{relative(document)} links to {link}"


def test_a_path_that_a_document_names_exists() -> None:
    # Files by their suffix, and what lies in folders that hold nothing else; coalesced/_app exists in a wheel only.
    named = re.compile(r"`((?:coalesced|node|dht|protocol|crypto)/[\w/-]+\.\w+|(?:tests|scripts|docs)/[\w./-]+)`")
    missing = [
        f"{relative(document)}: {name}"
        for document in DOCUMENTS
        for name in named.findall(document.read_text(encoding="utf-8"))
        if not name.startswith("coalesced/_app") and not (ROOT / name).exists()
    ]
    assert missing == []


def test_architecture_decisions_are_numbered_without_gaps_and_state_their_parts() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Rejected", "Consequences"], record.name
