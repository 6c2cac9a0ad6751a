"""A registry over HTTP: what it takes, serves and refuses, and how those who ask it find, compare and publish."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from crypto.group import fastest_group
from crypto.identity import Identity, did_key
from dht.ids import skill_key
from dht.records import Record, sign_record
from node.env import Env
from node.outsource.config import ClientConfig, ContractorConfig
from node.proofs.certificate import Certificate, Terms
from node.proofs.credential import Wanted, certify, encode_credential
from node.proofs.errors import ProofError
from node.proofs.leaves import SkillStatement, Statement
from node.registry.announcer import Announcer
from node.registry.certificates import CertificateForm, NodeCertificates, open_certificate
from node.registry.config import RegistryConfig
from node.registry.forms import (
    NODES_PATH,
    RECORDS_PATH,
    Outcomes,
    RecordsPage,
    encode_record,
    pack_records,
    unpack_records,
)
from node.registry.hiding import GRACE_MS
from node.registry.remote import Registry
from node.registry.sources import CACHE, DHT
from tests.harness.nodes import DEAR, NETWORK, Node, world
from tests.harness.peering import until
from tests.harness.sources import NOW, ONE, Clock, Dht, sources

OTHER = Identity(b"\x52" * 32)
KEY = skill_key(NETWORK, "sentiment")
TEXT = "The room was not clean, but the staff were wonderful."


def record(identity: Identity, *, seq: int = 1, body: bytes = b"here", expires: int = NOW + 3_600_000) -> Record:
    return sign_record(identity, KEY, seq, expires, body)


@asynccontextmanager
async def asked(registry: Node) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession(f"http://{registry.endpoint}") as http:
        yield http


def living(identity: Identity, number: int = 0) -> Record:
    return record(identity, seq=1 + number, expires=Env().unix_ms() + 3_000_000)


# --- what it serves


async def test_a_registry_serves_what_was_published_with_an_etag_and_in_pages() -> None:
    async with world() as made:
        registry = await made.node(sections={"registry": RegistryConfig(serve=True)})
        async with asked(registry) as http:
            makers = [Identity(number.to_bytes(32, "big")) for number in range(1000, 1100)]
            for at in range(0, 100, 20):
                body = pack_records([living(one).raw for one in makers[at : at + 20]])
                async with http.post(RECORDS_PATH, data=body) as answer:
                    assert (await answer.json())["outcomes"] == ["stored"] * 20
            seen: set[str] = set()
            after: str | None = ""
            pages = 0
            while after is not None:
                async with http.get(f"{RECORDS_PATH}/{KEY.hex()}", params={"after": after} if after else {}) as answer:
                    page = msgspec.json.decode(await answer.read(), type=RecordsPage)
                seen |= set(page.records)
                after, pages = page.next, pages + 1
            assert seen == {encode_record(living_like) for living_like in registry_records(seen)}
            assert (len(seen), pages, page.total) == (100, 2, 100)
            async with http.get(f"{RECORDS_PATH}/{KEY.hex()}") as answer:
                etag = answer.headers["ETag"]
            async with http.get(f"{RECORDS_PATH}/{KEY.hex()}", headers={"If-None-Match": etag}) as answer:
                assert (answer.status, await answer.read()) == (304, b"")


def registry_records(texts: set[str]) -> list[Record]:
    import base64

    from dht.records import open_record

    return [open_record(base64.b64decode(text), Env().unix_ms()) for text in texts]


async def test_a_registry_refuses_what_is_forged_stale_cut_or_too_much() -> None:
    async with world() as made:
        config = RegistryConfig(serve=True, requests_per_minute=60)
        registry = await made.node(sections={"registry": config})
        async with asked(registry) as http:
            good = living(ONE)
            forged = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
            stale = record(OTHER, expires=Env().unix_ms() - 1)
            endless = record(OTHER, expires=Env().unix_ms() + 9_000_000)
            body = pack_records([good.raw, forged, stale.raw, endless.raw, good.raw])
            async with http.post(RECORDS_PATH, data=body) as answer:
                outcomes = (await answer.json())["outcomes"]
            assert [one.split(":")[0] for one in outcomes] == ["stored", "refused", "refused", "refused", "stored"]
            assert [word in text for word, text in zip(("signed", "expired", "over"), outcomes[1:4], strict=True)]
            for broken in (good.raw, pack_records([good.raw])[:-1], b""):
                async with http.post(RECORDS_PATH, data=broken) as answer:
                    assert answer.status == 400
            async with http.post(RECORDS_PATH, data=bytes(2**16)) as answer:
                assert answer.status == 413
            for path in (f"{RECORDS_PATH}/zz", "/registry/v1/nodes/nobody", f"{RECORDS_PATH}/{KEY.hex()}?after=1"):
                async with http.get(path) as answer:
                    assert answer.status == 400
            async with http.get(f"/registry/v1/nodes/{did_key(OTHER.public_key)}") as answer:
                assert answer.status == 404
            statuses = set()
            for _ in range(60):
                async with http.get("/registry/v1") as answer:
                    statuses.add(answer.status)
                    waits = answer.headers.get("Retry-After")
            assert statuses == {200, 429}
            assert waits is not None


async def test_a_registry_knows_the_dht_and_shows_a_sellers_facts_and_card() -> None:
    pytest.importorskip("a2a")
    from coalesced.gateway.a2a.config import A2aConfig

    async with world() as made:
        seller = await made.seller(sections={"a2a": A2aConfig(enabled=True)})
        registry = await made.node(sections={"registry": RegistryConfig(serve=True), "contractor": NO_SALES})
        async with asked(registry) as http:
            page = await http.get(f"{RECORDS_PATH}/{KEY.hex()}")
            found = msgspec.json.decode(await page.read(), type=RecordsPage)
            assert len(found.records) == 1
            assert found.looked_unix_ms > 0
            did = did_key(seller.key)
            async with http.get(f"/registry/v1/nodes/{did}") as answer:
                facts = await answer.json()
            assert (facts["skills"], facts["endpoints"]) == (["sentiment"], [str(seller.endpoint)])
            async with http.get(f"/registry/v1/nodes/{did}/card") as answer:
                card = await answer.json()
            assert (answer.status, card["signatures"] != []) == (200, True)


async def test_a_registry_shows_certificates_that_whoever_reads_them_can_check_and_none_that_it_changed() -> None:
    async with world() as made:
        seller = await made.seller()
        registry = await made.node(sections={"registry": RegistryConfig(serve=True), "contractor": NO_SALES})
        now_unix_s = Env().unix_ms() // 1000
        terms = Terms(
            subject=seller.key,
            network=NETWORK,
            issued_unix_s=now_unix_s,
            expires_unix_s=now_unix_s + 3600,
            serial="0" * 32,
        )
        wanted = Wanted({"sentiment": 930_000, "acme/unsold": None}, {("memory_gib", None): 96})
        credential = certify(ONE, terms, wanted, None, group=fastest_group(), entropy=Env().entropy)
        await seller.parts.store.credentials.keep(
            ONE.public_key,
            credential.token,
            encode_credential(credential),
            expires_unix_s=terms.expires_unix_s,
            unix_ms=now_unix_s * 1000,
            replaces=None,
        )
        async with asked(registry) as http:
            assert (await http.get(f"{RECORDS_PATH}/{KEY.hex()}")).status == 200
            async with http.get(f"{NODES_PATH}/{did_key(seller.key)}/certificates") as answer:
                found = msgspec.json.decode(await answer.read(), type=NodeCertificates)
            (form,) = found.certificates

            def read(
                form: CertificateForm, subject: bytes = seller.key, at_unix_s: int = now_unix_s
            ) -> tuple[Certificate, list[Statement]]:
                return open_certificate(form, subject=subject, network=NETWORK, now_unix_s=at_unix_s)

            certificate, statements = read(form)
            assert certificate.issuer == ONE.public_key
            assert statements == [SkillStatement(label="sentiment", score_ppm=930_000)]
            (leaf,) = form.leaves
            leaves = (msgspec.structs.replace(leaf, path=tuple(reversed(leaf.path))),)
            forgeries: tuple[Callable[[], object], ...] = (
                lambda: read(msgspec.structs.replace(form, leaves=leaves)),
                lambda: read(msgspec.structs.replace(form, token=form.token[:-4] + "AAAA")),
                lambda: read(form, subject=OTHER.public_key),
                lambda: read(form, at_unix_s=now_unix_s + 3601),
            )
            for forged in forgeries:
                with pytest.raises(ProofError):
                    forged()
            for nobody in (registry.key, OTHER.public_key):
                async with http.get(f"{NODES_PATH}/{did_key(nobody)}/certificates") as answer:
                    assert answer.status == 404
            await seller.stop()
            async with http.get(f"{NODES_PATH}/{did_key(seller.key)}/certificates") as answer:
                assert answer.status == 200, "kept for a minute"


# --- who asks it

NO_SALES = ContractorConfig(sell=False)


async def test_an_ask_finds_sellers_through_a_registry_where_the_dht_is_empty() -> None:
    async with world() as made:
        registry = await made.node(
            bootstrap=(), sections={"registry": RegistryConfig(serve=True), "contractor": NO_SALES}
        )
        using = RegistryConfig(use=(str(registry.endpoint),))
        seller = await made.node(bootstrap=(), by_meaning=True, sections={"registry": using})
        tally = seller.parts.sources.tallies[str(registry.endpoint)]
        await until(lambda: tally.kept >= len(seller.parts.shop.wares))
        buyer = await lonely_buyer(made, using)
        assert not buyer.parts.discovery.contacts(), "it is in no DHT"
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        why = await buyer.owner.why(task.id)
        (found,) = [row.text for row in why.timeline if row.name == "sellers_found"]
        assert found == f"1 advertise sentiment (shown by: registry {registry.endpoint})"
        sellers = (await buyer.owner.find_skill("sentiment")).sellers
        assert [row.source for row in sellers] == [f"registry {registry.endpoint}"]
        await until(lambda: bool(seller.parts.shop.signposts.standing) and tally.kept > len(seller.parts.shop.wares))
        meant = [row for row in (await buyer.owner.find_meaning("mood of customer reviews")).matches if row.peer]
        assert {row.source for row in meant} == {f"registry {registry.endpoint}"}
        await seller.owner.unsell("sentiment")
        await until(lambda: tally.kept > 0 and KEY not in seller.parts.discovery._publisher._adverts)


async def lonely_buyer(made: Any, using: RegistryConfig) -> Node:
    sections = {"machine": DEAR, "contractor": NO_SALES, "registry": using}
    return await made.node(bootstrap=(), speeds=dict.fromkeys(("sentiment",), 0.05), sections=sections)  # type: ignore[no-any-return]


async def test_what_was_found_is_found_in_the_cache_when_all_else_is_gone() -> None:
    async with world() as made:
        seller = await made.seller()
        buyer = await made.buyer(sections={"client": ClientConfig(find_timeout_s=1.0)})
        assert [row.source for row in (await buyer.owner.find_skill("sentiment")).sellers] == [DHT]
        await until(lambda: bool(buyer.parts.sources._kept))
        await buyer.parts.in_background.end(1.0)
        await seller.parts.discovery.stop()
        for held in list(buyer.parts.discovery._store._by_key):
            del buyer.parts.discovery._store._by_key[held]
        assert [row.source for row in (await buyer.owner.find_skill("sentiment")).sellers] == [CACHE]
        assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"


async def test_a_registry_that_does_not_answer_or_lies_is_said_in_status_and_doctor() -> None:
    async with world() as made, served(lambda key: page_of(key, [])) as (liar, _):
        using = RegistryConfig(use=(liar, "127.0.0.1:9"))
        node = await made.node(sections={"registry": using})
        await until(lambda: all(one.problem for one in node.parts.sources.tallies.values()))
        problems = [one.text for one in (await node.owner.status()).problems]
        assert [text.split(":")[0] for text in problems] == ["registry 127.0.0.1", "registry 127.0.0.1"]
        checks = {check.name: check for check in (await node.owner.doctor()).checks}
        assert checks["registries"].status == "warn"


# --- liars, by hand


def page_of(key: bytes, records: list[Record], looked: int = NOW) -> RecordsPage:
    return RecordsPage(
        registry=did_key(OTHER.public_key),
        network=NETWORK,
        key=key.hex(),
        looked_unix_ms=looked,
        total=len(records),
        records=tuple(encode_record(one) for one in records),
    )


@asynccontextmanager
async def served(page: Any, publish: Any = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A registry of our own making: its address, and what was asked of it."""
    asked: list[bytes] = []

    async def records(request: web.Request) -> web.Response:
        key = bytes.fromhex(request.match_info["key"])
        asked.append(key)
        return web.Response(body=msgspec.json.encode(page(key)))

    app = web.Application()
    app.router.add_get(RECORDS_PATH + "/{key}", records)
    if publish is not None:
        app.router.add_post(RECORDS_PATH, publish)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}", asked
    finally:
        await runner.cleanup()


