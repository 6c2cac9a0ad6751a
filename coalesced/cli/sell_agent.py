"""`coalesced sell --a2a URL`: put skills of an A2A agent on sale."""

from pathlib import Path

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import DURATION, MONEY
from coalesced.control import shapes
from coalesced.control.client import ControlClient


@click.command("agent")
@click.option("--a2a", "card", required=True, metavar="URL", help="The agent's address, or that of its card.")
@click.option("--skill", "skills", multiple=True, metavar="ID", help="Which skill of its card; repeatable.")
@click.option("--label", help="Sell it under this name instead of agent/ID.")
@click.option("--caption", default="", help="One line for buyers.")
@click.option("--price", type=MONEY, help="Dollars a task; by default what it costs you and a margin.")
@click.option(
    "--cost", type=MONEY, help="What it charges you for a task: at most, where it gives quotes; 0 for nothing."
)
@click.option("--key", default="", metavar="DID", help="The did:key that must have signed its card.")
@click.option("--token-file", default="", metavar="FILE", help="A bearer token for it (mode 600).")
@click.option("--at-once", type=click.IntRange(1, 1024), default=4, show_default=True, help="Tasks at once.")
@click.option("--timeout", type=DURATION, help="Give up a task that takes longer.")
@click.option("--usually", type=DURATION, help="What a task takes, until some were measured; 30 s by default.")
@click.option("--takes", multiple=True, metavar="TYPE", help="A media type of its input; as its card says.")
@click.option("--gives", multiple=True, metavar="TYPE", help="A media type of its results; as its card says.")
@click.option("--hours", default="", help="When it is on sale: 'mon-fri 9-17 Europe/Berlin'; always by default.")
@command_options
def agent(
    face: Face,
    /,
    card: str,
    skills: tuple[str, ...],
    label: str | None,
    caption: str,
    price: int | None,
    cost: int | None,
    key: str,
    token_file: str,
    at_once: int,
    timeout: float | None,
    usually: float | None,
    takes: tuple[str, ...],
    gives: tuple[str, ...],
    hours: str,
) -> None:
    """Sell skills of an A2A agent, each as a skill of its own.

    Its card is read at once, and again later: it must offer the skill, over A2A 1.0, on the card's own host, and any
    signature on it must hold. Requests are signed with this node's key, or carry the token. The agent's questions go
    to the buyer, a cancelled task is cancelled there. Over http only on this machine and its network.
    """
    if label is not None and len(skills) > 1:
        raise CliError("--label names one skill, and several are given", hint="leave --label out", exit_code=2)
    requests: list[shapes.SellRequest] = []
    for skill in skills or ("",):
        source: shapes.AgentSource = {
            "via": "a2a",
            "card": card,
            "skill": skill,
            "key": key,
            "token_file": str(Path(token_file).expanduser().absolute()) if token_file else "",
            "at_once": at_once,
            "cost_micro": cost,
            "takes": list(takes),
            "gives": list(gives),
        }
        if usually is not None:
            source["usual_s"] = usually
        requests.append(
            {
                "target": card[:256],
                "label": label,
                "caption": caption,
                "price_micro": price,
                "timeout_s": timeout,
                "hours": hours,
                "remote": source,
            }
        )

    async def put_up(client: ControlClient) -> list[shapes.Offer]:
        return [await client.sell(request) for request in requests]

    face.show({"schema": "coalesced.offers/1", "offers": face.run(put_up)})
