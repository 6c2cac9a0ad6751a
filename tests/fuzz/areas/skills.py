"""The builtin skills: any input is refused or has a size, any delivered output gets a finding."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from node.execute.catalogue import PACKAGES, SKILLS
from node.execute.corpus import Case, analysis_case, portfolio_case, risk_case, sentiment_case
from node.execute.errors import InputError
from node.execute.skill import JSON, TEXT, Skill
from node.tasks.verify import FULL_SCORE_PPM, MAX_REASON_CHARS, Finding, check_agreement, check_form, judge
from tests.fuzz.target import Parse, Target, plain


def _far_tail() -> Case:
    """So few paths that a single one is expected beyond value at risk."""
    task = json.loads(risk_case(2, assets=2, paths=1_000, horizon=1, distribution="student").input)
    return Case("risk", json.dumps({**task, "confidence": 0.9999}).encode())


SMALL: dict[str, tuple[Callable[[], Case], ...]] = {
    "document-analysis": (lambda: analysis_case(1, documents=2, pages=1, questions=2),),
    "portfolio": (
        lambda: portfolio_case(1, assets=4, points=2),
        lambda: portfolio_case(2, assets=2, points=1, periods=4),
    ),
    "risk": (lambda: risk_case(1, assets=3, paths=3_000, horizon=2), _far_tail),
    "sentiment": (lambda: sentiment_case(1, texts=2, sentences=4),),
}


def size_input(skill: Skill, data: bytes) -> None:
    """The input in each media type; refused is what none of them takes."""
    refusals = []
    for media_type in (JSON, TEXT, "application/octet-stream"):
        try:
            assert skill.size(data, media_type) >= 0
        except InputError as error:
            refusals.append(error)
    if len(refusals) == 3:
        raise refusals[0]


@contextmanager
def checked(label: str) -> Iterator[Parse]:
    """The skill's own check of fixed tasks, each delivered the same."""
    cases = [make() for make in SMALL[label]]
    check: Callable[..., Finding] = import_module(f"{PACKAGES[label]}.check").check

    def parse(data: bytes) -> None:
        for case, level in product(cases, ("cheap", "full")):
            # A worker process prints numpy's warnings and goes on; so does this.
            with np.errstate(all="ignore"):
                found = check(case.input, JSON, data, level=level, seed=b"\x05" * 32)
            assert type(found.score_ppm) is int
            assert 0 <= found.score_ppm <= FULL_SCORE_PPM
            judged = judge(found, min_score_ppm=900_000, cpu_s=0.1)
            assert judged.accepted or judged.reasons
            assert all(0 < len(reason) <= MAX_REASON_CHARS for reason in judged.reasons)

    yield parse


def compare_outputs(data: bytes) -> None:
    """Form, and agreement with another result, in every media type."""
    honest = b'{"numbers": [1.0, 2, 3.5], "text": "a", "deep": {"a": [{"b": null}]}}'
    for media_type in (JSON, TEXT, "application/octet-stream"):
        for found in (check_form(data, media_type, max_bytes=2**20), check_agreement(honest, data, media_type)):
            assert found.score_ppm in (0, FULL_SCORE_PPM)
        check_agreement(data, data + b" ", media_type)


def honest_outputs(label: str) -> list[bytes]:
    """What the skill itself makes of its small tasks."""
    work: Any = import_module(f"{PACKAGES[label]}.work")
    return [work.run(make().input, JSON, "full", lambda done_ppm, text: None) for make in SMALL[label]]


def _inputs(skill: Skill) -> Iterator[bytes]:
    yield skill.example
    yield from (make().input[:8000] for make in SMALL[skill.label])
    envelope = {"text": "Who audits?", "files": [{"name": "a.txt", "media_type": TEXT, "text": "The auditor is Hale."}]}
    yield json.dumps(envelope).encode()
    binary = {"text": "", "files": [{"name": "b", "base64": "eyJhIjogMX0="}]}
    yield json.dumps(binary).encode()


def _outputs() -> Iterator[bytes]:
    yield b'{"numbers": [1.0, 2, 3.5], "text": "a", "deep": {"a": [{"b": null}]}}'
    yield b"plain text"


TARGETS = (
    *(
        Target(
            name=f"{skill.label}-input",
            form="json",
            opened=plain(partial(size_input, skill)),
            seeds=partial(_inputs, skill),
            may_raise=(InputError,),
            share=0.5,
        )
        for skill in SKILLS
    ),
    *(
        Target(
            name=f"{skill.label}-output",
            form="json",
            opened=partial(checked, skill.label),
            seeds=partial(honest_outputs, skill.label),
            share=0.5,
        )
        for skill in SKILLS
    ),
    Target(name="result-form", form="json", opened=plain(compare_outputs), seeds=_outputs, share=0.5),
)
