"""Which MCP clients `coalesced connect` knows: where each keeps its servers, and in which form."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

ENTRY: Final = "coalesced"
"""Under this name each client has the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One client: its file's form, and under which name the file holds the servers."""

    name: str
    title: str
    form: Literal["json", "toml"]
    group: str
    usual: Mapping[str, Any]
    """What an entry gets beside command and arguments, unless its owner has said otherwise."""
    look: str
    """How its user sees that it worked."""


PROGRAMS: Final = {
    one.name: one
    for one in (
        Program(
            name="claude-code",
            title="Claude Code",
            form="json",
            group="mcpServers",
            usual={"type": "stdio"},
            look="claude mcp list, or /mcp in a session",
        ),
        Program(
            name="cursor",
            title="Cursor",
            form="json",
            group="mcpServers",
            usual={},
            look="Settings, MCP",
        ),
        Program(
            name="codex",
            title="Codex",
            form="toml",
            group="mcp_servers",
            # Its 10 seconds for the start are little on a busy machine.
            usual={"startup_timeout_sec": 30},
            look="codex mcp list, or /mcp in a session",
        ),
        Program(
            name="vscode",
            title="VS Code",
            form="json",
            group="servers",
            usual={"type": "stdio"},
            look="MCP: List Servers in the command palette",
        ),
    )
}


def file_of(program: Program, *, home: Path, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The user's own configuration file of a client, whether it exists or not."""
    match program.name:
        case "claude-code":
            return Path(environ.get("CLAUDE_CONFIG_DIR") or home) / ".claude.json"
        case "cursor":
            return home / ".cursor" / "mcp.json"
        case "codex":
            return Path(environ.get("CODEX_HOME") or home / ".codex") / "config.toml"
        case _ if platform == "darwin":
            return home / "Library" / "Application Support" / "Code" / "User" / "mcp.json"
        case _:
            return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "Code" / "User" / "mcp.json"


def command_of(*, home: Path | None) -> tuple[str, list[str]]:
    """What a client has to start: this installation's own program, by its full path; and its arguments."""
    beside = Path(sys.executable).with_name("coalesced")
    where = ["--home", str(home)] if home is not None else []
    if beside.is_file():
        return str(beside), [*where, "mcp"]
    return sys.executable, ["-m", "coalesced", *where, "mcp"]


def entry_for(program: Program, command: str, arguments: list[str], there: Mapping[str, Any]) -> dict[str, Any]:
    """The entry: what its owner added stays, command and arguments are ours."""
    return {**program.usual, **there, "command": command, "args": arguments}
