"""The log: one form for everything, and no secret in it."""

import io
import logging
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import structlog

from coalesced.logs import WITHHELD, LogConfig, configure
from node.wording import HARMFUL


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line, type=dict[str, object]) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_event_is_one_json_object(stream: io.StringIO) -> None:
    configure(LogConfig(), stream)
    structlog.get_logger().info("peer.connected", peer="k7m2qfab", endpoint="127.0.0.1:1", many=(1, 2))
    (line,) = lines(stream)
    assert line.pop("timestamp")
    assert line == {
        "event": "peer.connected",
        "level": "info",
        "peer": "k7m2qfab",
        "endpoint": "127.0.0.1:1",
        "many": [1, 2],
    }


def test_on_a_terminal_a_person_can_read_it(stream: io.StringIO) -> None:
    configure(LogConfig(format="pretty"), stream)
    structlog.get_logger().warning("peer.broke_protocol", code="bad_signature")
    assert "peer.broke_protocol" in stream.getvalue()
    assert "code=bad_signature" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("name", sorted(WITHHELD))
def test_what_carries_a_secret_name_is_withheld(stream: io.StringIO, name: str) -> None:
    configure(LogConfig(), stream)
    structlog.get_logger().info("task.ended", **{name: "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert lines(stream)[0][name] == "withheld"


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_nothing_that_is_logged_can_steer_a_terminal(stream: io.StringIO, form: Literal["json", "pretty"]) -> None:
    hostile = "\x1b[31mred\x9b1A\u202e\u200b\u2028\x7f\U000e0041"
    configure(LogConfig(format=form), stream)
    log = structlog.get_logger()
    log.info("agent.failed", why=hostile, several=(hostile, {"a": hostile}))
    logging.getLogger("a.library").warning("said %s", hostile)
    try:
        raise ValueError(hostile)
    except ValueError:
        log.exception("call.failed")
    assert not {one for one in stream.getvalue() if one != "\n" and unicodedata.category(one) in HARMFUL}
    if form == "json":
        assert [line.get("why") for line in lines(stream)] == [hostile, None, None], "it still says what was said"


def test_bytes_are_logged_by_length_and_long_text_is_cut(stream: io.StringIO) -> None:
    configure(LogConfig(), stream)
    structlog.get_logger().info("frame.received", frame=b"secret bytes", text="x" * 10_000)
    assert "secret bytes" not in stream.getvalue()
    assert lines(stream)[0]["frame"] == "<12 bytes>"
    assert len(stream.getvalue()) < 1000


def test_levels_below_the_configured_one_are_dropped(stream: io.StringIO) -> None:
    configure(LogConfig(level="warning"), stream)
    structlog.get_logger().info("peer.connected")
    assert stream.getvalue() == ""


def test_libraries_log_in_the_same_form_from_warning_up(stream: io.StringIO) -> None:
    configure(LogConfig(level="debug"), stream)
    logging.getLogger("aiohttp.server").warning("odd %s", "request")
    logging.getLogger("asyncio").info("chatter")
    (line,) = lines(stream)
    assert (line["event"], line["level"]) == ("odd request", "warning")


def test_an_exception_is_structured_and_holds_no_local_values(stream: io.StringIO) -> None:
    configure(LogConfig(), stream)
    passphrase = "hunter" + "2"
    try:
        raise ValueError(f"{len(passphrase)} characters")
    except ValueError:
        structlog.get_logger().exception("task.crashed")
    (line,) = lines(stream)
    assert "hunter2" not in stream.getvalue()
    assert "7 characters" in str(line["exception"])


def test_a_value_that_json_does_not_know_does_not_break_the_log(stream: io.StringIO) -> None:
    configure(LogConfig(), stream)
    structlog.get_logger().info("odd.logged", value=object, bad="\ud800")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_that_cannot_be_written_disturbs_nobody(stream: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w") as full:
        configure(LogConfig(), full)
        structlog.get_logger().info("peer.connected")
        logging.getLogger("library").warning("something")
        # What is still buffered would be tried again when the file is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert capfd.readouterr().err == ""
