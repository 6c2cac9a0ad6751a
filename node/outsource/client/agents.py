"""Agents that are no nodes: offers from outside the network, which stand in the decision beside those of peers.

Nothing of such an agent's is signed in our form, so that only its price binds, by its own form or by its owner's word
in the configuration; what this node owes it is written down by this node alone (agentorders.py).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.outsource.client.hiring import Fault
from node.outsource.client.offers import NoOffer, Offer
from node.outsource.client.request import Ask
from node.tasks.content import Content


@dataclass(frozen=True, slots=True)
class AgentOffer(Offer):
    """A price that an agent from outside is believed to keep. `quote` is empty, its terms are made up here."""

    address: str = ""
    """Where it is, for people and for the log."""
    token: str = ""
    """Its own signed quote, where it gave one."""
    order: str = ""
    """What it calls the task that it quoted for."""
    regions: tuple[str, ...] = ()
    """Where the owner says that it is."""


@dataclass(frozen=True, slots=True)
class FoundCard:
    """Where a node says that an agent's card is. Nothing of it is believed before the card has been read."""

    url: str
    agent_skill: str
    publisher: bytes
    """Who signed the record: proven to be the agent only where the same key signed the card."""


@dataclass(frozen=True, slots=True)
class AgentWork:
    """What an agent delivered, what it is owed if that is accepted, and its receipt, if it gave one."""

    content: Content
    invoice_micro: int
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class AgentJob:
    """What is asked of an agent, and who hears of it."""

    ask: Ask
    offer: AgentOffer
    remaining_s: float
    progress: Callable[[int, str], None]
    question: Callable[[str], Awaitable[str]]


Withheld = Callable[[bytes, tuple[str, ...]], Awaitable[str]]
"""Why an agent of this key, in these regions, may not see a task's input; empty when it may."""


class Agents(Protocol):
    """The agents of one protocol that this node may buy from."""

    @property
    def looks(self) -> bool:
        """Whether agents that are found are candidates too."""

    async def offers(
        self, ask: Ask, *, timeout_s: float, withheld: Withheld, found: Sequence[FoundCard] = ()
    ) -> tuple[list[AgentOffer], list[NoOffer]]:
        """What they and those that were found offer for a task, and why the others offer nothing.

        Who has to see the input to name a price is asked for one only if it may see it.
        """

    def checks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """By address of each that the owner configured, what sees that it is in order; a NodeError says what is not."""

    async def work(self, job: AgentJob) -> AgentWork | Fault:
        """Have one of them do it. Every outcome is a value; cancellation is passed on to the agent."""

    def release(self, offers: Iterable[Offer]) -> None:
        """Tell those of them whose quotes are among `offers` that these are not taken; waits for nobody."""


class NoAgents:
    """There are none."""

    looks = False

    async def offers(
        self, ask: Ask, *, timeout_s: float, withheld: Withheld, found: Sequence[FoundCard] = ()
    ) -> tuple[list[AgentOffer], list[NoOffer]]:
        """None."""
        return [], []

    def checks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """None."""
        return {}

    async def work(self, job: AgentJob) -> AgentWork | Fault:
        """Nobody to do it."""
        return Fault("failed", "no agent from outside is known any more")

    def release(self, offers: Iterable[Offer]) -> None:
        """Nobody to tell."""


NO_AGENTS: Final[Agents] = NoAgents()
