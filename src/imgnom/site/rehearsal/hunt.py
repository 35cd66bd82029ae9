"""Search every byte under the home for planted values, in every form in which a program may have kept them.

Forms: UTF-8, UTF-16 (both orders), base64 at its three offsets (and the URL-safe alphabet), hex (both cases),
URL-encoded, JSON-escaped, Hangul composed and decomposed, and all of these again inside gzip or zlib streams.
"""

import base64
import json
import re
import unicodedata
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

GZIP = b"\x1f\x8b\x08"
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
MAX_INFLATED = 64 * 1024 * 1024
MIN_PATTERN_BYTES = 6


@dataclass(frozen=True)
class Find:
    canary: str
    form: str
    file: str


def _base64_cores(raw: bytes) -> Iterator[bytes]:
    """The part of a base64 text that is the same whatever stands around the value, for each of three offsets."""
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw).rstrip(b"=")
        skip = (0, 2, 3)[lead]
        end = len(text) if (lead + len(raw)) % 3 == 0 else -1
        core = text[skip:end]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def forms_of(value: str) -> dict[bytes, str]:
    """Every byte pattern to look for, with the name of its form."""
    patterns: dict[bytes, str] = {}
    for normal in ("NFC", "NFD"):
        text = unicodedata.normalize(normal, value)
        raw = text.encode()
        for form, pattern in (
            ("plain", raw),
            ("UTF-16-LE", text.encode("utf-16-le")),
            ("UTF-16-BE", text.encode("utf-16-be")),
            ("hex", raw.hex().encode()),
            ("HEX", raw.hex().upper().encode()),
            ("URL", urllib.parse.quote(text, safe="").encode()),
            ("url", urllib.parse.quote(text, safe="").lower().encode()),
            ("JSON", json.dumps(text)[1:-1].encode()),
            *(("base64", core) for core in _base64_cores(raw)),
        ):
            if len(pattern) >= MIN_PATTERN_BYTES:
                patterns.setdefault(pattern, form if normal == "NFC" else f"{form} {normal}")
    return patterns


class Hunt:
    """All canaries at once: one pass over each file for all patterns."""

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._patterns: dict[bytes, tuple[str, str]] = {}
        for name, value in canaries.items():
            for pattern, form in forms_of(value).items():
                self._patterns.setdefault(pattern, (name, form))
        # Each branch is a literal; the longest first, so that a prefix never hides a longer pattern.
        ordered = sorted(self._patterns, key=len, reverse=True)
        self._any = re.compile(b"|".join(re.escape(pattern) for pattern in ordered)) if ordered else None

    def _scan(self, content: bytes, file: str, inside: str) -> Iterator[Find]:
        if self._any is None:
            return
        seen = set()
        for match in self._any.finditer(content):
            name, form = self._patterns[match.group()]
            if (name, form) not in seen:
                seen.add((name, form))
                yield Find(name, f"{form}{inside}", file)

    def bytes_of(self, content: bytes, file: str) -> Iterator[Find]:
        yield from self._scan(content, file, "")
        for start, window in _streams(content):
            yield from self._scan(inflate(content[start:], window), file, " in a compressed stream")

    def files(self, root: Path, *, leave_out: Iterable[Path] = ()) -> list[Find]:
        left_out = set(leave_out)
        found: list[Find] = []
        for path in sorted(root.rglob("*")):
            if not path.is_file() or path in left_out:
                continue
            name = path.relative_to(root).as_posix()
            found.extend(self._scan(name.encode(), name, " in the file's name"))
            try:
                found.extend(self.bytes_of(path.read_bytes(), name))
            except FileNotFoundError:
                continue  # temporary files come and go while the site runs
        return found


def _streams(content: bytes) -> Iterator[tuple[int, int]]:
    at = content.find(GZIP)
    while at >= 0:
        yield at, 31
        at = content.find(GZIP, at + 1)
    for match in ZLIB.finditer(content):
        yield match.start(), 15


def inflate(content: bytes, window: int) -> bytes:
    """What a compressed stream at the start of `content` holds; what is broken or no stream gives what could be read."""
    machine = zlib.decompressobj(window)
    try:
        head = machine.decompress(content[: 64 * 1024], MAX_INFLATED)
        if machine.eof or not head:
            return head
        return head + machine.decompress(machine.unconsumed_tail + content[64 * 1024 :], MAX_INFLATED)
    except zlib.error:
        return b""
