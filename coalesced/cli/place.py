"""Which testnet a command is about: --name and --dir, for all of them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Which testnet is meant, and how to name it in a command."""

    name: str
    directory: Path
    is_named_by_directory: bool

    def again(self, command: str) -> str:
        """The command line that does `command` to this testnet."""
        which = f" --dir {self.directory}" if self.is_named_by_directory else f" --name {self.name}"
        return f"coalesced testnet {command}" + ("" if which == " --name default" else which)


def place_options(function: Callable[Concatenate[Face, Place, P], T]) -> Callable[P, T]:
    """Give a command --name and --dir, the Face and the Place as first arguments; report errors as the CLI does."""

    @wraps(function)
    def placed(face: Face, /, *args: Any, name: str, directory: Path | None, **kwargs: Any) -> T:
        from coalesced.testnet.manifest import TestnetError, default_directory

        chosen = directory.absolute() if directory is not None else default_directory(name, environ=os.environ)
        try:
            return function(face, Place(name, chosen, directory is not None), *args, **kwargs)
        except TestnetError as error:
            raise CliError(str(error), code="failed", exit_code=1) from error
        except OSError as error:
            text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise CliError(text, code="failed", exit_code=1) from error

    command: Callable[P, T] = command_options(placed)  # type: ignore[arg-type]  # click adds name and directory
    command = click.option("--name", default="default", show_default=True, help="Which testnet, of several.")(command)
    path = click.Path(path_type=Path)
    return click.option("--dir", "directory", type=path, help="Its directory, instead of the usual.")(command)
