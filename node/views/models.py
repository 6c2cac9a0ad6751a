"""A model that the owner sells: where it is served, what it costs, what is asked for it, how much of it may be used."""

from typing import Annotated, Literal

from msgspec import Meta

from node.views.base import Part
from protocol.fields import Micro

ModelKind = Literal["chat", "embeddings"]


class TokenRate(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Micro-dollars for a million tokens, the way price lists count: read, written."""

    read_micro: Micro
    written_micro: Micro


class ModelSource(Part, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="openai", tag_field="via"):
    """A model behind an OpenAI-compatible endpoint. Plain values only, so that it is sold again after a restart."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    """The base address, most often ending in /v1."""
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    """As the endpoint calls it."""
    kind: ModelKind = "chat"
    key_env: Annotated[str, Meta(max_length=128)] = ""
    """The variable of the daemon's environment that holds the endpoint's API key. The key itself is kept nowhere."""
    key_file: Annotated[str, Meta(max_length=4096)] = ""
    """Or the file whose first line is the key, readable by its owner alone."""
    at_once: Annotated[int, Meta(ge=1, le=1024)] = 4
    """Requests at the same time: what a small local server batches well."""
    per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Requests a minute, where the endpoint counts them."""
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    """Written in one reply at most, whatever its buyer asks for."""
    price: TokenRate | None = None
    """What buyers are asked; None lets the node price by what it costs."""
    cost: TokenRate | None = None
    """What the endpoint's owner charges; None: it runs on this machine, and costs its time."""
    figures: Annotated[str, Meta(max_length=64)] = ""
    """The model's row in the table of models, to predict its speed before the first run; empty = none."""