async def test_a_seller_of_very_much_is_wholly_told_by_and_by_to_a_registry_that_slows_it_down() -> None:
    records = [sign_record(ONE, skill_key(NETWORK, f"acme/{number}"), 1, NOW + 1, b"here") for number in range(100)]
    answered = list[int]()

    async def publish(request: web.Request) -> web.Response:
        """Two publications at a time are taken; the third comes too soon."""
        count = len(unpack_records(await request.read()))
        answered.append(count)
        if len(answered) % 3 == 0:
            raise web.HTTPTooManyRequests
        return web.Response(body=msgspec.json.encode(Outcomes(outcomes=("stored",) * count)))

    async with served(lambda key: page_of(key, []), publish) as (address, _):
        registry = Registry(address, timeout_s=20.0, unix_ms=Clock())
        announcer = Announcer(ONE, [registry], published=lambda: records, unix_ms=Clock())
        tally = announcer.tallies[address]
        await announcer._tell_all(records)
        assert (tally.kept, "answered 429" in tally.problem) == (64, True)
        await announcer._tell_all(records)
        assert (tally.kept, tally.problem, answered) == (100, "", [32, 32, 32, 32, 4])
        await registry.close()


async def test_a_registry_cannot_forge_and_what_it_made_up_is_counted() -> None:
    good, withdrawn = record(ONE), record(OTHER, seq=5, body=b"")
    forged = Record(KEY, OTHER.public_key, 9, NOW + 1, b"x", record(OTHER, seq=9).raw[:-1] + b"?")
    elsewhere = sign_record(OTHER, skill_key(NETWORK, "risk"), 9, NOW + 3_600_000, b"x")
    expired = record(OTHER, seq=10, expires=NOW - 1)
    shown = [good, withdrawn, forged, elsewhere, expired]
    clock = Clock()
    async with served(lambda key: page_of(key, shown)) as (address, _), sources(Dht(), address, clock=clock) as made:
        looked = await made.look(KEY, timeout_s=60.0)
        assert (looked.records, looked.answered) == ((good,), f"registry {address}")
        assert made.tallies[address].refused == 3


