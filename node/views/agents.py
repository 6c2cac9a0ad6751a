"""An agent that the owner sells: where its card is, which of its skills, what it charges, how much may be used."""

from typing import Annotated

from msgspec import Meta

from node.views.base import Part
from protocol.fields import Micro

MediaType = Annotated[str, Meta(pattern=r"\A[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}\Z")]


class AgentSource(Part, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="a2a", tag_field="via"):
    """A skill of an A2A agent. Plain values only, so that it is sold again after a restart, before the agent is up."""

    card: Annotated[str, Meta(min_length=1, max_length=2048)]
    """Where its card is; an address without a path means /.well-known/agent-card.json there."""
    skill: Annotated[str, Meta(max_length=256)] = ""
    """The id of the skill on the card; empty takes the only one."""
    key: Annotated[str, Meta(max_length=64)] = ""
    """The did:key that must have signed the card; empty takes any key, or no signature."""
    token_file: Annotated[str, Meta(max_length=4096)] = ""
    """Its first line is sent as a bearer token, read for each task; without it requests are signed with this node's
    key (RFC 9421)."""
    at_once: Annotated[int, Meta(ge=1, le=1024)] = 4
    """Tasks at the same time."""
    cost_micro: Micro | None = None
    """What the agent charges this node for a task, delivered or not; None: nothing but this machine's time."""
    usual_s: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    """What a task is expected to take, until some were measured."""
    takes: Annotated[tuple[MediaType, ...], Meta(max_length=32)] = ()
    """Media types of its input; empty takes the card's."""
    gives: Annotated[tuple[MediaType, ...], Meta(max_length=32)] = ()
    """Media types of its results, the usual one first; empty takes the card's."""
