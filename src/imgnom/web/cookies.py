"""Cookies of our own, under the one name that writing and reading share.

On https every cookie carries `__Host-` and `Secure`: no other host of the domain can plant or read it. On plain http
browsers refuse that prefix, so the bare name stands (design §8).
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from imgnom.custody.in_force import policy_in_force

DAY_SECONDS = 86_400
PREFIX = "__Host-"


def cookie_name(name: str) -> str:
    return f"{PREFIX}{name}" if settings.IMGNOM.is_https else name


def read_cookie(request: HttpRequest, name: str) -> str:
    """Its value, or nothing. On https a cookie without the prefix is not ours and is not read."""
    return request.COOKIES.get(cookie_name(name), "")


def cookie_seconds(name: str) -> int:
    """The period that the policy declares for a cookie, in the browser's own time: a month has thirty days."""
    period = policy_in_force().cookies[name].period
    return period.seconds + DAY_SECONDS * (period.days + 30 * period.months + 365 * period.years)


def write_cookie(response: HttpResponse, name: str, value: str, *, max_age: int) -> None:
    """`max_age` in seconds of the browser's own time."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=settings.IMGNOM.is_https,
    )
