"""A model as a skill: its label, what it takes and gives, and what its tokens cost its seller."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from node.decision.hardware import ApiPrice, api_cost_micro
from node.decision.tokens import MILLION, Tariff, work_units
from node.errors import UsageError
from node.execute.openai.policy import host_away, is_near
from node.execute.openai.request import (
    CHAT_EXAMPLE,
    EMBEDDINGS_EXAMPLE,
    EXAMPLE,
    INPUT_MEDIA_TYPES,
    read_chat,
    read_texts,
)
from node.execute.skill import JSON, TEXT, Skill
from node.verification.bundles import MODEL_CHECKS
from node.views import ModelKind, ModelSource, TokenRate
from protocol.specification import Level

CHAT_LABEL: Final = "chat"
"""Any model that continues a conversation; what a buyer asks for who names none."""
PREFIXES: Final[Mapping[ModelKind, str]] = {"chat": "llm/", "embeddings": "embed/"}
"""Of the label of one model: buyers who name the same model look under the same label."""
PROVIDERS: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "generativelanguage.googleapis.com": "google",
}
"""Whose rows in the table of prices a host's models are."""
CHAT_LEVELS: Final[Mapping[Level, str]] = {
    "cheap": "size, media type and form of the answer; schema, citations, figures where they are asked for",
    "full": "the same, and the grade of the buyer's own judge",
    "redundant": "a second answer says the same, or two of three",
}
VECTOR_LEVELS: Final[Mapping[Level, str]] = {
    "cheap": "size, media type and form of the result",
    "redundant": "a second run agrees",
}
FULL_PPM: Final = 1_000_000
MAX_LABEL_CHARS: Final = 64


def label_of(model: str, kind: ModelKind = "chat") -> str:
    """The label that a model is sold under: "Qwen/Qwen2.5-7B-Instruct" is llm/qwen2.5-7b-instruct."""
    name = model.rsplit("/", 1)[-1].lower().removesuffix(":latest")
    slug = re.sub(r"[^a-z0-9._-]+", "-", name)[: MAX_LABEL_CHARS - len(PREFIXES[kind])].strip("._-")
    if not slug:
        raise UsageError(f"the model {model!r} gives no label: name one with --label")
    return PREFIXES[kind] + slug


def is_chat(label: str) -> bool:
    """Whether a label is a model's that takes conversations."""
    return label == CHAT_LABEL or label.startswith(PREFIXES["chat"])


def cost_rate(source: ModelSource, own: Mapping[str, ApiPrice]) -> TokenRate | None:
    """What a million tokens cost the seller; None where the model runs on its own hardware, which costs time.

    UsageError for a hosted model whose price is not known: sold without, it would be sold at a loss.
    """
    if source.cost is not None:
        return source.cost
    if is_near(source.url):
        return None
    host = urlsplit(source.url).hostname or ""
    name = f"{PROVIDERS.get(host, host)}/{source.model.rsplit('/', 1)[-1]}"
    try:
        read, written = (api_cost_micro(name, *tokens, own) for tokens in ((MILLION, 0), (0, MILLION)))
    except UsageError as error:
        raise UsageError(f"what {host} charges for {source.model} is not known: say it with --cost READ:WRITTEN") from (
            error
        )
    return TokenRate(read_micro=round(read), written_micro=round(written))


def skill_of(source: ModelSource, label: str, caption: str, cost: TokenRate | None) -> Skill:
    """The skill as the rest of the node sees it."""
    is_chat = source.kind == "chat"
    tariff = Tariff(
        model=source.model,
        max_written=source.max_tokens if is_chat else 0,
        price=source.price,
        cost=cost,
        figures=source.figures,
    )

    def size(input: bytes, media_type: str) -> int:  # noqa: A002
        read_chat(input, media_type) if is_chat else read_texts(input, media_type)
        return work_units(tariff, len(input))

    what = f"{source.model} continues a conversation" if is_chat else f"{source.model} places texts in its space"
    return Skill(
        label=label,
        caption=caption or what,
        description=f"{what}. A text is one message; JSON such as {CHAT_EXAMPLE.decode()} is a whole conversation, and "
        "is answered in JSON with the reason for its end and the tokens counted."
        if is_chat
        else f"{what}: one vector for each, in JSON.",
        input_media_types=INPUT_MEDIA_TYPES,
        output_media_type=TEXT if is_chat else JSON,
        other_output_media_types=(JSON,) if is_chat else (),
        size=size,
        unit="token",
        example=EXAMPLE if is_chat else EMBEDDINGS_EXAMPLE,
        example_media_type=TEXT if is_chat else JSON,
        efforts=("full",),
        verification=CHAT_LEVELS if is_chat else VECTOR_LEVELS,
        checks=MODEL_CHECKS if is_chat else (),
        min_score_ppm={"full": FULL_PPM},
        is_builtin=False,
        slots=source.at_once,
        sent_to=host_away(source.url),
        tariff=tariff,
    )
