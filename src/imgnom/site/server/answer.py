"""Responses: the application's as bytes and a source of more bytes, and the few that the server gives itself."""

import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from imgnom.site.server.head import Environ, Head

type Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# Read by people whose browser or network did something unusual; everything else is answered by the application.
_TEXTS = {
    400: "요청을 읽을 수 없습니다. / The request cannot be read.",
    408: "요청이 너무 느리게 도착해 연결을 끊었습니다. / The request came too slowly, so the connection was closed.",
    413: "보낸 내용이 너무 큽니다. / What was sent is too large.",
    431: "요청 머리글이 너무 큽니다. / The request header is too large.",
    500: "요청을 처리하지 못했습니다. / The request could not be handled.",
    501: "지원하지 않는 전송 방식입니다. / This transfer coding is not supported.",
    503: "지금은 요청이 많습니다. 잠시 뒤 다시 시도해 주세요. / There are many requests just now. Please try again shortly.",
    505: "지원하지 않는 HTTP 버전입니다. / This version of HTTP is not supported.",
}
_date = (0, b"")


def _date_line() -> bytes:
    global _date  # noqa: PLW0603 - made once a second
    second = int(time.time())
    if _date[0] != second:
        _date = (second, f"Date: {formatdate(second, usegmt=True)}\r\n".encode())
    return _date[1]


def plain(status: int) -> bytes:
    """A whole response of the server's own; the connection ends with it."""
    text = f"{_TEXTS[status]}\n".encode()
    retry = "Retry-After: 5\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(text)}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n{retry}Connection: close\r\n"
    )
    return head.encode() + _date_line() + b"\r\n" + text


class Answer:
    """The response to one request. `take` gives the next bytes; the application's iterable is closed at the end."""

    __slots__ = ("_chunks", "_close", "_is_chunked", "_left", "keeps_alive", "start")

    def __init__(self, application: Application, head: Head, *, may_keep_alive: Callable[[], bool]) -> None:
        told = list[tuple[str, list[tuple[str, str]]]]()

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            told.append((status, headers))

        body = application(head.environ, start_response)
        self._close: Callable[[], None] | None = getattr(body, "close", None)
        self._chunks: Iterator[bytes] | None = None
        try:
            self._begin(body, head, *told[-1], may_keep_alive=may_keep_alive)
        except BaseException:
            self.finish()
            raise

    def _begin(
        self,
        body: Iterable[bytes],
        head: Head,
        status: str,
        headers: list[tuple[str, str]],
        *,
        may_keep_alive: Callable[[], bool],
    ) -> None:
        has_body = not head.is_head and status[:3] not in ("204", "304")
        self._left: int | None = None
        lines = [f"HTTP/1.1 {status}\r\n"]
        for name, value in headers:
            if name.lower() == "content-length":
                self._left = int(value)
                if status[:3] == "204":
                    continue
            lines.append(f"{name}: {value}\r\n")
        self._is_chunked = has_body and self._left is None and head.version == "1.1"
        self.keeps_alive = (
            may_keep_alive() and head.keeps_alive and (not has_body or self._left is not None or self._is_chunked)
        )
        if self._is_chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        if not self.keeps_alive:
            lines.append("Connection: close\r\n")
        elif head.version == "1.0":
            lines.append("Connection: keep-alive\r\n")
        self.start = "".join(lines).encode("latin-1") + _date_line() + b"\r\n"
        if has_body:
            self._chunks = iter(body)
        else:
            self.finish()

    def take(self) -> bytes | None:
        """The next bytes to send; None at the end. An application that gives less than it said ends the connection."""
        while self._chunks is not None:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._chunks = None
                if self._left:
                    self.keeps_alive = False
                self.finish()
                return b"0\r\n\r\n" if self._is_chunked else None
            if not chunk:
                continue
            if self._is_chunked:
                return b"%x\r\n%b\r\n" % (len(chunk), chunk)
            if self._left is not None:
                chunk = chunk[: self._left]
                self._left -= len(chunk)
                if not self._left:
                    self._chunks = None
                    self.finish()
            return chunk
        return None

    def finish(self) -> None:
        """The application is told that nothing more is asked of it; again is harmless."""
        close, self._close, self._chunks = self._close, None, None
        if close is not None:
            close()
