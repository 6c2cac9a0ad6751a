"""Market priors: counts are what is there, no forgery and no budget is passed, no liar is believed for long."""

import random
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.identity import Identity
from crypto.jcs import canonical
from crypto.jws import sign_compact
from node.decision.config import DecisionConfig
from node.decision.engine import replay
from node.decision.inputs import (
    NO_VERIFICATION,
    Candidate,
    Inputs,
    InternalCost,
    LocalOption,
    PolicyMemory,
    SellerMemory,
    TaskFacts,
    VerificationOption,
)
from node.decision.words import MakerWord, counted_for, reports
from node.priors.belief import LEAST_WEIGHT, MOST_ODDS, Standing, compared, expected, fade, first_standing, word
from node.priors.check import check, check_opened, read
from node.priors.document import ENDINGS, MILLI, PRIOR_TYP, Ending, Made, Prior, Probe, Row, decay, encode_leaf
from node.priors.forms import Wanted, decode_reply, decode_wanted, opened_reply, openings_of, shown
from node.priors.picking import Purse, Target, pick
from node.proofs.certificate import Disclosed, disclose, tree_of
from node.proofs.errors import ProofError
from tests.harness.priors import BAD, GOOD, NETWORK, NOW_MS, SKILL, document, probe, probes_of, receipt

MAKER, OTHER = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
NOW_S = NOW_MS // 1000
DAY_MS = 86_400_000
MADE = document(MAKER)


# --- counting


@given(st.lists(st.tuples(st.sampled_from(ENDINGS), st.integers(0, 1), st.integers(0, 89)), min_size=1, max_size=12))
@settings(max_examples=25)
def test_every_leaf_of_a_document_is_what_its_place_says(drawn: list[tuple[Ending, int, int]]) -> None:
    probes = [
        probe(MAKER, (GOOD, BAD)[who], ending, number, NOW_MS - days * DAY_MS)
        for number, (ending, who, days) in enumerate(drawn)
    ]
    made = document(MAKER, probes=probes)
    prior = read(made.token)
    check(prior, maker=MAKER.public_key, network=NETWORK, skill=SKILL, now_unix_s=NOW_S)
    asked = range(prior.tree.leaves)
    opened = check_opened(prior, [disclose(made.leaves, index) for index in asked], asked)
    for row in prior.rows:
        mine = [one for one in probes if prior.row_of(one.seller) == row]
        assert row.leaves == len(mine) == sum(one.row == row for one in opened)
        assert [sum(one.ending == ending for one in mine) for ending in ENDINGS] == [row.good, row.bad, row.faults]
        exact = sum(decay(one.unix_ms, NOW_MS) for one in mine if one.ending == "good")
        assert exact - 1 / MILLI <= row.good_milli / MILLI <= exact


def test_counts_decay_with_the_age_of_each_probe() -> None:
    ages = (0, 30, 60, 89)
    counts = [
        document(MAKER, probes=[probe(MAKER, GOOD, unix_ms=NOW_MS - days * DAY_MS)]).prior.rows[0].good_milli
        for days in ages
    ]
    assert all(later < sooner for sooner, later in pairwise(counts))
    assert counts[0] == 1000
    assert counts[1] == pytest.approx(1000 * 2.718281828 ** (-0.1 * 30 / 30.436875), abs=1)


def test_a_row_says_how_long_work_took_and_what_was_billed() -> None:
    row = MADE.prior.row_of(GOOD.public_key)
    assert row is not None
    assert (row.billed_ppm, row.latency_ppm) == (1_000_000, 1_250_000)
    assert (MADE.prior.row_of(BAD.public_key), MADE.prior.row_of(OTHER.public_key)) != (None, None)


# --- forgeries


def refused(reason: str, prior: Prior, **changes: object) -> None:
    asked = {"maker": MAKER.public_key, "network": NETWORK, "skill": SKILL, "now_unix_s": NOW_S, **changes}
    with pytest.raises(ProofError) as caught:
        check(prior, **asked)  # type: ignore[arg-type]
    assert caught.value.reason == reason


def signed(prior: Prior, by: Identity = MAKER) -> str:
    return sign_compact(by, canonical(msgspec.to_builtins(prior)), typ=PRIOR_TYP)


def test_a_document_of_another_maker_network_skill_or_time_is_refused() -> None:
    prior = MADE.prior
    refused("wrong_signer", prior, maker=OTHER.public_key)
    refused("wrong_network", prior, network="main")
    refused("wrong_subject", prior, skill="sentiment")
    refused("expired", prior, now_unix_s=prior.exp)
    refused("not_yet_valid", prior, now_unix_s=prior.iat - 3600)


