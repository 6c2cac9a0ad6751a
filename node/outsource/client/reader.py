"""A sentence model of the owner's, where one is configured: it reads what the static table has found, and orders it."""

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from node.errors import UsageError
from node.execute.openai.credentials import read_key
from node.execute.openai.exchange import Endpoint, EndpointError, fetch, session
from node.execute.openai.policy import check_endpoint
from node.execute.openai.reply import ReplyError, read_vectors
from node.skills.meaning.fit import Fit
from node.views import ModelSource

log = structlog.get_logger()


class MeaningConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenAI-compatible endpoint that gives embeddings, to order what was found. Empty: the static table alone.

    Where to look stays with the table, which every node has: captions are where sellers and clients meet.
    """

    embeddings_url: Annotated[str, Meta(max_length=500)] = ""
    """Up to and including `/v1`; requests in plain words are sent there."""
    embeddings_model: Annotated[str, Meta(max_length=200)] = ""
    embeddings_key_env: Annotated[str, Meta(max_length=100)] = ""
    """The variable that holds the API key; never the key itself."""
    embeddings_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """After which the table's order stands: finding should not take longer than hiring."""


class Reader:
    """Reads texts by the configured model; with none, or where it fails, everything stays as it was."""

    def __init__(self, config: MeaningConfig) -> None:
        """UsageError when the endpoint cannot be meant."""
        if bool(config.embeddings_url) != bool(config.embeddings_model):
            raise UsageError("meaning.embeddings_url and meaning.embeddings_model go together: set both, or neither")
        if config.embeddings_url:
            check_endpoint(config.embeddings_url)
        self._config = config

    async def refined(self, request: str, texts: Sequence[str], fits: Sequence[Fit]) -> list[Fit]:
        """Each fit with the model's cosine in place of the table's."""
        if not self._config.embeddings_url or not texts:
            return list(fits)
        try:
            async with asyncio.timeout(self._config.embeddings_timeout_s):
                vectors = await self._vectors([request, *texts])
        except (EndpointError, ReplyError, UsageError, TimeoutError) as error:
            log.warning("meaning.model_failed", error=str(error) or "no answer in time", instead="the static table")
            return list(fits)
        wanted = vectors[0]
        return [
            Fit(fit.ontological, max(0.0, _cosine(wanted, vector)), fit.performance)
            for fit, vector in zip(fits, vectors[1:], strict=True)
        ]

    async def _vectors(self, texts: list[str]) -> tuple[tuple[float, ...], ...]:
        url, model = self._config.embeddings_url, self._config.embeddings_model
        source = ModelSource(url=url, model=model, key_env=self._config.embeddings_key_env)
        body = {"model": model, "input": texts, "encoding_format": "float"}
        async with session() as http:
            reply = await fetch(http, Endpoint(url, read_key(source)), "embeddings", body)
        return read_vectors(reply, len(texts))[0]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """From -1 to 1; 0 for vectors without length, of different lengths, or with figures that are none."""
    if len(one) != len(other):
        return 0.0
    squares = math.fsum(value * value for value in one) * math.fsum(value * value for value in other)
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    found = product / math.sqrt(squares) if 0 < squares < math.inf else 0.0
    return max(-1.0, min(1.0, found)) if math.isfinite(found) else 0.0