async def test_the_newest_of_several_registries_wins_even_where_it_is_a_withdrawal() -> None:
    clock = Clock()
    async with (
        served(lambda key: page_of(key, [record(ONE, seq=1), record(OTHER, seq=1)])) as (old, _),
        served(lambda key: page_of(key, [record(ONE, seq=2), record(OTHER, seq=2, body=b"")])) as (new, _),
        sources(Dht(), old, new, clock=clock) as made,
    ):
        looked = await made.look(KEY, timeout_s=60.0)
        assert [one.seq for one in looked.records] == [2]
        assert looked.answered == f"registry {new}"


async def test_hiding_is_noticed_once_the_registry_must_have_seen_the_seller_and_not_before() -> None:
    clock, dht = Clock(), Dht(record(ONE), record(OTHER))

    def page(key: bytes) -> RecordsPage:
        return page_of(key, [record(ONE)], looked=clock.now)

    async with served(page) as (address, asked), sources(dht, address, clock=clock, compare_s=1.0) as made:
        tally = made.tallies[address]
        assert (await made.look(KEY, timeout_s=60.0)).answered == DHT
        await until(lambda: tally.answers == 1)
        assert (tally.compared, tally.hidden) == (1, 0), "it may not have had the time to see it"
        await made.look(KEY, timeout_s=60.0)
        assert len(asked) == 1, "once in compare_s"
        clock.now += GRACE_MS
        await made.look(KEY, timeout_s=60.0)
        await until(lambda: tally.answers == 2)
        assert (tally.compared, tally.hidden, tally.last_hidden) == (3, 1, OTHER.public_key)