def test_what_was_said_before_is_not_sold_again() -> None:
    newer = document(MAKER, now_unix_ms=NOW_MS + 60_000, probes=probes_of(MAKER)).prior
    refused("replayed", MADE.prior, last=newer)
    check(newer, maker=MAKER.public_key, network=NETWORK, skill=SKILL, now_unix_s=NOW_S + 60, last=MADE.prior)
    twice = document(MAKER, probes=probes_of(MAKER)[:-1]).prior
    refused("replayed", twice, last=MADE.prior)


def test_a_document_that_somebody_else_signed_or_changed_is_refused() -> None:
    head, payload, signature = MADE.token.split(".")
    for broken in (
        signed(MADE.prior, OTHER),
        f"{head}.{payload[:-4]}AAAA.{signature}",
        f"{head}.{payload}.{signature[:-8]}AAAAAAAA",
    ):
        with pytest.raises(ProofError) as caught:
            read(broken)
        assert caught.value.reason == "bad_signature"


ROW, NEXT = MADE.prior.rows


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((msgspec.structs.replace(ROW, good_milli=ROW.good_milli + 2000), NEXT), "miscounted"),
        ((msgspec.structs.replace(ROW, good=ROW.good + 1), NEXT), "miscounted"),
        ((ROW, msgspec.structs.replace(NEXT, start=NEXT.start - 1)), "miscounted"),
        ((ROW,), "miscounted"),
        ((ROW, msgspec.structs.replace(NEXT, sub=ROW.sub)), "malformed"),
        ((ROW, msgspec.structs.replace(NEXT, sub="did:key:" + "z" * 48)), "malformed"),
        ((msgspec.structs.replace(ROW, last_unix_s=MADE.prior.exp), NEXT), "miscounted"),
    ],
)
def test_figures_that_do_not_add_up_are_refused_though_signed(rows: tuple[Row, ...], reason: str) -> None:
    with pytest.raises(ProofError) as caught:
        read(signed(msgspec.structs.replace(MADE.prior, rows=rows)))
    assert caught.value.reason == reason


def test_a_document_that_would_live_too_long_is_refused() -> None:
    with pytest.raises(ProofError, match="lives"):
        read(signed(msgspec.structs.replace(MADE.prior, exp=MADE.prior.iat + 30 * 86_400)))


def forged(*leaves: bytes, good: int, bad: int = 0) -> tuple[Prior, list[Disclosed]]:
    """A document whose maker put these leaves behind one seller's row, all of them opened."""
    row = msgspec.structs.replace(
        ROW, good=good, bad=bad, faults=len(leaves) - good - bad, good_milli=1000 * good, bad_milli=0
    )
    prior = msgspec.structs.replace(MADE.prior, tree=tree_of(leaves), rows=(row,))
    return read(signed(prior)), [disclose(leaves, index) for index in range(len(leaves))]


def unopened(reason: str, prior: Prior, opened: list[Disclosed]) -> None:
    with pytest.raises(ProofError) as caught:
        check_opened(prior, opened, [one.index for one in opened])
    assert caught.value.reason == reason


def test_leaves_that_are_not_what_was_signed_are_refused() -> None:
    leaf = encode_leaf("good", receipt(MAKER, GOOD))
    unopened("wrong_subject", *forged(encode_leaf("good", receipt(MAKER, BAD)), good=1))
    unopened("wrong_subject", *forged(encode_leaf("good", receipt(MAKER, GOOD, skill="sentiment")), good=1))
    unopened("wrong_signer", *forged(encode_leaf("good", receipt(OTHER, GOOD)), good=1))
    unopened("wrong_network", *forged(encode_leaf("good", receipt(MAKER, GOOD, network="main")), good=1))
    unopened("miscounted", *forged(encode_leaf("good", receipt(MAKER, GOOD, accepted=False)), good=1))
    unopened("miscounted", *forged(leaf, good=0, bad=1))
    unopened("miscounted", *forged(leaf, good=0))
    unopened("miscounted", *forged(encode_leaf("good", receipt(MAKER, GOOD, unix_ms=NOW_MS - DAY_MS)), good=1))
    unopened("counted_twice", *forged(leaf, leaf, good=2))
    unopened("miscounted", *forged(b"anything", good=1))
    unopened("miscounted", *forged(leaf[:-1] + bytes([leaf[-1] ^ 1]), good=1))
    prior, opened = forged(leaf, good=1)
    unopened("not_in_root", prior, [replace(opened[0], leaf=encode_leaf("good", receipt(MAKER, GOOD, number=7)))])
    with pytest.raises(ProofError, match="asked for"):
        check_opened(prior, opened, [0, 1])
    assert [one.ending for one in check_opened(prior, opened, [0])] == ["good"]


# --- what travels


