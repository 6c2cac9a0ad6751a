"""Settings of the control API."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ControlConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The control socket, and the loopback port for probes and metrics."""

    admin_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Loopback port that serves /livez, /readyz and /metrics, and nothing else. Off unless set, because several
    nodes may share a machine; 0 takes any free port."""
    max_request_bytes: Annotated[int, Meta(ge=2**16, le=2**31)] = 64 * 2**20
    """Largest request body. Files travel as base64, so one file may be three quarters of this."""
    heartbeat_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """How often a quiet stream sends an empty line, so that each side notices when the other is gone; the client
    gives up after 60 s of silence."""
    close_timeout_s: Annotated[float, Meta(ge=0, le=600)] = 2.0
    """How long open requests may finish when the daemon stops, after the node itself has stopped."""
