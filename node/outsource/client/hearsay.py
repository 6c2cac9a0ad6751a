"""What market makers said of sellers, for decisions; and what came of it, which is how far they are believed next."""

from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from crypto.identity import short_id
from node.decision.words import MakerWord
from node.priors.belief import compared, fade, word
from node.priors.check import read
from node.priors.document import Prior
from node.proofs.errors import ProofError
from node.store.priors import Bought, Priors

log = structlog.get_logger()

MAX_READ = 64
"""Documents kept as read; the rest is read again."""
DOUBTED = 0.1
"""A maker believed by less is worth a line in the log, once."""


class Hearsay:
    """Reads the documents that this node has bought."""

    def __init__(self, priors: Priors, unix_ms: Callable[[], int]) -> None:
        self._priors = priors
        self._unix_ms = unix_ms
        self._read: dict[str, Prior] = {}

    async def of(self, skill: str, keys: Collection[bytes]) -> Mapping[bytes, tuple[MakerWord, ...]]:
        """What is said of these sellers; those of whom nothing is are left out."""
        now_s = self._unix_ms() / 1000
        found: dict[bytes, list[MakerWord]] = {}
        for bought, standing in await self._priors.of_skill(skill, now_s):
            prior = self.prior(bought)
            for key in keys:
                if prior is not None and (row := prior.row_of(key)) is not None:
                    words = found.setdefault(key, [])
                    words.append(word(short_id(bought.maker), prior, row, standing, now_s))
        return {key: tuple(words) for key, words in found.items()}

    async def learn(self, skill: str, contractor: bytes, *, good: bool) -> None:
        """Hold a job's outcome against what each maker said of its seller."""
        now_s = self._unix_ms() / 1000
        for bought, before in await self._priors.of_skill(skill, now_s):
            prior = self.prior(bought)
            row = None if prior is None else prior.row_of(contractor)
            if prior is None or row is None:
                continue
            judged = partial(compared, row=row, left=fade(prior, now_s), good=good)
            after = await self._priors.change(bought.maker, before, judged)
            if after.weight < DOUBTED <= before.weight:
                log.warning("market_maker.doubted", maker=short_id(bought.maker), surprises=after.surprises)

    def prior(self, bought: Bought) -> Prior | None:
        """A kept document; None for one that this version cannot read."""
        if bought.token not in self._read:
            try:
                prior = read(bought.token)
            except ProofError as error:
                log.warning("market_prior.discarded", maker=short_id(bought.maker), error=str(error))
                return None
            while len(self._read) >= MAX_READ:
                del self._read[next(iter(self._read))]
            self._read[bought.token] = prior
        return self._read[bought.token]
