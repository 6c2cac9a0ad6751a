"""A caller cannot have this node send requests to where only this node can reach."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest

pytest.importorskip("a2a")

from coalesced.gateway.a2a.addresses import connector, is_public, url_check

SEGMENTED_127 = "\U0001fbf1\U0001fbf2\U0001fbf7"
"""127 in digits that the resolver of names does not know, and the HTTP client does."""


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "192.0.0.192",
        "168.63.129.16",
        "127.0.0.1.",
        "ff02::1",
        "no address",
    ],
)
def test_addresses_of_ours_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_addresses_on_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:8080/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        f"http://{SEGMENTED_127}.0.0.1/",
        "http://127.0.0.1\\@8.8.8.8/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http:///x",
        "http://user:secret@8.8.8.8/",
        "http://8.8.8.8:99999/",
        "http://8.8.8.8/" + "x" * 3000,
        "",
    ],
)
async def test_an_address_that_leads_inside_is_refused(url: str) -> None:
    assert not await url_check(allow_private=False)(url)


async def test_an_address_outside_is_taken_and_loopback_where_the_owner_says_so() -> None:
    assert await url_check(allow_private=False)("https://8.8.8.8/hook")
    assert await url_check(allow_private=True)("http://127.0.0.1:9/hook")
    assert not await url_check(allow_private=True)("gopher://127.0.0.1/")


async def test_a_name_that_nobody_looks_up_holds_nobody_up() -> None:
    with ThreadPoolExecutor(1) as resolver:
        asyncio.get_running_loop().set_default_executor(resolver)
        may_end = threading.Event()
        resolver.submit(may_end.wait)
        try:
            async with asyncio.timeout(30):
                assert await url_check(allow_private=False, resolve_s=0.05)("https://agent.example/hook")
        finally:
            may_end.set()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", f"{SEGMENTED_127}.0.0.1", "0"])
async def test_no_connection_is_opened_inside_however_its_address_is_written(host: str) -> None:
    reached = asyncio.Event()
    server = await asyncio.start_server(lambda *_: reached.set(), "127.0.0.1", 0)
    async with server, aiohttp.ClientSession(connector=connector(allow_private=False)) as client:
        with pytest.raises((aiohttp.ClientError, ValueError)):
            await client.get(f"http://{host}:{server.sockets[0].getsockname()[1]}/")
    assert not reached.is_set()
