"""The token of a form, in Django's own form: the middleware takes and compares it as any of Django's.

Every page has one, in the form of its language button, and for a visitor without a cookie Django asks the kernel 64
times for one random letter. Here it is asked once for all of them, from the same source, each letter as likely as any.
"""

import os

from django.http import HttpRequest
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH

_PLACES = {letter: place for place, letter in enumerate(CSRF_ALLOWED_CHARS)}


def _draw() -> list[int]:
    """Places of random letters; of six random bits what names no letter is thrown away, so that none is likelier."""
    found: list[int] = []
    while len(found) < CSRF_SECRET_LENGTH:
        found += [bits for byte in os.urandom(2 * CSRF_SECRET_LENGTH) if (bits := byte & 63) < len(CSRF_ALLOWED_CHARS)]
    return found[:CSRF_SECRET_LENGTH]


def _letters(places: list[int]) -> str:
    return "".join([CSRF_ALLOWED_CHARS[place] for place in places])


def form_token(request: HttpRequest) -> str:
    """The secret of the visitor's cookie under a fresh mask; without one a new secret, which goes out as a cookie."""
    secret = request.META.get("CSRF_COOKIE")
    if not isinstance(secret, str):
        secret = request.META["CSRF_COOKIE"] = _letters(_draw())
    request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
    mask = _draw()
    letters = len(CSRF_ALLOWED_CHARS)
    veiled = [(_PLACES[letter] + place) % letters for letter, place in zip(secret, mask, strict=True)]
    return _letters(mask) + _letters(veiled)
