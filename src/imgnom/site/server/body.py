"""Bodies in memory: counted while they come, never written to a file, let go while the application reads them."""

import io
import threading
from collections import deque
from typing import TYPE_CHECKING

import httptools

from imgnom.site.server.head import Refused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Budget:
    """Bytes that may be held at once: by all together, and by each key."""

    def __init__(self, total: int, *, each: int) -> None:
        self._total, self._each = total, each
        self._lock = threading.Lock()
        self._used, self._by_key = 0, dict[str, int]()

    def take(self, key: str, count: int) -> bool:
        with self._lock:
            mine = self._by_key.get(key, 0) + count
            if mine > self._each or self._used + count > self._total:
                return False
            self._by_key[key] = mine
            self._used += count
            return True

    def give_back(self, key: str, count: int) -> None:
        with self._lock:
            self._used -= count
            self._by_key[key] -= count
            if not self._by_key[key]:
                del self._by_key[key]

    def has_room(self, key: str, count: int) -> bool:
        with self._lock:
            return self._used + count <= self._total and self._by_key.get(key, 0) + count <= self._each


class _Pieces(io.RawIOBase):
    """Gives each piece back to the system once it was read."""

    def __init__(self, pieces: deque[bytes | bytearray]) -> None:
        self._pieces, self._offset = pieces, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        if not self._pieces:
            return 0
        piece = self._pieces[0]
        taken = min(len(target), len(piece) - self._offset)
        target[:taken] = piece[self._offset : self._offset + taken]
        self._offset += taken
        if self._offset == len(piece):
            self._pieces.popleft()
            self._offset = 0
        return taken


# Smaller pieces are kept together: each object costs some fifty bytes, more than a piece of a few.
_SMALL_BYTES = 16 * 1024


class Body:
    """The body of one request while it arrives. `length` is None for a chunked one."""

    def __init__(self, length: int | None, *, budget: Budget, key: str, most: int) -> None:
        self._left = length
        self._chunks = _Chunks() if length is None else None
        self._budget, self.key, self._most = budget, key, most
        self._pieces = deque[bytes | bytearray]()
        self.held = 0

    @property
    def is_chunked(self) -> bool:
        return self._chunks is not None

    @property
    def is_complete(self) -> bool:
        return self._chunks.is_complete if self._chunks else self._left == 0

    def wants(self) -> int:
        """How many bytes to read from the socket: never into the next request of a client that pipelines."""
        piece = 256 * 1024
        return piece if self._left is None else min(piece, self._left)

    def receive(self, data: bytes) -> bytes:
        """Keeps what belongs to the body and returns the rest. Raises Refused."""
        if self._chunks is not None:
            for piece in self._chunks.decode(data):
                self._keep(piece)
            return b""
        left = self._left or 0
        self._left = left - min(left, len(data))
        self._keep(data[:left])
        return data[left:]

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        if self.held + len(piece) > self._most:
            raise Refused(413)
        if not self._budget.take(self.key, len(piece)):
            raise Refused(503)
        self.held += len(piece)
        if len(piece) >= _SMALL_BYTES:
            self._pieces.append(piece)
        elif self._pieces and len(last := self._pieces[-1]) < _SMALL_BYTES and isinstance(last, bytearray):
            last += piece
        else:
            self._pieces.append(bytearray(piece))

    def stream(self) -> io.BufferedReader:
        return io.BufferedReader(_Pieces(self._pieces), 64 * 1024)

    def let_go(self) -> None:
        self._pieces.clear()
        if self.held:
            self._budget.give_back(self.key, self.held)
            self.held = 0


_CHUNKED = b"POST / HTTP/1.1\r\nHost: -\r\nTransfer-Encoding: chunked\r\n\r\n"
# Sizes, extensions and trailers of chunks are held by nobody, and may be an eighth of what they frame.
_MAX_FRAME_BYTES = 64 * 1024


class _Chunks:
    """Takes the chunks apart. What follows the last one is dropped: the connection ends with the answer."""

    def __init__(self) -> None:
        self.is_complete = False
        self._found = list[bytes]()
        self._seen = self._kept = 0
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_CHUNKED)

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._kept += len(data)
            self._found.append(data)

    def on_message_complete(self) -> None:
        self.is_complete = True

    def decode(self, data: bytes) -> list[bytes]:
        """Raises Refused."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserCallbackError, httptools.HttpParserUpgrade):
            if not self.is_complete:
                raise Refused(400) from None
        self._seen += len(data)
        if self._seen > self._kept + self._kept // 8 + _MAX_FRAME_BYTES and not self.is_complete:
            raise Refused(400)
        found, self._found = self._found, []
        return found
