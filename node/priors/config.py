"""The settings of a market maker, and of whoever hires some."""

from typing import Annotated

import msgspec
from msgspec import Meta

from crypto.identity import parse_did_key
from node.skills.labels import check_label

Micros = Annotated[int, Meta(ge=0, le=10**15)]


class MarketMakerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Being a market maker: sellers are probed with small paid tasks whose answers are known, and what came of it is
    sold as the skill `market-prior`."""

    serve: bool = False
    """Probe sellers and sell what is found out (`start --market-maker`)."""
    probe_budget_micro: Micros = 50_000
    """Spent on probes in 24 hours at most: five cents, some tens of small tasks."""
    seller_budget_micro: Micros = 10_000
    """On one seller in 24 hours at most: a dear one must not use up what others are to be known by."""
    probe_every_s: Annotated[float, Meta(ge=1, le=86_400)] = 900.0
    """Mean time from one probe to the next; the gaps are exponential, as those between real orders are."""
    skills: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    """What sellers are probed for. Empty: everything that this node can answer itself or has items for."""
    items: dict[str, str] = {}
    """Per skill, a file of questions with known answers, as for `skills test`. Without one, this node makes questions
    up and answers them itself, where it has the skill: such inputs are all of one make, and may be told by it."""
    price_micro: Micros = 1_000
    """For one document, or one opening of receipts: a hundredth of what it takes to probe ten sellers ten times."""
    life_s: Annotated[int, Meta(ge=60, le=7 * 86_400)] = 86_400
    """For how long a document counts: what was true yesterday is worth buying again."""
    window_days: Annotated[int, Meta(ge=1, le=365)] = 90
    """Probes of before that are left out."""

    def __post_init__(self) -> None:
        for label in (*self.skills, *self.items):
            check_label(label)


class PriorsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buying what market makers know, before sellers are chosen that this node knows nothing of."""

    makers: Annotated[tuple[str, ...], Meta(max_length=16)] = ()
    """Whom to buy from, as did:key. Empty, and `find` off: nobody is asked, nothing is bought."""
    find: bool = False
    """Also buy from makers that are found under the skill `market-prior`; they are believed far less to begin with."""
    most_makers: Annotated[int, Meta(ge=1, le=16)] = 3
    """Of those that were found, as many are hired for one skill."""
    budget_micro: Micros = 5_000
    """For one document, and as much for its openings: a fiftieth of what a task may cost by default."""
    wait_s: Annotated[float, Meta(ge=0, le=60)] = 3.0
    """How long a task waits for documents about its skill, as for quotes; what comes later counts for the next one."""
    opened: Annotated[int, Meta(ge=1, le=32)] = 8
    """Receipts to be shown of the first document of a maker, and of every `open_every`-th: if a fifth of them were made
    up, eight would show it five times out of six."""
    open_every: Annotated[int, Meta(ge=1, le=1_000)] = 4
    retry_s: Annotated[float, Meta(ge=1, le=86_400)] = 600.0
    """After a purchase that failed, or a look for makers."""

    def __post_init__(self) -> None:
        for text in self.makers:
            try:
                parse_did_key(text)
            except ValueError as error:
                raise ValueError(f"makers: {error}") from error

    @property
    def is_on(self) -> bool:
        """Whether anybody is hired without being asked for by the owner."""
        return bool(self.makers) or self.find
