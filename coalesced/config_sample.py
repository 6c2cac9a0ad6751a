"""The commented sample configuration, generated from the settings themselves: it cannot fall behind them."""

import inspect
import textwrap

import msgspec

from coalesced.config import SECTIONS, variable
from coalesced.config_types import allowed, documentation, fields_of

WIDTH = 110

HEAD = """\
# The configuration of a coalesced node. Everything here is optional: what is commented out is the default.
# A flag comes before an environment variable (named beside each section), which comes before this file.
# `coalesced config check` checks this file; `coalesced config show --origin` says where each value comes from.
"""


def sample() -> str:
    """The whole file."""
    return HEAD + "".join(f"\n{section}" for section in map(_section, SECTIONS))


def _section(name: str) -> str:
    kind = SECTIONS[name]
    told = [f"# {line}".rstrip() for line in inspect.cleandoc(kind.__doc__ or "").splitlines()]
    lines = [f"[{name}]", *told, f"# Environment: {variable(name, '...')}", ""]
    documented = documentation(kind)
    for info in fields_of(kind):
        lines += _wrapped(documented.get(info.name, ""))
        default = info.default_factory() if info.default is msgspec.NODEFAULT else info.default
        setting = f"# {info.name} is not set" if default is None else f"#{info.name} = {toml_value(default)}"
        lines.append(f"{setting:<40}  # {allowed(info.type)}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def toml_value(value: object) -> str:
    """A setting's value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return msgspec.json.encode(value).decode()
        case tuple() | list():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
        case msgspec.Struct():
            return toml_value(msgspec.to_builtins(value))
        case _:
            return str(value)
