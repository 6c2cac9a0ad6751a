"""What this node sells and others do: a model behind an endpoint, an agent. From its owner's words to a skill."""

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from node.decision.hardware import model as known_model
from node.decision.internal_cost import MachineRates
from node.errors import UsageError
from node.execute.executor import Executor
from node.execute.openai.model import OpenAiModel
from node.execute.openai.offer import cost_rate, label_of, skill_of
from node.execute.openai.policy import check_endpoint
from node.execute.remote import Remote
from node.execute.skill import Skill
from node.skills.labels import check_label
from node.store.offers import SoldFunction
from node.views import AgentSource, ModelSource


class AgentResale(Protocol):
    """Makes skills of agents that speak another protocol than this node's."""

    async def described(self, source: AgentSource) -> AgentSource:
        """`source` with what the agent's card says where its owner said nothing; UsageError where it cannot be sold."""
        ...  # pragma: no cover

    def label_of(self, source: AgentSource) -> str:
        """What it is sold as, where its owner names nothing."""
        ...  # pragma: no cover

    def remote(self, source: AgentSource, sold: SoldFunction) -> Remote:
        """The skill, and the way to have it done. Asks nobody: after a restart the agent may come up later."""
        ...  # pragma: no cover

    async def check(self, source: AgentSource) -> None:
        """See that the agent answers and still offers the skill; UsageError says what is wrong."""
        ...  # pragma: no cover


class Elsewhere:
    """Registers with the executor what is done elsewhere."""

    def __init__(self, executor: Executor, rates: MachineRates, agents: Callable[[], AgentResale]) -> None:
        """`agents` is called when the first agent is sold, and imports what it needs then."""
        self._executor = executor
        self._rates = rates
        self._agents = agents

    async def offer(
        self, sold: SoldFunction, source: ModelSource | AgentSource, *, is_new: bool
    ) -> tuple[SoldFunction, Skill]:
        """Offer it as a skill, and what to remember of it. Tried out when it is new."""
        match source:
            case ModelSource():
                return sold, await self._model(sold, source, is_new=is_new)
            case AgentSource():
                return await self._agent(sold, source, is_new=is_new)

    async def check(self, label: str, source: ModelSource | AgentSource) -> None:
        """See that what does the work of `label` would do it now, at no cost; UsageError says what is wrong."""
        match source:
            case ModelSource():
                skill = skill_of(source, label, "", cost_rate(source, self._rates.api_prices))
                await OpenAiModel(source, skill).check()
            case AgentSource():
                await self._agents().check(source)

    async def _model(self, sold: SoldFunction, source: ModelSource, *, is_new: bool) -> Skill:
        if (sold.timeout_s, sold.memory_bytes, sold.price_micro) != (None, None, None):
            raise UsageError("a model has its own limits and a price by the token: --max-tokens, --price READ:WRITTEN")
        check_endpoint(source.url)
        if source.figures:
            known_model(source.figures, self._rates.models)
        label = check_label(sold.label or label_of(source.model, source.kind))
        model = OpenAiModel(source, skill_of(source, label, sold.caption, cost_rate(source, self._rates.api_prices)))
        if is_new:
            await model.check()
        return self._executor.register_remote(model)

    async def _agent(self, sold: SoldFunction, source: AgentSource, *, is_new: bool) -> tuple[SoldFunction, Skill]:
        if sold.memory_bytes is not None:
            raise UsageError("an agent works on another machine: its memory cannot be limited here")
        if is_new:
            source = await self._agents().described(source)
        label = check_label(sold.label or self._agents().label_of(source))
        known = replace(sold, label=label, remote=source)
        return known, self._executor.register_remote(self._agents().remote(source, known))


def source_of(sold: SoldFunction) -> str:
    """What an offer is, for its owner: never a credential."""
    match sold.remote:
        case ModelSource(model=name):
            return f"model {name}"
        case AgentSource(card=card, skill=skill):
            return f"agent {card}, its skill {skill}"
        case None:
            return sold.shown or sold.target