def test_leaves_travel_with_their_paths_and_other_requests_are_refused() -> None:
    wanted = openings_of(MADE.prior, [4, 1])
    assert decode_wanted(msgspec.json.encode(wanted)) == wanted
    reply = decode_reply(msgspec.json.encode(opened_reply(MADE, wanted.leaves)))
    assert [one.ending for one in check_opened(MADE.prior, shown(reply), [1, 4])] == ["good", "bad"]
    with pytest.raises(IndexError):
        opened_reply(MADE, [99])
    for broken in (b"", b"[]", b'{"skill": "risk", "root": "zz"}', b'{"skill": "risk", "leaves": [1]}', bytes(9999)):
        with pytest.raises(ValueError):
            decode_wanted(broken)
    assert decode_wanted(b'{"skill": "risk"}') == Wanted(skill="risk")
    with pytest.raises(ProofError):
        decode_reply(b'{"prior": 7}')


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for attempt in (
        lambda: decode_reply(data),
        lambda: read(data.decode("latin-1")),
        lambda: check_opened(MADE.prior, [Disclosed(data, 0, ())], [0]),
    ):
        with suppress(ProofError):
            attempt()


# --- whom to probe


SELLERS = [bytes([number]) * 32 for number in range(6)]
targets = st.lists(
    st.builds(
        Target,
        seller=st.sampled_from(SELLERS),
        skill=st.sampled_from(("risk", "sentiment")),
        good=st.floats(0, 50),
        bad=st.floats(0, 50),
        price_micro=st.none() | st.integers(0, 900),
        asked=st.integers(0, 9),
    ),
    max_size=8,
)


@given(targets, st.integers(0, 3000), st.integers(0, 1500), st.integers(0, 2**32))
def test_probes_never_cost_more_than_the_budgets(
    known: list[Target], budget_micro: int, each_micro: int, seed: int
) -> None:
    rng, spent = random.Random(seed), dict[bytes, int]()
    for _ in range(60):
        left = budget_micro - sum(spent.values())
        purse = Purse(left_micro=left, each_micro=each_micro, spent_micro=spent)
        target = pick(known, purse, rng.random())
        if target is None:
            break
        most = purse.for_seller(target.seller)
        assert most > 0
        # A quote above the purse is not taken; one within it is paid at most as quoted.
        paid = rng.randint(0, most) if target.price_micro is None else min(target.price_micro, most)
        spent[target.seller] = spent.get(target.seller, 0) + paid
        assert sum(spent.values()) <= budget_micro
        assert spent[target.seller] <= each_micro


@given(st.floats(0, 0.999))
def test_who_is_little_known_cheap_or_asked_about_is_probed_more(drawn: float) -> None:
    known = Target(seller=SELLERS[0], skill="risk", good=30.0, price_micro=100)
    purse = Purse(left_micro=10_000, each_micro=10_000, spent_micro={})
    for other in (
        Target(seller=SELLERS[1], skill="risk", price_micro=100),
        Target(seller=SELLERS[1], skill="risk", good=30.0, price_micro=10),
        Target(seller=SELLERS[1], skill="risk", good=30.0, price_micro=100, asked=20),
    ):
        picked = pick((known, other), purse, drawn)
        assert picked is other or drawn < 0.2
    assert pick((), purse, drawn) is None
    dear = Target(seller=SELLERS[1], skill="risk", price_micro=20_000)
    assert pick((dear,), purse, drawn) is None


# --- how far it is believed


def row(good: int, bad: int) -> Row:
    return msgspec.structs.replace(ROW, good=good, bad=bad, good_milli=MILLI * good, bad_milli=MILLI * bad)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 1), st.booleans()), max_size=40))
def test_no_record_makes_a_maker_believed_beyond_where_named_ones_begin(
    jobs: list[tuple[int, int, float, bool]],
) -> None:
    standing = first_standing(is_named=True)
    for good, bad, left, ended_well in jobs:
        standing = compared(standing, row(good, bad), left, good=ended_well)
        assert standing.odds <= MOST_ODDS
        assert standing.weight == 0.0 or LEAST_WEIGHT <= standing.weight <= MOST_ODDS / (1 + MOST_ODDS)
    assert standing.compared == len(jobs)


def test_a_maker_that_is_right_stays_believed_and_one_that_is_wrong_counts_for_nothing_after_two_jobs() -> None:
    rng, right = random.Random(1), Standing()
    for _ in range(200):
        right = compared(right, row(10, 1), 1.0, good=rng.random() < 0.9)
    assert right.weight > 0.6
    wrong = first_standing(is_named=True)
    for _ in range(2):
        wrong = compared(wrong, row(10, 0), 1.0, good=False)
    assert wrong.weight == 0.0
    assert compared(Standing(), row(0, 0), 1.0, good=False).odds == pytest.approx(Standing().odds)


