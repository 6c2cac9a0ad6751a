"""`coalesced config`: what is set, where, and whether it is right."""

import os
from typing import Any

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.tables import Column, draw_table
from coalesced.cli.units import counted

COLUMNS = (Column("setting", "setting"), Column("value", "value"), Column("origin", "origin"))


@click.group()
def config() -> None:
    """Show and check the configuration. A running node may have been started with other flags."""


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--set", "only_set", is_flag=True, help="Only what is not a default.")
@command_options
def show(face: Face, /, origin: bool, only_set: bool) -> None:
    """Every setting as a node started now would have it."""
    from coalesced.config_sample import toml_value

    loaded = read_config(face)
    rows = [row for row in setting_rows(loaded) if not only_set or row["origin"] != "default"]
    if face.as_json:
        face.print_json({"schema": "coalesced.config/1", "file": str(loaded.paths.config_file), "settings": rows})
        return
    written = [row | {"value": "(not set)" if row["value"] is None else toml_value(row["value"])} for row in rows]
    draw_table(COLUMNS if origin else COLUMNS[:2], written, face.out)


@config.command()
@command_options
def check(face: Face, /) -> None:
    """Read the configuration, and say what is wrong with it."""
    loaded = read_config(face)
    file = loaded.paths.config_file
    found = f"{file} is right" if file.exists() else f"there is no {file}: every setting has its default"
    changed = counted(len(loaded.origins), "setting")
    face.show({"schema": "coalesced.ok/1", "text": f"{found}; not a default: {changed}"})


@config.command()
def sample() -> None:
    """Print the commented sample. It has every setting, its default, its reason and what it allows."""
    from coalesced.config_sample import sample as text

    click.echo(text(), nl=False)


@config.command()
@command_options
def path(face: Face, /) -> None:
    """Where the configuration file is looked for."""
    face.say(str(face.paths.config_file))


def read_config(face: Face) -> Any:
    """The configuration of the node that is meant; CliError when it is wrong."""
    from coalesced.config import ConfigError, Source, load

    try:
        return load(Source(face.paths, {}, dict(os.environ)))
    except ConfigError as error:
        raise CliError(str(error), code=error.code, hint="coalesced config sample") from error


def setting_rows(loaded: Any) -> list[dict[str, Any]]:
    """Every setting with its value and origin."""
    import msgspec

    from coalesced.config import settings

    rows = []
    for section, info in settings():
        key = f"{section}.{info.name}"
        value = msgspec.to_builtins(getattr(getattr(loaded, section), info.name))
        rows.append({"setting": key, "value": value, "origin": loaded.origins.get(key, "default")})
    return rows
