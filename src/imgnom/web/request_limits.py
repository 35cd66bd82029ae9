"""Limits of a request's address and headers, checked before anything is parsed, decoded or normalised (threat D3).

A header that only informs is cut or taken for absent when it is too long; one that decides something (the host, cookies,
the origin, the type of the body) refuses the request. `bound` is called on the WSGI environment before Django makes a
request of it, since Django parses `Content-Type` while it does; the middleware answers, and covers requests that came
another way. Not here: the header block as a whole, which the web server limits.
"""

import re
from collections.abc import MutableMapping
from typing import Any

MAX_PATH, MAX_QUERY = 2048, 8192
MAX_PARAMETER = 200
REFUSED = "imgnom.refused"
# Where one of these is longer, the request is refused: 400 for what must be exact, 431 for what has grown.
DECISIVE = {"CONTENT_TYPE": (512, 400), "HTTP_HOST": (255, 400), "HTTP_ORIGIN": (512, 400), "HTTP_COOKIE": (8192, 431)}
# These are lists in order of importance: what is too much at the end is left out.
CUT = {"HTTP_ACCEPT": 1024, "HTTP_ACCEPT_LANGUAGE": 256}
# Every other header is taken for absent when it is longer.
LONGEST = {
    "HTTP_USER_AGENT": 1024,
    "HTTP_REFERER": 2048,
    "HTTP_IF_NONE_MATCH": 2048,
    "HTTP_RANGE": 128,
    "HTTP_IF_MODIFIED_SINCE": 128,
}
LONGEST_OTHER = 2048
FORWARDED = "HTTP_X_FORWARDED_FOR"
MAX_FORWARDED = 1024
# Python has codecs that decode in quadratic time (punycode, idna) and remembers every unknown name for ever.
_CHARSET = re.compile(r'charset=(?:utf-8\b|"utf-8")')


def bound(environ: MutableMapping[str, Any]) -> int:
    """Cuts what may be cut. Returns the status that refuses the request, or 0; then what was refused is not in it."""
    status = int(environ.get(REFUSED, 0))
    for name, value in list(environ.items()):
        if not isinstance(value, str) or not name.startswith(("HTTP_", "CONTENT_", "QUERY_", "PATH_")):
            continue
        fault = _fault(environ, name, value)
        if fault:
            status = status or fault
            environ[name] = "/" if name == "PATH_INFO" else ""
    environ[REFUSED] = status
    return status


def _fault(environ: MutableMapping[str, Any], name: str, value: str) -> int:
    """The status by which this refuses the request, or 0 once it is within its limit."""
    if name in DECISIVE:
        longest, status = DECISIVE[name]
        if len(value) > longest:
            return status
        return 400 if name == "CONTENT_TYPE" and _has_foreign_charset(value) else 0
    if name in ("PATH_INFO", "QUERY_STRING"):
        return 414 if len(value) > (MAX_PATH if name == "PATH_INFO" else MAX_QUERY) else 0
    if name in CUT:
        if len(value) > CUT[name]:
            environ[name] = value[: CUT[name]].rpartition(",")[0]
    elif name == FORWARDED:
        if len(value) > MAX_FORWARDED:  # the nearest hops stand at the end
            environ[name] = value[-MAX_FORWARDED:].partition(",")[2]
    elif len(value) > LONGEST.get(name, LONGEST_OTHER) or (name == "HTTP_REFERER" and not value.isascii()):
        del environ[name]
    return 0


def _has_foreign_charset(content_type: str) -> bool:
    plain = "".join(content_type.lower().split())
    return plain.count("charset") != len(_CHARSET.findall(plain))
