"""The command group, loaded lazily: `coalesced --help` imports click and nothing heavier."""

import contextlib
import errno
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from coalesced import __version__
from coalesced.cli.errors import HINTS, INTERRUPTED, CliError
from coalesced.cli.face import Face
from coalesced.control.errors import ControlError
from coalesced.paths import PathError

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Run a node": {
        "init": ("coalesced.cli.init:init", "Create a node's directory, key and configuration."),
        "start": ("coalesced.cli.start:start", "Run a node here, until stopped."),
        "stop": ("coalesced.cli.stop:stop", "Stop the running node."),
        "reload": ("coalesced.cli.stop:reload", "Let the node read its configuration again."),
        "status": ("coalesced.cli.status:status", "The node on one screen."),
        "doctor": ("coalesced.cli.doctor:doctor", "Check everything, and say what to fix."),
    },
    "Buy": {
        "ask": ("coalesced.cli.ask:ask", "Have a task done, here or by another node."),
        "plan": ("coalesced.cli.plan:plan", "Divide a goal into steps, and have them done."),
        "decide": ("coalesced.cli.decide:decide", "What `ask` would decide, and why; nothing is done."),
        "why": ("coalesced.cli.why:why", "How a task was decided, and what happened."),
        "task": ("coalesced.cli.task:task", "List, watch, cancel and answer tasks."),
        "skills": ("coalesced.cli.skills:skills", "What this node can do, and who sells what."),
    },
    "Sell": {
        "sell": ("coalesced.cli.sell:sell", "Put a skill on sale."),
    },
    "Look": {
        "peers": ("coalesced.cli.peers:peers", "The nodes that this one knows."),
        "market": ("coalesced.cli.market:market", "Prices, shares and warning signs, by skill."),
        "priors": ("coalesced.cli.priors:priors", "What market makers found out about sellers."),
        "journal": ("coalesced.cli.journal:journal", "The permanent record of receipts and reports."),
        "ledger": ("coalesced.cli.ledger:ledger", "The community chain: head, members, proofs."),
        "trust": ("coalesced.cli.trust:trust", "What is said about a peer, and how far it is believed."),
        "tail": ("coalesced.cli.tail:tail", "Events as they happen."),
        "console": ("coalesced.cli.console:console", "An interactive session with the node."),
    },
    "Set up": {
        "mcp": ("coalesced.cli.mcp:mcp", "Serve this node to an MCP client, which starts this itself."),
        "connect": ("coalesced.cli.connect:connect", "Tell an MCP client of this node."),
        "gateway": ("coalesced.cli.gateway:gateway", "Where OpenAI clients find the node, and with which token."),
        "config": ("coalesced.cli.config:config", "Show and check the configuration."),
        "keys": ("coalesced.cli.keys:keys", "The node's identity."),
        "completion": ("coalesced.cli.completion:completion", "Completion for bash, zsh or fish."),
        "testnet": ("coalesced.cli.testnet:testnet", "Several real nodes on this machine."),
        "sim": ("coalesced.cli.sim:sim", "Policies compared in a simulated market."),
    },
}
"""Section -> command -> (where it is, its line of help). The help is here so that listing imports nothing."""

OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
"""What writing to standard output can end in, besides a reader that has gone."""


class LazyGroup(click.Group):
    """Imports a command's module when that command is run or completed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the sections."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        for section in COMMANDS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(importlib.import_module(module), attribute)
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest names when there is no such command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 3)
            if near:
                raise click.UsageError(f"{error.message} Nearest: {', '.join(near)}.", ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()], col_max=12)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(path_type=Path), help="The node's directory; also COALESCED_HOME.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON that names its schema.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="coalesced")
@click.pass_context
def group(ctx: click.Context, home: Path | None, as_json: bool, debug: bool) -> None:
    """Decides, per task, whether an agent's work runs here or is hired from another agent, and says why."""
    face = ctx.obj if isinstance(ctx.obj, Face) else Face()
    face.home = home or face.home
    face.as_json |= as_json
    face.debug |= debug
    ctx.obj = face


def run(arguments: Sequence[str] | None = None, face: Face | None = None) -> int:
    """Run one command line (sys.argv by default); its exit code. Nothing but --debug lets an error out."""
    face = face or Face()
    try:
        outcome: Any = group.main(list(arguments) if arguments is not None else None, obj=face, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        return _help(face, error)
    except click.ClickException as error:
        return _report(face, CliError(_usage_text(error), exit_code=2 if isinstance(error, click.UsageError) else 1))
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except SystemExit as ended:
        # How click ends when the reader of our output has gone (`| head`): quietly, with 1.
        face.has_reader = False
        return ended.code if isinstance(ended.code, int) else 1
    except (ControlError, CliError) as error:
        if face.debug:
            raise
        return _report(face, error)
    except PathError as error:
        return _report(face, CliError(str(error), code="failed", exit_code=1))
    except OSError as error:
        # Commands turn what goes wrong with a file into an error that names it; what has no name is the output.
        if face.debug or error.filename is not None or error.errno not in OUTPUT_ERRORS:
            return _other(face, error)
        return _report(face, CliError(f"cannot write the output: {error.strerror}", code="failed", exit_code=1))
    except Exception as error:  # noqa: BLE001  the edge: a bug is one line for the user, a traceback with --debug
        return _other(face, error)
    return outcome if isinstance(outcome, int) else 0


def _help(face: Face, error: click.exceptions.NoArgsIsHelpError) -> int:
    """What a command without its arguments prints: its help, as it stands."""
    if face.as_json:
        path = error.ctx.command_path
        return _report(face, CliError(f"{path} needs a command. Try: {path} --help"))
    face.note(error.format_message())
    return 2


def _other(face: Face, error: Exception) -> int:
    if face.debug:
        raise error
    from node.errors import NodeError  # only now: `--help` has no use for it

    if isinstance(error, NodeError):  # says by itself what is wrong, wherever a command left it to this
        return _report(face, CliError(str(error), code=error.code, exit_code=error.exit_code))
    text = f"a bug in coalesced ({type(error).__name__}: {error}); --debug shows where"
    return _report(face, CliError(text, code="internal", exit_code=1))


def _usage_text(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError):
        return str(error)
    path = error.ctx.command_path if error.ctx is not None else "coalesced"
    text = " ".join(error.format_message().split())
    return f"{text}{'' if text.endswith(('.', '?')) else '.'} Try: {path} --help"


def _report(face: Face, error: ControlError | CliError) -> int:
    """Say what went wrong, on stdout where JSON is wanted; on stderr where that, too, cannot be written."""
    view = {"schema": "coalesced.error/1", "code": error.code, "text": error.text, "exit_code": error.exit_code}
    # Where even stderr is full or gone, the exit code has to say it all.
    with contextlib.suppress(OSError):
        if not face.as_json or not _printed(face, view):
            from coalesced.cli.escape import escaped

            hint = error.hint if isinstance(error, CliError) else HINTS.get(error.code, "")
            face.note(f"error: {escaped(error.text)}" + (f"\ntry: {hint}" if hint else ""))
    return error.exit_code


def _printed(face: Face, view: dict[str, object]) -> bool:
    try:
        face.print_json(view)
    except OSError:
        return False
    return True
