"""`coalesced console`: an interactive session, or a script of its lines."""

import asyncio
import sys
from pathlib import Path

import click

from coalesced.cli.errors import INTERRUPTED, CliError
from coalesced.cli.face import Face, command_options


@click.command()
@click.option("--exec", "commands", multiple=True, metavar="LINE", help="Run LINE and leave; repeatable.")
@click.option("--file", type=click.Path(path_type=Path), help="Run the lines of a file and leave; - is stdin.")
@command_options
def console(face: Face, /, commands: tuple[str, ...], file: Path | None) -> int:
    """Talk to the node: the same words as here, with completion, history and live events.

    With --exec or --file, runs lines until one fails, names it, and exits with its code.
    """
    from coalesced.repl.script import file_lines, given_lines, run_script
    from coalesced.repl.session import ConsoleSession

    if commands and file is not None:
        raise CliError("--exec and --file exclude each other")
    lines = file_lines(file) if file is not None else given_lines(commands)
    if not commands and file is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise CliError("the console needs a terminal; for scripts there are --exec LINE and --file FILE")
        from coalesced.repl.prompt import interact

        return asyncio.run(interact(face.home))

    async def script() -> int:
        async with ConsoleSession(face.home, face.out, face.err, as_json=face.as_json) as session:
            return await run_script(session, lines)

    try:
        return asyncio.run(script())
    except KeyboardInterrupt:
        return INTERRUPTED