async def test_who_claims_nothing_or_shows_a_withdrawal_hides_nobody() -> None:
    clock, dht = Clock(), Dht(record(ONE), record(OTHER))
    claims = [page_of(KEY, [], looked=0), page_of(KEY, [record(ONE, seq=2, body=b""), record(OTHER)], looked=2 * NOW)]
    for claim in claims:
        async with (
            served(lambda key, claim=claim: claim) as (address, _),
            sources(dht, address, clock=clock, compare_s=1.0) as made,
        ):
            for _ in range(2):
                await made.look(KEY, timeout_s=60.0)
                clock.now += GRACE_MS
            await until(lambda: made.tallies[address].answers == 2)
            assert made.tallies[address].hidden == 0


async def test_the_cache_outlives_its_sources_and_not_the_record() -> None:
    clock, dht = Clock(), Dht(record(ONE), record(OTHER, expires=NOW + 1_000))
    async with sources(dht, clock=clock) as made:
        await made.look(KEY, timeout_s=60.0)
        dht.records.clear()
        clock.now += 2_000
        await until(lambda: bool(made._kept))
        await made._in_background.end(1.0)
        looked = await made.look(KEY, timeout_s=60.0)
        assert (looked.answered, looked.records) == (CACHE, (record(ONE),))
        clock.now += 3_600_000
        assert (await made.look(KEY, timeout_s=60.0)).records == ()


