"""What was learnt about each model's tokens, kept beside the calibration of times."""

from collections.abc import Callable, Mapping

import msgspec
import structlog

from node.decision.tokens import Tariff, TokenBelief, Usage, expected_usage, observe_usage
from node.store.calibration import Calibrations

log = structlog.get_logger()

PREFIX = "tokens:"
"""Of the keys in the table of calibrations; no skill's label holds a colon."""


class TokenBook:
    """Beliefs by model."""

    def __init__(self, calibrations: Calibrations, unix_ms: Callable[[], int]) -> None:
        self._calibrations = calibrations
        self._unix_ms = unix_ms
        self._beliefs: dict[str, TokenBelief] = {}

    def load(self, kept: Mapping[str, str]) -> None:
        """Take up what earlier runs taught; a belief of an older form is learnt anew."""
        for key, text in kept.items():
            if key.startswith(PREFIX):
                try:
                    self._beliefs[key.removeprefix(PREFIX)] = msgspec.json.decode(text, type=TokenBelief)
                except (msgspec.ValidationError, ValueError) as error:
                    log.warning("tokens.discarded", key=key, error=str(error))

    def belief(self, model: str) -> TokenBelief:
        """What is known of that model's tokens."""
        return self._beliefs.get(model) or TokenBelief()

    def expected(self, tariff: Tariff, units: int) -> Usage:
        """What a task of so many work units will read and write."""
        return expected_usage(tariff, self.belief(tariff.model), units)

    async def learn(self, tariff: Tariff, size_bytes: int, usage: Usage) -> None:
        """Take in a usage that was reported."""
        belief = self._beliefs[tariff.model] = observe_usage(self.belief(tariff.model), size_bytes, usage)
        await self._calibrations.save(PREFIX + tariff.model, msgspec.json.encode(belief).decode(), self._unix_ms())
