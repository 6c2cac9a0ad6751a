"""Addresses in one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.net.endpoint import Endpoint, endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000),
        ("[::1]:9000", "::1", 9000),
        ("[2001:DB8:0:0::1]:0", "2001:db8::1", 0),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1", 80),
        ("Example.ORG:65535", "example.org", 65535),
        ("  localhost:1 ", "localhost", 1),
    ],
)
def test_what_people_write_is_read_into_one_form(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == Endpoint(host, port)
    assert parse_endpoint(str(Endpoint(host, port))) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":", "9000", "host", "host:", ":9000", "::1:9000", "[::1]", "host:65536", "host:-1", "ho st:1", "a..b:1",
     "-a:1", "http://host:1", "[host]:1", "[1.2.3]:1", "1.2.3:1", "1.2.3.400:1", "[fe80::1%1]:1",
     "x" * 254 + ":1", "host:٣"],
)  # fmt: skip
def test_anything_else_is_a_usage_error_that_quotes_it(text: str) -> None:
    with pytest.raises(UsageError):
        parse_endpoint(text)


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_a_usage_error(text: str) -> None:
    try:
        parsed = parse_endpoint(text)
    except UsageError:
        return
    assert parse_endpoint(str(parsed)) == parsed


def test_loopback_is_recognised() -> None:
    assert all(endpoint(host, 1).is_loopback for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(endpoint(host, 1).is_loopback for host in ("192.0.2.1", "::", "0.0.0.0", "example.org"))


@pytest.mark.parametrize(
    ("host", "subnet"),
    [
        ("8.8.4.7", "8.8.4.0/24"),
        ("::ffff:8.8.4.9", "8.8.4.0/24"),
        ("2001:4860:4860:1::7", "2001:4860:4860::/48"),
        ("127.0.0.1", ""),
        ("192.168.7.7", ""),
        ("172.31.0.1", ""),
        ("172.32.0.1", "172.32.0.0/24"),
        ("fd00::1", ""),
        ("fe80::1", ""),
        ("::1", ""),
        ("node.example", ""),
    ],
)
def test_a_subnet_is_what_one_party_can_rent_and_private_ones_are_none(host: str, subnet: str) -> None:
    assert endpoint(host, 7733).subnet == subnet


def test_ipv6_addresses_of_one_64_count_as_one_party() -> None:
    assert endpoint("2001:db8::1", 1).address_group == endpoint("2001:db8::ffff:1", 2).address_group
    assert endpoint("2001:db8::1", 1).address_group != endpoint("2001:db8:0:1::1", 1).address_group
    assert endpoint("192.0.2.1", 1).address_group != endpoint("192.0.2.2", 1).address_group


@pytest.mark.parametrize(
    ("named", "from_loopback", "from_outside"),
    [
        ("127.0.0.1:22", True, False),
        ("[::1]:22", True, False),
        ("localhost:22", True, False),
        ("0.0.0.0:80", True, False),
        ("169.254.169.254:80", True, False),
        ("224.0.0.1:80", False, False),
        ("192.168.1.7:7733", True, True),
        ("198.51.100.7:7733", True, True),
        ("node.example:7733", True, True),
    ],
)
def test_a_stranger_cannot_point_a_node_at_its_own_machine(named: str, from_loopback: bool, from_outside: bool) -> None:
    where = parse_endpoint(named)
    assert where.may_be_dialled_from(parse_endpoint("127.0.0.1:7733")) is from_loopback
    assert where.may_be_dialled_from(parse_endpoint("203.0.113.5:7733")) is from_outside
