"""Any quote request that decodes gets a quote or a decline: never an exception, never a price over the budget."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.outsource.config import ContractorConfig
from node.outsource.contractor.quotedesk import QuoteDesk
from protocol.fields import MAX_MILLIS
from protocol.messages import Decline, Quote, QuoteRequest
from protocol.packing import pack, unpack
from protocol.signed import QuoteTerms, open_signed
from protocol.specification import (
    EFFORTS,
    LEVELS,
    PRIVACY_LEVELS,
    Constraints,
    InputDescriptor,
    OutputRequirement,
    Resources,
    Specification,
    VerificationCriteria,
)
from tests.harness.nodes import Node, world

labels = st.sampled_from(["sentiment", "risk", "portfolio", "document-analysis", "translation"])
specifications = st.builds(
    Specification,
    skills=st.lists(labels, min_size=1, max_size=8).map(tuple),
    effort=st.sampled_from(EFFORTS),
    resources=st.builds(
        Resources,
        flop=st.integers(0, 2**62),
        memory_bytes=st.integers(0, 2**40),
        libraries=st.lists(st.text(min_size=1, max_size=64), max_size=3).map(tuple),
    ),
    input=st.builds(
        InputDescriptor,
        media_type=st.sampled_from(["text/plain", "application/json", "a/b"]),
        size_bytes=st.integers(0, 2**40) | st.integers(0, 1000),
        sha256=st.binary(min_size=32, max_size=32),
        work_units=st.integers(0, 2**53) | st.integers(0, 1000),
    ),
    output=st.builds(OutputRequirement, media_type=st.text(max_size=121), max_bytes=st.integers(0, 2**40)),
    verification=st.builds(
        VerificationCriteria, least_level=st.sampled_from(LEVELS), min_score_ppm=st.integers(0, 10**6)
    ),
    constraints=st.builds(
        Constraints,
        deadline_ms=st.integers(0, MAX_MILLIS),
        budget_micro=st.integers(0, 10**15),
        privacy=st.sampled_from(PRIVACY_LEVELS),
        regions=st.lists(st.text(min_size=1, max_size=64), max_size=2).map(tuple),
    ),
)
requests = st.builds(QuoteRequest, task_id=st.binary(min_size=16, max_size=16), specification=specifications)


def with_a_node(check: Callable[[Node], Awaitable[None]], **contractor: Any) -> None:
    async def main() -> None:
        async with world() as made:
            await check(await made.node(sections={"contractor": ContractorConfig(**contractor)}))

    asyncio.run(main())


@pytest.mark.parametrize("speed", [1e-12, 1e-4, 1e9])
def test_any_request_that_decodes_gets_a_quote_or_a_decline(speed: float) -> None:
    client = os.urandom(32)

    async def check(node: Node) -> None:
        desk: QuoteDesk = node.parts.desk

        @settings(max_examples=150)
        @given(requests)
        def answered(request: QuoteRequest) -> None:
            assert unpack(QuoteRequest, pack(request)) == request
            answer = desk.quote(client, request)
            assert unpack(type(answer), pack(answer)) == answer, "the peer can decode it"
            if isinstance(answer, Quote):
                terms = open_signed(QuoteTerms, answer.terms, answer.signature, node.key)
                assert terms.task_id == request.task_id
                assert terms.price_micro <= request.specification.constraints.budget_micro
                assert terms.duration_ms <= min(terms.p95_ms, request.specification.constraints.deadline_ms)
            else:
                assert isinstance(answer, Decline)
                assert answer.text

        answered()

    with_a_node(check, max_quotes_per_peer=100_000)
