"""The head of a request, read strictly: what two readers could read differently is refused."""

import re
import sys
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

type Environ = dict[str, Any]
# A second one of these would be joined or dropped by one reader and believed by the other.
_ONCE = frozenset({"HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_AUTHORIZATION", "HTTP_TRANSFER_ENCODING"})
_MAX_LENGTH_DIGITS = 15
# The parser also takes other protocols' names and more than one blank.
_REQUEST_LINE = re.compile(rb"[A-Z-]+ [!-~]+ HTTP/[0-9]\.[0-9]\r\n")


class Refused(Exception):
    """The request gets this status and the connection is closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Head:
    """`length` is the declared size of the body; None where it is chunked."""

    __slots__ = ("environ", "expects_continue", "is_head", "keeps_alive", "length", "version")

    def __init__(self, environ: Environ, *, version: str, keeps_alive: bool) -> None:
        self.environ, self.version, self.keeps_alive = environ, version, keeps_alive
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        self.expects_continue = version == "1.1" and environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        self.length: int | None = 0


class _Lines:
    """What the parser calls while it reads."""

    __slots__ = ("fields", "target")

    def __init__(self) -> None:
        self.target, self.fields = b"", list[tuple[bytes, bytes]]()

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


@lru_cache(maxsize=512)
def _key_of(name: bytes) -> str:
    """The WSGI name of a header; empty for one that is dropped.

    `X_Forwarded_For` would be taken for `X-Forwarded-For`, and `Proxy` for the variable that programs read.
    """
    if b"_" in name or name.lower() == b"proxy":
        return ""
    key = name.decode("ascii").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _path_and_query(target: bytes, host: str) -> tuple[str, str]:
    """Of `/path?query`, and of an absolute address only where it names the very host of the Host header."""
    if not target.startswith(b"/"):
        scheme, found, rest = target.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if (
            not found
            or scheme.lower() not in (b"http", b"https")
            or authority.decode("latin-1").lower() != host.lower()
        ):
            raise Refused(400)
        target = slash + path or b"/"
        if not target.startswith(b"/"):
            raise Refused(400)
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"), query.decode("latin-1")


def read_head(raw: bytes) -> Head:
    """`raw` ends with the empty line. Raises Refused."""
    if not _REQUEST_LINE.match(raw):
        raise Refused(400)
    lines = _Lines()
    parser = httptools.HttpRequestParser(lines)
    is_upgrade = False
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        is_upgrade = True  # not taken: the answer comes in HTTP/1.1, which every client of an upgrade must understand
    except (httptools.HttpParserError, httptools.HttpParserCallbackError):
        raise Refused(400) from None
    version = parser.get_http_version()
    method = parser.get_method().decode("ascii")
    if version not in ("1.0", "1.1"):
        raise Refused(505)
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": f"HTTP/{version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in lines.fields:
        key = _key_of(name)
        if not key:
            continue
        text = value.rstrip(b" \t").decode("latin-1")
        if key in environ:
            if key in _ONCE:
                raise Refused(400)
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    if version == "1.1" and "HTTP_HOST" not in environ:
        raise Refused(400)
    environ["PATH_INFO"], environ["QUERY_STRING"] = _path_and_query(lines.target, environ.get("HTTP_HOST", ""))
    wishes = {wish.strip().lower() for wish in environ.get("HTTP_CONNECTION", "").split(",")}
    keeps_alive = "close" not in wishes and not is_upgrade and (version == "1.1" or "keep-alive" in wishes)
    head = Head(environ, version=version, keeps_alive=keeps_alive)
    head.length = _length(environ, version, is_upgrade=is_upgrade or method == "CONNECT")
    return head


def _length(environ: Environ, version: str, *, is_upgrade: bool) -> int | None:
    coding, length = environ.pop("HTTP_TRANSFER_ENCODING", None), environ.get("CONTENT_LENGTH")
    if coding is not None:
        if length is not None or version != "1.1" or is_upgrade:
            raise Refused(400)
        if coding.strip().lower() != "chunked":
            raise Refused(501)
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()) or len(length) > _MAX_LENGTH_DIGITS or (is_upgrade and int(length)):
        raise Refused(400)
    return int(length)
