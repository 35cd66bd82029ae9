"""Browsers that an account has signed in on: the limits that a stranger can use up do not apply to them (threat N4).

The browser keeps a random number and a keyed digest of it together with the account and an end date. Nothing is stored
on the server, so there is nothing to link accounts by, and a stranger can neither make nor use such a cookie. It proves
nothing but that: password and second factor are asked for as anywhere, and each number has limits of its own.
"""

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import HttpResponse

from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.web.cookies import cookie_seconds, read_cookie, write_cookie
from imgnom.web.requests import Request

COOKIE = "imgnom_device"
# Members of one household share a browser; the oldest entry gives way.
MAX_ACCOUNTS = 4
_ENTRY = re.compile(r"[0-9a-f]{24}-[0-9]{8}-[0-9a-f]{40}")
_ENTRY_CHARS = 24 + 1 + 8 + 1 + 40


def _proof(subject: str, number: str, last_day: str) -> str:
    key = derive(settings.SECRET_KEY.encode(), "known browser")
    return keyed_digest(key, f"{subject}\0{number}\0{last_day}".encode()).hex()[:40]


def _entries(request: Request) -> list[str]:
    value = read_cookie(request, COOKIE)
    if len(value) > MAX_ACCOUNTS * (_ENTRY_CHARS + 1):
        return []
    return [entry for entry in value.split(".") if _ENTRY.fullmatch(entry)]


def _belongs(entry: str, subject: str, now: datetime) -> bool:
    number, last_day, proof = entry.split("-")
    right = hmac.compare_digest(proof, _proof(subject, number, last_day))
    return right and f"{now.astimezone(UTC):%Y%m%d}" <= last_day


def known_browser(request: Request, subject: str) -> str:
    """The random number of this browser for this account, or nothing."""
    return next((e.partition("-")[0] for e in _entries(request) if _belongs(e, subject, request.now)), "")


def remember_browser(request: Request, subject: str) -> None:
    """Whoever uses this browser proved that the account is theirs; the answer carries the cookie."""
    number = secrets.token_hex(12)
    end = request.now + timedelta(seconds=cookie_seconds(COOKIE))
    last_day = f"{end.astimezone(UTC):%Y%m%d}"
    others = [entry for entry in _entries(request) if not _belongs(entry, subject, request.now)]
    fresh = f"{number}-{last_day}-{_proof(subject, number, last_day)}"
    request.known_browser_cookie = ".".join([fresh, *others][:MAX_ACCOUNTS])


def write_known_browser(request: Request, response: HttpResponse) -> None:
    value = getattr(request, "known_browser_cookie", "")
    if value:
        write_cookie(response, COOKIE, value, max_age=cookie_seconds(COOKIE))
