"""Every parser takes its kept corpus and some hundreds of mutations, or refuses them with its own error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.campaign import draw, mutator_of
from tests.fuzz.limits import Finding, attempt, watching
from tests.fuzz.target import Target
from tests.fuzz.targets import ALL

MUTATIONS = 300
"""For a target whose share is one or more."""
MAX_CORPUS_BYTES = 300 * 1024
every_target = pytest.mark.parametrize("target", ALL, ids=lambda target: target.name)


def told(finding: Finding | None) -> str:
    """A finding with its input; empty when there is none."""
    return "" if finding is None else f"{finding.what}\n{finding.data[:2000]!r}\n{finding.details}"


@every_target
def test_the_corpus_is_handled_and_some_of_it_is_right(target: Target) -> None:
    entries = corpus.load(target)
    accepted = 0
    with target.opened() as parse, watching(wall=False) as watch:
        for data in entries:
            assert told(attempt(target, parse, data, watch)) == ""
            try:
                parse(data)
                accepted += 1
            except target.may_raise:
                pass
    assert accepted, f"no entry is right any more: run scripts/fuzz --make-corpus --target {target.name}"


@every_target
def test_mutations_of_the_corpus_are_handled(target: Target) -> None:
    mutator = mutator_of(target)
    with target.opened() as parse, watching(wall=False) as watch:
        for index in range(round(MUTATIONS * min(target.share, 1))):
            assert told(attempt(target, parse, draw(target, mutator, 0, index), watch)) == "", f"seed 0, --only {index}"


@pytest.mark.parametrize("target", [one for one in ALL if one.share >= 1], ids=lambda target: target.name)
@settings(max_examples=25)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_handled(target: Target, data: bytes) -> None:
    with target.opened() as parse, watching(wall=False) as watch:
        assert told(attempt(target, parse, data, watch)) == ""


def test_the_corpus_stays_small() -> None:
    sizes = [path.stat().st_size for path in corpus.ROOT.glob("*/*")]
    assert sum(sizes) <= MAX_CORPUS_BYTES
    assert {path.name for path in corpus.ROOT.iterdir()} == {target.name for target in ALL}
