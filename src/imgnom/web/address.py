"""The client's address: what a trusted proxy says, or the peer itself (threat H4).

A socket that listens on both families shows IPv4 peers as ::ffff:a.b.c.d. These are unwrapped everywhere: otherwise
one person would have two addresses, and a /64 of that range would hold every IPv4 address there is.
"""

import functools
import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # noqa: S104 - a mark for "unknown", nothing binds to it


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address as peers and proxies write it: with a zone, in brackets, with a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


@functools.lru_cache(maxsize=8)
def _networks(proxies: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ipaddress.ip_network(proxy, strict=False) for proxy in proxies)


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _networks(tuple(settings.IMGNOM.trusted_proxies)))


def client_address(request: HttpRequest) -> str:
    """The nearest address that is no trusted proxy of ours."""
    address = _parsed(str(request.META.get("REMOTE_ADDR", "")))
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        if address is None or not _is_trusted(address) or not hop.strip():
            break
        address = _parsed(hop)
    return str(address) if address is not None else UNKNOWN


def limit_networks(address: str) -> tuple[tuple[str, int], ...]:
    """The networks that one address counts in, the narrowest first, and how many times the limit each may use.

    A provider hands one customer a /64, a /56 or a whole /48, so limits that only count /64 are no limits. A mobile
    network puts many customers behind one /48 or one IPv4 /24, so the wider networks have proportionally more room.
    """
    found = _unwrapped(ipaddress.ip_address(address))
    widths = ((64, 1), (56, 2), (48, 8)) if found.version == 6 else ((32, 1), (24, 8))
    return tuple((str(ipaddress.ip_network(f"{found}/{bits}", strict=False)), times) for bits, times in widths)


def shortened(address: str) -> str:
    """The network without the person: /24 of IPv4, /48 of IPv6."""
    found = _unwrapped(ipaddress.ip_address(address))
    return str(ipaddress.ip_network(f"{found}/{48 if found.version == 6 else 24}", strict=False))
