"""Cookies of our own, under the one name that writing and reading share.

On https every cookie carries `__Host-` and `Secure`: no other host of the domain can plant or read it. On plain http
browsers refuse that prefix, so the bare name stands (design §8).
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

PREFIX = "__Host-"


def cookie_name(name: str) -> str:
    return f"{PREFIX}{name}" if settings.IMGNOM.is_https else name


def read_cookie(request: HttpRequest, name: str) -> str:
    """Its value, or nothing. On https a cookie without the prefix is not ours and is not read."""
    return request.COOKIES.get(cookie_name(name), "")


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
