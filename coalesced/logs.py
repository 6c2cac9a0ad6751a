"""The daemon's log: events named `noun.past_verb` with data as keys. Pretty on a terminal, NDJSON otherwise.

Never keys, task text or results: `_withhold` replaces what carries such a name, and every bytes value by its length.
Never what could steer the terminal of whoever reads it: what peers and agents say of a failure is logged, too.
"""

import io
import json
import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final, Literal, TextIO, cast

import msgspec
import structlog

from coalesced.cli.escape import escaped, escaped_block
from node.wording import visible_json

WITHHELD: Final = frozenset(
    {
        *("seed", "secret", "private_key", "key_material", "salt", "passphrase", "password", "token", "authorization"),
        *("text_in", "task_text", "input", "output", "result", "answer", "question", "prompt", "data", "environment"),
    }
)
"""Key names whose values stay out of the log, whoever logs them."""
MAX_VALUE_CHARS: Final = 500
"""Longer values are cut: an error text may quote what a peer sent."""


_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    # Local variables may hold anything, keys included.
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class LogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The daemon's log, on its standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """info = state changes, warning = a peer's fault, error = ours."""
    format: Literal["auto", "pretty", "json"] = "auto"
    """auto: pretty on a terminal, one JSON object a line otherwise."""


class _Target:
    """Where lines go. A full disk or a closed pipe costs lines, never the node: logging is not what it is for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if that is possible."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._stream.isatty()


def configure(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging to `stream` (stderr), in one form. May be called again."""
    target = cast("TextIO", _Target(stream if stream is not None else sys.stderr))
    pretty = config.format == "pretty" or (config.format == "auto" and target.isatty())
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
        _withhold,
    ]
    final: list[structlog.typing.Processor] = (
        [_harmless, structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=_traceback)]
        if pretty
        else [_TRACEBACKS, _as_json]
    )
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    # Libraries say at info what only they care about.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _withhold(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:  # the signature is structlog's
    for name, value in event.items():
        if name in WITHHELD and value is not None:
            event[name] = "withheld"
        elif isinstance(value, bytes | bytearray | memoryview):
            event[name] = f"<{len(value)} bytes>"
        elif isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
            event[name] = value[:MAX_VALUE_CHARS] + f"... ({len(value)} characters)"
    return event


def _harmless(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = escaped(value)
    return event


def _traceback(target: TextIO, error: structlog.typing.ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    target.write(escaped_block(text.getvalue()))


def _as_json(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    try:
        return visible_json(msgspec.json.encode(event, enc_hook=repr).decode())
    except UnicodeEncodeError:
        # Lone surrogates, as in a file name that is not UTF-8: the standard library writes them as escapes.
        return json.dumps(event, default=repr)