@given(st.integers(0, 100), st.integers(0, 100), st.floats(-10, 2 * 86_400))
def test_words_fade_to_nothing_by_their_expiry(good: int, bad: int, age_s: float) -> None:
    prior, said = MADE.prior, row(good, bad)
    left = fade(prior, prior.iat + age_s)
    assert 0.0 <= left <= 1.0
    told = word("k7m2qfab", prior, said, first_standing(is_named=True), prior.iat + age_s)
    assert told.good + told.bad <= good + bad
    assert (age_s >= 86_400) == (left == 0.0)
    assert 0.0 < expected(told.good, told.bad) < 1.0
    worth = counted_for(reports([told] * 9), discount=0.3, most_jobs=10.0)
    assert worth.successes + worth.failures <= 10.0 + 1e-9


# --- what a liar can do


def season(seed: int, said: tuple[Row, Row] | None, standing: Standing, *, q_bad: float) -> tuple[list[int], float]:
    """Sixty tasks with a cheap bad seller and a fair one: hires of each, and what all came to in local costs."""
    rng, own, hires, spent = random.Random(seed), [[0, 0], [0, 0]], [0, 0], 0.0
    config = msgspec.structs.replace(DecisionConfig(), policy="market-maker")
    local = LocalOption(feasible=True, time_s=1.0, p95_s=2.0, cost=InternalCost(compute_micro=100_000))
    options = (NO_VERIFICATION, VerificationOption(level="full", cost_micro=4_000, detection=0.85))
    for _ in range(60):
        sellers = []
        for which, price_micro in enumerate((15_000, 30_000)):
            words = () if said is None else (_word(said[which], standing),)
            told = reports(words)
            sellers.append(
                Candidate(
                    key=bytes([which]),
                    name=f"{which}",
                    price_micro=price_micro,
                    duration_s=1.0,
                    p95_s=2.0,
                    claimed_success=0.98,
                    successes=own[which][0],
                    failures=own[which][1],
                    jobs=sum(own[which]),
                    memory=SellerMemory(shared_successes=told.successes, shared_failures=told.failures),
                    words=words,
                )
            )
        inputs = Inputs(
            facts=TaskFacts(skill="risk", budget_micro=10**6, deadline_s=100.0),
            local=local,
            candidates=tuple(sellers),
            options=options,
            config=config,
            memory=PolicyMemory(saved_micro=1e8),
        )
        chosen = replay(inputs).contractor
        if chosen is None:
            spent += 1.0
            continue
        which = chosen[0]
        good = rng.random() < (q_bad, 0.95)[which]
        hires[which] += 1
        own[which][0 if good else 1] += 1
        spent += (0.15, 0.30)[which] if good else 1.0
        if said is not None:
            standing = compared(standing, said[which], 1.0, good=good)
    return hires, spent


def _word(said: Row, standing: Standing) -> MakerWord:
    return MakerWord(maker="m", good=said.good, bad=said.bad, weight=standing.weight)


def test_a_maker_that_praises_a_bad_seller_costs_a_few_jobs_however_much_it_praises() -> None:
    named, found = first_standing(is_named=True), first_standing(is_named=False)
    for count in (10, 1000):
        lie = row(count, 0), row(0, 0)
        for seed in range(2):
            without, honest = season(seed, None, named, q_bad=0.1)
            with_lie, spent = season(seed, lie, named, q_bad=0.1)
            assert with_lie[0] <= without[0] + 3
            assert spent <= honest + 3.0
            assert season(seed, lie, found, q_bad=0.1)[0][0] <= without[0] + 2


def test_a_maker_that_slanders_a_good_seller_costs_no_more_than_doing_it_here() -> None:
    lie = row(10, 0), row(0, 10)
    for seed in range(3):
        hires, spent = season(seed, lie, first_standing(is_named=True), q_bad=0.1)
        assert spent <= 60.0 + sum(hires)


def test_a_prior_keeps_a_stranger_from_the_bad_seller_that_is_cheapest() -> None:
    true = row(1, 9), row(10, 0)
    without = sum(season(seed, None, first_standing(is_named=True), q_bad=0.1)[0][0] for seed in range(5))
    hires = [season(seed, true, first_standing(is_named=True), q_bad=0.1)[0] for seed in range(5)]
    assert sum(one[0] for one in hires) == 0 < without


def test_a_probe_without_records_is_no_document() -> None:
    from node.priors.document import make

    assert make(MAKER, network=NETWORK, skill=SKILL, probes=list[Probe](), now_unix_ms=NOW_MS, life_s=60) is None
    assert isinstance(MADE, Made)
