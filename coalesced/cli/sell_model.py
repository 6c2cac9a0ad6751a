"""`coalesced sell --openai URL --model M`: put models on sale that an OpenAI-compatible endpoint serves."""

from pathlib import Path
from typing import Final

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import RATE
from coalesced.control import shapes
from coalesced.control.client import ControlClient

ANY_CHAT: Final = "chat"
"""The skill that is asked for by who names no model."""


@click.command("model")
@click.option("--openai", "url", required=True, metavar="URL", help="The endpoint, as http://127.0.0.1:11434/v1.")
@click.option("--model", "models", required=True, multiple=True, metavar="M", help="Its name there; repeatable.")
@click.option("--price", type=RATE, help="Dollars for a million tokens read:written; by default cost and a margin.")
@click.option("--cost", type=RATE, help="What the endpoint charges you; known for many hosted models.")
@click.option("--key-env", default="", metavar="NAME", help="The daemon's environment variable with the API key.")
@click.option("--key-file", default="", metavar="FILE", help="Or the file with the key (mode 600).")
@click.option("--at-once", type=click.IntRange(1, 1024), default=4, show_default=True, help="Requests at once.")
@click.option("--per-minute", type=click.IntRange(1, 1_000_000), help="Requests a minute.")
@click.option("--max-tokens", type=click.IntRange(1, 1_000_000), default=1024, show_default=True, help="Of one reply.")
@click.option("--embeddings", is_flag=True, help="The models place texts in a space; they do not chat.")
@click.option("--label", help="Sell it under this name instead of llm/MODEL.")
@click.option("--caption", default="", help="One line for buyers.")
@click.option("--figures", default="", metavar="NAME", help="Its row in the table of models: its speed before any run.")
@click.option("--no-chat", is_flag=True, help="Do not sell the first model as `chat` too, for who names no model.")
@command_options
def model(
    face: Face,
    /,
    url: str,
    models: tuple[str, ...],
    price: tuple[int, int] | None,
    cost: tuple[int, int] | None,
    key_env: str,
    key_file: str,
    at_once: int,
    per_minute: int | None,
    max_tokens: int,
    embeddings: bool,
    label: str | None,
    caption: str,
    figures: str,
    no_chat: bool,
) -> None:
    """Sell models of an OpenAI-compatible endpoint.

    That is vLLM, Ollama, llama.cpp, or one that bills by use. Each model is a skill of its own. The API key stays where
    it is: only its place is remembered. Subscriptions for personal use are refused, since their terms forbid resale.
    """
    if label is not None and len(models) > 1:
        raise CliError("--label names one skill, and several models are given", hint="leave --label out", exit_code=2)
    requests: list[shapes.SellRequest] = []
    for name in models:
        source: shapes.ModelSource = {
            "via": "openai",
            "url": url,
            "model": name,
            "kind": "embeddings" if embeddings else "chat",
            "key_env": key_env,
            "key_file": str(Path(key_file).expanduser().absolute()) if key_file else "",
            "at_once": at_once,
            "per_minute": per_minute,
            "max_tokens": max_tokens,
            "price": _rate(price),
            "cost": _rate(cost),
            "figures": figures,
        }
        requests.append({"target": url, "label": label, "caption": caption, "remote": source})
    if not embeddings and not no_chat:
        requests.append({**requests[0], "label": ANY_CHAT})

    async def put_up(client: ControlClient) -> list[shapes.Offer]:
        return [await client.sell(request) for request in requests]

    face.show({"schema": "coalesced.offers/1", "offers": face.run(put_up)})


def _rate(rate: tuple[int, int] | None) -> shapes.TokenRate | None:
    return None if rate is None else {"read_micro": rate[0], "written_micro": rate[1]}
