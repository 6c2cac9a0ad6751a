"""`coalesced skills`: what this node can do, and who sells what."""

import difflib

import click

from coalesced.cli import units
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import MONEY
from coalesced.cli.tables import draw_facts


@click.group()
def skills() -> None:
    """What this node can do, and who sells what."""


@skills.command("ls")
@command_options
def list_skills(face: Face, /) -> None:
    """List this node's own skills."""
    face.show(face.run(lambda client: client.skills()))


@skills.command()
@click.argument("label")
@command_options
def show(face: Face, /, label: str) -> None:
    """Everything about one skill of this node."""
    known = {skill["label"]: skill for skill in face.run(lambda client: client.skills())["skills"]}
    if label not in known:
        near = difflib.get_close_matches(label, known, 3)
        hint = f"coalesced skills show {near[0]}" if near else "coalesced skills ls"
        raise CliError(f"this node has no skill {label!r}", hint=hint)
    skill = known[label]
    if face.as_json:
        face.print_json({"schema": "coalesced.skill/1", **skill})
        return
    facts = [
        ("skill", skill["label"]),
        ("caption", skill["caption"]),
        ("description", skill["description"]),
        ("takes", ", ".join(skill["input_media_types"])),
        ("gives", skill["output_media_type"]),
        ("efforts", ", ".join(skill["efforts"])),
        ("verification", ", ".join(skill["levels"])),
        ("per unit", units.duration(skill["seconds_per_unit"])),
        ("sold", f"from {units.money(skill['price_hint_micro'])}" if skill["sold"] else "no"),
        ("source", skill["source"]),
    ]
    draw_facts(facts, face.out)


@skills.command()
@click.argument("label")
@click.option("--max-price", type=MONEY, help="Only sellers whose advertised price is at most this, in dollars.")
@command_options
def find(face: Face, /, label: str, max_price: int | None) -> None:
    """Ask the network who sells LABEL."""
    face.show(face.run(lambda client: client.find_skill(label, max_price_micro=max_price)))
