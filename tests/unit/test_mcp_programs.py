"""The configuration files of MCP clients: an entry gets in and out, all else stays byte by byte, or nothing is done."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalesced.gateway.mcp.programs import jsontext, tomltext
from coalesced.gateway.mcp.programs.editing import plan_edit, write
from coalesced.gateway.mcp.programs.errors import EditError
from coalesced.gateway.mcp.programs.programs import PROGRAMS, Program, entry_for, file_of
from tests.harness.commandline import Ran

ENTRY = {"command": "/opt/bin/coalesced", "args": ["mcp"]}
CLAUDE, CODEX, VSCODE = PROGRAMS["claude-code"], PROGRAMS["codex"], PROGRAMS["vscode"]
COMMENTED = """\
{
    // servers of mine
    "inputs": [],
    "servers": {
        "other": {"command": "x", "args": ["a//b", "/* c */"]}, /* kept */
    },
}
"""
TOML = """\
model = "o9"  # mine

[mcp_servers.other]
command = "x"

# what follows is about trust
[projects."/home/me"]
trust_level = "trusted"
"""


def edited(program: Program, file: Path, *, remove: bool = False) -> str:
    write(plan_edit(program, file, None if remove else lambda there: entry_for(program, "/c", ["mcp"], there)))
    return file.read_text()


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, PLAIN, max_size=4), st.sampled_from([None, 1, 2, 4, "\t"]), st.booleans(), st.booleans())
def test_json_holds_the_entry_and_all_else_and_is_what_it_was_without_it(
    said: dict[str, Any], indent: int | str | None, has_group: bool, windows: bool
) -> None:
    if has_group:
        said = {**said, "servers": {"one": {"command": "x"}}}
    text = json.dumps(said, indent=indent, ensure_ascii=False)
    text = text.replace("\n", "\r\n") if windows else text
    with_it = jsontext.with_entry(text, "servers", "mine", ENTRY)
    expected = {**said, "servers": {**said.get("servers", {}), "mine": ENTRY}}
    assert json.loads(with_it) == jsontext.plain(with_it) == expected
    assert jsontext.with_entry(with_it, "servers", "mine", ENTRY) == with_it
    without = jsontext.without_entry(with_it, "servers", "mine")
    assert json.loads(without) == {**said, "servers": said.get("servers", {})}
    if has_group:
        assert without == text


def test_comments_commas_and_indentation_stay(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(COMMENTED)
    with_it = edited(VSCODE, file)
    for line in COMMENTED.splitlines():
        assert line in with_it
    assert '\n        "coalesced": {\n            "type": "stdio",' in with_it
    assert edited(VSCODE, file, remove=True) == COMMENTED


def test_toml_keeps_every_line_and_gives_them_back(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TOML)
    with_it = edited(CODEX, file)
    assert with_it.startswith(TOML)
    assert tomllib.loads(with_it)["mcp_servers"]["coalesced"] == {
        "command": "/c",
        "args": ["mcp"],
        "startup_timeout_sec": 30,
    }
    assert edited(CODEX, file, remove=True) == TOML


def test_what_its_owner_added_to_the_entry_stays(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[mcp_servers.coalesced]\ncommand = "/old"\nstartup_timeout_sec = 90\n\n'
        '[mcp_servers.coalesced.env]\nCOALESCED_HOME = "/n"\n\n[mcp_servers.other]\ncommand = "x"\n'
    )
    servers = tomllib.loads(edited(CODEX, file))["mcp_servers"]
    assert servers["coalesced"]["command"] == "/c"
    assert servers["coalesced"]["startup_timeout_sec"] == 90
    assert servers["coalesced"]["env"] == {"COALESCED_HOME": "/n"}
    assert servers["other"] == {"command": "x"}
    assert tomllib.loads(edited(CODEX, file, remove=True))["mcp_servers"] == {"other": {"command": "x"}}


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (CLAUDE, '{"mcpServers": {'),
        (CLAUDE, "[1, 2]"),
        (CLAUDE, '{"mcpServers": []}'),
        (CLAUDE, '{"a": 1} {"b": 2}'),
        (CLAUDE, "<<<<<<< mine"),
        (CLAUDE, '{"a":' + "[" * 5000),
        (CODEX, "model = "),
        (CODEX, "mcp_servers = 3"),
        (CODEX, 'mcp_servers = {other = {command = "x"}}'),
        (CODEX, '[mcp_servers]\ncoalesced = {command = "x"}\n'),
        (CODEX, '[other]\ntext = """\n[mcp_servers.coalesced]\n"""\n'),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_alone(program: Program, text: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(EditError, match="nothing was changed"):
        edited(program, file)
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(EditError, match="not UTF-8"):
        edited(CLAUDE, file)


def test_mode_and_link_stay_and_the_state_before_is_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.json", tmp_path / ".claude.json"
    real.write_text('{"token": "s"}')
    real.chmod(0o600)
    link.symlink_to(real)
    edited(CLAUDE, link)
    assert link.is_symlink()
    assert json.loads(real.read_text())["mcpServers"]["coalesced"]["command"] == "/c"
    backup = tmp_path / "dotfiles.json.before-coalesced"
    assert backup.read_text() == '{"token": "s"}'
    assert {path.stat().st_mode & 0o777 for path in (real, backup)} == {0o600}
    assert {path.name for path in tmp_path.iterdir()} == {real.name, link.name, backup.name}


def test_what_somebody_else_has_just_written_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("{}")
    edit = plan_edit(CLAUDE, file, lambda there: ENTRY)
    file.write_text('{"a": 1}')
    with pytest.raises(EditError, match="run this again"):
        write(edit)
    assert file.read_text() == '{"a": 1}'


def test_each_client_has_its_own_place() -> None:
    home = Path("/h")
    places = {name: file_of(one, home=home, environ={}, platform="linux") for name, one in PROGRAMS.items()}
    assert places == {
        "claude-code": home / ".claude.json",
        "cursor": home / ".cursor/mcp.json",
        "codex": home / ".codex/config.toml",
        "vscode": home / ".config/Code/User/mcp.json",
    }
    assert file_of(VSCODE, home=home, environ={}, platform="darwin").parts[-3:] == ("Code", "User", "mcp.json")
    assert file_of(CODEX, home=home, environ={"CODEX_HOME": "/c"}) == Path("/c/config.toml")
    assert file_of(CLAUDE, home=home, environ={"CLAUDE_CONFIG_DIR": "/d"}) == Path("/d/.claude.json")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_command_connects_once_and_disconnects(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    file = file_of(PROGRAMS[program], home=tmp_path, environ=os.environ)
    dry = Ran(tmp_path / "n", "connect", program, "--dry-run")
    assert (dry.code, file.exists()) == (0, False)
    assert "coalesced" in dry.out
    done = Ran(tmp_path / "n", "connect", program, "--json").json
    assert done["changed"]
    form: Any = tomltext if PROGRAMS[program].form == "toml" else jsontext
    entry = form.plain(file.read_text())[PROGRAMS[program].group]["coalesced"]
    assert [entry["command"], *entry["args"]] == done["command"]
    assert entry["args"][-3:] == ["--home", str((tmp_path / "n").resolve()), "mcp"]
    assert Path(entry["command"]).is_absolute()
    again = Ran(tmp_path / "n", "connect", program, "--json").json
    assert (again["changed"], again["backup"]) == (False, None)
    assert Ran(tmp_path / "n", "connect", program, "--remove").code == 0
    assert not form.plain(file.read_text()).get(PROGRAMS[program].group)
    assert "does not have" in Ran(tmp_path / "n", "connect", program, "--remove").err
