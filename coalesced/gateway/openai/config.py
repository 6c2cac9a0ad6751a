"""Settings of the OpenAI-compatible endpoint."""

from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.fields import Label


class OpenAiConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenAI-compatible endpoint for programs on this machine: whoever has its token spends this node's money."""

    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Loopback port of the endpoint; 0 takes any free port. Off unless set: several nodes may share a machine, and what
    nobody uses should not listen."""
    auto_skill: Label = "chat"
    """What the model `auto` asks for: the skill that models are sold under beside their own names."""
    max_request_bytes: Annotated[int, Meta(ge=2**16, le=2**31)] = 16 * 2**20
    """Largest request body: far more than a model reads at once."""
    heartbeat_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    """How long a streamed reply waits for its task before it begins without the last figures, and how often it then
    sends a comment, so that nobody between takes it for dead."""
