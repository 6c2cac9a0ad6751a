"""`coalesced skills`: what this node can do, and who sells what."""

import difflib
import re
import shlex
from typing import TYPE_CHECKING, Final

import click

from coalesced.cli import proofs, units
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import MONEY
from coalesced.cli.tables import draw_facts
from coalesced.control import shapes

if TYPE_CHECKING:
    from coalesced.control.client import ControlClient

PEER_ID: Final = re.compile("[a-z2-7]{8}")
BULKS: Final = (1, 10**3, 10**6, 10**9)
READABLE_MICRO: Final = 10
"""A work unit may cost a billionth of a dollar: so many are priced together that the amount has two digits."""


@click.group()
def skills() -> None:
    """What this node can do, and who sells what."""


for command in proofs.COMMANDS:
    skills.add_command(command)


@skills.command("ls")
@command_options
def list_skills(face: Face, /) -> None:
    """List this node's own skills."""
    face.show(face.run(lambda client: client.skills()))


@skills.command()
@click.argument("label")
@command_options
def show(face: Face, /, label: str) -> None:
    """Everything about a skill, or a peer's skills.

    A label is one of this node's; for a peer's id, what is certified and known of it.
    """
    known = {skill["label"]: skill for skill in face.run(lambda client: client.skills())["skills"]}
    if label not in known:
        near = difflib.get_close_matches(label, known, 3)
        if label.startswith("did:") or (PEER_ID.fullmatch(label) and not near):
            certificates = face.run(lambda client: client.certificates(label))
            examined = face.run(lambda client: client.examined(label))
            if face.as_json:
                face.print_json({**certificates, "examined": examined})
                return
            face.show(certificates)
            face.show(examined)
            return
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
        ("checks", ", ".join(skill["checks"])),
        ("source", skill["source"]),
        ("example", skill["example"] or "any bytes"),
        ("its size", units.counted(skill["example_units"], skill["unit"], plural(skill["unit"]))),
        ("its time", f"about {units.duration(skill['example_s'])} here"),
        ("its price", asked(skill)),
        ("try", tried(face, skill)),
    ]
    draw_facts(facts, face.out)


def tried(face: Face, skill: shapes.SkillRow) -> str:
    """The command line that has the example done."""
    label, example = skill["label"], shlex.quote(skill["example"])
    if not skill["example"]:
        return face.again(f"ask {label} -f FILE")
    is_json = skill["example"].startswith(("{", "["))
    if is_json and "text/plain" in skill["input_media_types"]:
        # On the command line it would be a text like any other, which this skill takes as well.
        return f"echo {example} | {face.again(f'ask {label} -f -')}"
    return face.again(f"ask {label} {example}")


def asked(skill: shapes.SkillRow) -> str:
    """What this node asks for the example, and by the unit."""
    micro, count = skill["example_price_micro"], max(1, skill["example_units"])
    if micro is None:
        return f"not on sale; to sell it: coalesced sell {skill['label']}"
    if micro == 0:
        return "free"
    bulk = next((bulk for bulk in BULKS if micro * bulk >= READABLE_MICRO * count), BULKS[-1])
    each = f"{units.money(round(micro * bulk / count))} for {units.counted(bulk, skill['unit'], plural(skill['unit']))}"
    return f"{units.money(micro)} when this node is idle" + ("" if skill["unit"] == "task" else f": {each}")


def plural(unit: str) -> str:
    """The name of a work unit as that of several: a builtin skill's is one already."""
    return unit if unit.endswith("s") else f"{unit}s"


@skills.command()
@click.argument("what")
@click.option("--max-price", type=MONEY, help="Only sellers whose advertised price is at most this, in dollars.")
@click.option(
    "--min-trust",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Only sellers whose work is good with this probability, .9 say.",
)
@click.option("--needs", multiple=True, metavar="TERM", help="Only agents that say they have it: hasResource/gpu, say.")
@click.option("--explain", is_flag=True, help="Show what the fit is made of, how WHAT was read, and where was looked.")
@command_options
def find(
    face: Face, /, what: str, max_price: int | None, min_trust: float, needs: tuple[str, ...], explain: bool
) -> None:
    """Ask the network who sells something.

    WHAT is a label, or what is to be done in your own words.
    """
    from coalesced.cli.render import draw_matches

    by_label = not (explain or min_trust or needs)
    if by_label and (sellers := face.run(lambda client: _sellers(client, what, max_price))):
        face.show(sellers)
        return
    trust_ppm = round(min_trust * 1_000_000)
    found = face.run(
        lambda client: client.find_meaning(what, max_price_micro=max_price, min_trust_ppm=trust_ppm, needs=needs)
    )
    if explain and not face.as_json:
        draw_matches(found, face.out, parts=True)
    else:
        face.show(found)


async def _sellers(client: "ControlClient", what: str, max_price_micro: int | None) -> shapes.Sellers | None:
    """Who sells the label `what`; None when it is no label, or nobody does: then its meaning is looked for."""
    from node.skills.labels import is_label

    if not is_label(what):
        return None
    found = await client.find_skill(what, max_price_micro=max_price_micro)
    return found if found["sellers"] or found["absent"] else None
