"""A user's `module:function` as this node offers it."""

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.execute.envelope import decode_text
from node.execute.errors import InputError
from node.execute.process import Launch, app_root, sdk_directory
from node.execute.skill import JSON, TEXT, Skill

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
UNIT_BYTES = {"task": 0, "byte": 1, "kilobyte": 1_000, "page": 3_000, "megabyte": 1_000_000}
"""Input bytes in one unit of a price, as coalesced/skill.py documents them (a test holds the two together)."""
FULL_PPM = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSkill:
    """What it takes to run a user's function again after a restart: plain values only."""

    label: str
    module: str
    function: str
    directory: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    python: str = sys.executable
    price_micro: int = 0
    unit: str = "task"
    caption: str = ""
    description: str = ""
    input_media_types: tuple[str, ...] = (TEXT,)
    output_media_type: str = TEXT
    example: str = ""
    time_limit_s: float | None = None
    memory_limit_bytes: int | None = None
    """Of one run; None = the node's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFunction:
    """What `describe_user_function` found: `label` and `price_micro` only where `@skill` declares them.

    `parameters` are (name, type, is required).
    """

    label: str | None
    price_micro: int | None
    unit: str
    caption: str
    description: str
    is_async: bool
    shape: str
    input_media_types: tuple[str, ...]
    output_media_type: str
    parameters: tuple[tuple[str, str, bool], ...]
    example: str


def split_target(target: str) -> tuple[str, str]:
    """Module and function of "package.module:function"; InputError when it is not written so."""
    module, colon, function = target.partition(":")
    if not colon or not NAME.fullmatch(module) or not NAME.fullmatch(function) or "." in function:
        raise InputError(f"{target!r} is not a function: write module:function, for example pages:read_pages")
    return module, function


def user_launch(module: str, function: str, directory: str, environment: Mapping[str, str], python: str) -> Launch:
    """A worker in the caller's directory, environment and Python, for one function."""
    arguments = ("user", str(app_root()), str(sdk_directory()), module, function)
    # Its environment may be what one skill differs in from another.
    told = hashlib.sha256(repr((python, sorted(environment.items()))).encode()).hexdigest()
    return Launch(
        key=f"user:{directory}:{module}:{function}:{told}",
        python=python,
        arguments=arguments,
        directory=directory,
        environment=environment,
    )


def launch_of(user: UserSkill) -> Launch:
    """The worker that runs this skill."""
    return user_launch(user.module, user.function, user.directory, user.environment, user.python)


def skill_of(user: UserSkill) -> Skill:
    """The skill as the rest of the node sees it. Nothing is known about its results but their form."""
    unit_bytes = UNIT_BYTES[user.unit]

    def size(input: bytes, media_type: str) -> int:  # noqa: A002
        if TEXT in user.input_media_types and media_type.startswith("text/"):
            decode_text(input)
        return max(1, -(-len(input) // unit_bytes)) if unit_bytes else 1

    is_json = user.input_media_types == (JSON,)
    return Skill(
        label=user.label,
        caption=user.caption or user.label,
        description=user.description,
        input_media_types=user.input_media_types,
        output_media_type=user.output_media_type,
        size=size,
        unit=user.unit,
        example=user.example.encode(),
        example_media_type=JSON if is_json else user.input_media_types[0],
        efforts=("full",),
        verification={"cheap": "size, media type and form of the result", "redundant": "a second run agrees"},
        min_score_ppm={"full": FULL_PPM},
        price_micro=user.price_micro,
        is_builtin=False,
        unit_bytes=unit_bytes,
        time_limit_s=user.time_limit_s,
        memory_limit_bytes=user.memory_limit_bytes,
    )
