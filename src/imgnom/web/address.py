"""The client's address: what a trusted proxy says, or the peer itself (threat H4)."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def _is_trusted(address: str) -> bool:
    try:
        peer = ipaddress.ip_address(address)
        return any(peer in ipaddress.ip_network(proxy, strict=False) for proxy in settings.IMGNOM.trusted_proxies)
    except ValueError:
        return False


def client_address(request: HttpRequest) -> str:
    """The nearest address that is no trusted proxy of ours."""
    address = str(request.META.get("REMOTE_ADDR", "")).rsplit("%", 1)[0]
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        if not _is_trusted(address) or not hop.strip():
            break
        address = hop.strip()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - a mark for "unknown", nothing binds to it


def limit_key(address: str) -> str:
    """IPv6 counts by /64: whoever has one address of it has all."""
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if found.version == 6 else address


def shortened(address: str) -> str:
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network(f"{address}/{48 if found.version == 6 else 24}", strict=False))
