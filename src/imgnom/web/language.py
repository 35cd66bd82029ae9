"""Which of the two languages a request is answered in: the chosen one, else what the browser asks for, else Korean."""

from typing import Literal

from django.http import HttpRequest
from django.utils.translation.trans_real import parse_accept_lang_header

from imgnom.web.cookies import read_cookie

type Language = Literal["ko", "en"]
COOKIE = "imgnom_lang"


def _asked(header: str) -> Language | None:
    """The first of our languages in the browser's order of preference."""
    for code, weight in parse_accept_lang_header(header):
        primary = code.partition("-")[0]
        if weight > 0 and primary == "en":
            return "en"
        if weight > 0 and primary == "ko":
            return "ko"
    return None


def language_of(request: HttpRequest) -> Language:
    chosen = read_cookie(request, COOKIE)
    if chosen == "en":
        return "en"
    if chosen == "ko":
        return "ko"
    return _asked(request.headers.get("Accept-Language", "")) or "ko"