async def test_whom_the_dht_showed_is_not_hidden_by_others_that_it_shows_in_its_place() -> None:
    clock, dht = Clock(), Dht(record(ONE))
    async with sources(dht, clock=clock) as made:
        await made.look(KEY, timeout_s=60.0)
        await made._in_background.end(1.0)
        dht.records = [record(OTHER)]
        assert (await made.look(KEY, timeout_s=60.0)).answered == DHT, "nothing depends on it"
        looked = await made.look(KEY, timeout_s=60.0, thorough=True)
        assert [(one.public_key, looked.source(one)) for one in looked.records] == [
            (OTHER.public_key, DHT),
            (ONE.public_key, CACHE),
        ]
        dht.records.append(record(ONE, seq=2, body=b""))
        assert (await made.look(KEY, timeout_s=60.0, thorough=True)).answered == DHT, "it was withdrawn"


@pytest.mark.parametrize("by_registry", [False, True])
async def test_a_withdrawal_takes_what_was_found_before_out_of_the_cache(by_registry: bool) -> None:
    withdrawal, shown = record(OTHER, seq=2, body=b""), list[Record]()
    clock, dht = Clock(), Dht(record(OTHER, seq=1))
    async with served(lambda key: page_of(key, shown)) as (address, _), sources(dht, address, clock=clock) as made:
        assert (await made.look(KEY, timeout_s=2.0)).answered == DHT
        await until(lambda: bool(made._kept))
        await made._in_background.end(1.0)
        dht.records.clear()
        (shown if by_registry else dht.records).append(withdrawal)
        assert (await made.look(KEY, timeout_s=2.0)).records == ()
        await made._in_background.end(1.0)
        dht.records.clear()
        shown.clear()
        assert (await made.look(KEY, timeout_s=2.0)).records == (), "for good, whoever is asked afterwards"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda key: {"nonsense": 1}, "no page of records"),
        (lambda key: page_of(bytes(20), []), "it answered about"),
        (lambda key: {"registry": "x" * 2**19}, "more than"),
    ],
)
async def test_what_is_no_answer_of_a_registry_is_named_and_costs_nothing_else(answer: Any, said: str) -> None:
    async with served(answer) as (address, _), sources(Dht(), address, clock=Clock()) as made:
        assert (await made.look(KEY, timeout_s=60.0)).records == ()
        assert said in made.tallies[address].problem
