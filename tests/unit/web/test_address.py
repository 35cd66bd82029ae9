"""Who is counted: the address a trusted proxy vouches for, once, however it is written."""

from dataclasses import replace

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from imgnom.web.address import UNKNOWN, client_address, limit_networks, shortened


def seen(peer: str, forwarded: str = "") -> str:
    extra = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **extra))


@pytest.fixture
def behind(settings: Settings) -> None:
    settings.IMGNOM = replace(settings.IMGNOM, trusted_proxies=("10.0.0.0/8", "2001:db8:ffff::/48"))


@pytest.mark.clause("A1.2")
@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:cb00:7109", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", UNKNOWN),
        ("unix:", UNKNOWN),
    ],
)
def test_one_person_has_one_address(peer: str, expected: str) -> None:
    assert seen(peer) == expected


@pytest.mark.clause("A1.2")
def test_a_header_without_a_trusted_proxy_counts_for_nothing(behind: None) -> None:
    assert seen("203.0.113.9", "198.51.100.1") == "203.0.113.9"


@pytest.mark.clause("A1.2")
@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.1.2.3", "198.51.100.1:4711", "198.51.100.1"),
        ("10.1.2.3", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:ffff::1", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "nonsense", UNKNOWN),
        ("10.1.2.3", "", "10.1.2.3"),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours(behind: None, peer: str, forwarded: str, expected: str) -> None:
    assert seen(peer, forwarded) == expected


@pytest.mark.clause("A1.2")
def test_limits_count_ipv6_by_64_and_mapped_ipv4_one_by_one() -> None:
    assert limit_networks("2001:db8::1") == limit_networks("2001:db8::ffff:1:2")
    assert limit_networks("::ffff:203.0.113.9") == limit_networks("203.0.113.9")
    assert limit_networks("::ffff:203.0.113.9") != limit_networks("::ffff:203.0.113.10")


@pytest.mark.clause("A1.2")
def test_limits_count_wider_networks_with_more_room() -> None:
    assert limit_networks("2001:db8:1:234::9") == (
        ("2001:db8:1:234::/64", 1),
        ("2001:db8:1:200::/56", 2),
        ("2001:db8:1::/48", 8),
    )
    assert limit_networks("203.0.113.9") == (("203.0.113.9/32", 1), ("203.0.113.0/24", 8))


def test_a_shortened_address_names_a_network_only() -> None:
    assert shortened("203.0.113.9") == shortened("::ffff:203.0.113.9") == "203.0.113.0/24"
    assert shortened("2001:db8:1:2::9") == "2001:db8:1::/48"
