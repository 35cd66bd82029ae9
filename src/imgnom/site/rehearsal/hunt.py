"""Search every byte under the home for planted values, in every form in which a program may have kept them.

Forms: UTF-8, UTF-16 and UTF-32 (both orders), base64 at its three offsets (and the URL-safe alphabet), hex (both cases),
URL-encoded, JSON-escaped, as HTML entities, quoted-printable, Hangul composed and decomposed; and all of these again
inside gzip, zlib, zip, bzip2 and xz streams, and inside what these hold.

A file is read raw first: free pages, logs and journals count. A SQLite file is then opened from a copy and read value by
value, because a long value is torn over pages and a stream in it cannot be followed through the file.
"""

import base64
import bz2
import contextlib
import html
import json
import lzma
import quopri
import re
import shutil
import sqlite3
import tempfile
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imgnom.policy.text import normalized

GZIP, ZIP, BZIP, XZ = b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00"
# Two bytes may begin a zlib stream when the first says "deflate" and both together divide by 31 (RFC 1950).
_FIRST = range(0x08, 0x79, 0x10)
ZLIB = re.compile(
    b"|".join(
        re.escape(bytes((first, flag))) for first in _FIRST for flag in range(256) if not (first * 256 + flag) % 31
    )
)
SQLITE = b"SQLite format 3\0"
MAX_INFLATED = 32 * 1024 * 1024
HEAD_BYTES = 16 * 1024
MAX_DEPTH = 3
MIN_PATTERN_BYTES = 6
LONGEST = 100_000  # characters of a planted value
STEM_BYTES = 8
ZIP_HEADER_BYTES = 30

type Canary = str | bytes


@dataclass(frozen=True)
class Find:
    canary: str
    form: str
    file: str


class _Inflater(Protocol):
    def __call__(self, content: memoryview) -> bytes: ...


def _base64_cores(raw: bytes) -> Iterator[bytes]:
    """The part of a base64 text that is the same whatever stands around the value, for each of three offsets."""
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw).rstrip(b"=")
        skip = (0, 2, 3)[lead]
        end = len(text) if (lead + len(raw)) % 3 == 0 else -1
        core = text[skip:end]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def _of_bytes(raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", raw
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    for core in _base64_cores(raw):
        yield "base64", core


def _of_text(text: str) -> Iterator[tuple[str, bytes]]:
    yield from _of_bytes(text.encode())
    for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        yield name.upper(), text.encode(name)
    quoted = urllib.parse.quote(text, safe="")
    escaped = json.dumps(text)[1:-1]
    for form, pattern in (
        ("URL", quoted),
        ("URL", re.sub("%..", lambda found: found.group().lower(), quoted)),
        ("JSON", escaped),
        ("JSON", re.sub(r"\\u....", lambda found: "\\u" + found.group()[2:].upper(), escaped)),
        ("HTML", html.escape(text).encode("ascii", "xmlcharrefreplace").decode()),
        ("HTML", "".join(f"&#x{ord(letter):x};" for letter in text)),
    ):
        yield form, pattern.encode()
    yield "quoted-printable", quopri.encodestring(text.encode()).replace(b"=\n", b"")


def forms_of(value: Canary) -> dict[bytes, str]:
    """Every byte pattern to look for, with the name of its form."""
    patterns: dict[bytes, str] = {}
    if isinstance(value, bytes):
        found = [(form, pattern) for form, pattern in _of_bytes(value)]
    else:
        found = [*_of_text(normalized("NFC", value, max_chars=LONGEST))]
        found += [(f"{form} NFD", pattern) for form, pattern in _of_text(normalized("NFD", value, max_chars=LONGEST))]
    for form, pattern in found:
        if len(pattern) >= MIN_PATTERN_BYTES:
            patterns.setdefault(pattern, form)
    return patterns


class Hunt:
    """All canaries at once. Patterns that begin alike are found together, so that a thousand cost as much as a few."""

    def __init__(self, canaries: Mapping[str, Canary]) -> None:
        self._stems: dict[bytes, dict[bytes, tuple[str, str]]] = {}
        for name, value in canaries.items():
            for pattern, form in forms_of(value).items():
                self._stems.setdefault(pattern[:STEM_BYTES], {}).setdefault(pattern, (name, form))

    def _scan(self, content: bytes) -> Iterator[tuple[str, str]]:
        for stem, patterns in self._stems.items():
            at = content.find(stem)
            while at >= 0:
                for pattern, found in patterns.items():
                    if content.startswith(pattern, at):
                        yield found
                at = content.find(stem, at + 1)

    def bytes_of(self, content: bytes, file: str) -> Iterator[Find]:
        """Each canary and form in the content once."""
        seen = set()
        for canary, form in self._deep(content, "", MAX_DEPTH):
            if (canary, form) not in seen:
                seen.add((canary, form))
                yield Find(canary, form, file)

    def _deep(self, content: bytes, inside: str, depth: int) -> Iterator[tuple[str, str]]:
        yield from ((canary, form + inside) for canary, form in self._scan(content))
        if depth:
            for kind, inflated in _streams(content):
                yield from self._deep(inflated, f"{inside} in {kind}", depth - 1)

    def _values(self, file: Path) -> Iterator[tuple[str, str]]:
        """The values of a SQLite file, one by one; what is torn over pages is whole here."""
        for content in _values_of(file):
            for canary, form in self._deep(content, "", MAX_DEPTH):
                yield canary, f"{form} in a row"

    def files(self, root: Path, *, leave_out: Iterable[Path] = ()) -> list[Find]:
        left_out = set(leave_out)
        found: dict[Find, None] = {}
        for path in sorted(root.rglob("*")):
            if path in left_out:
                continue
            name = path.relative_to(root).as_posix()
            found |= dict.fromkeys(Find(c, f"{form} in the name", name) for c, form in self._scan(path.name.encode()))
            if path.is_symlink() or not path.is_file():
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # temporary files come and go while the site runs
            raw = list(self.bytes_of(content, name))
            found |= dict.fromkeys(raw)
            if content.startswith(SQLITE):
                known = {(find.canary, find.form) for find in raw}
                for canary, form in self._values(path):
                    if (canary, form.removesuffix(" in a row")) not in known:
                        found[Find(canary, form, name)] = None
        return list(found)


def _values_of(file: Path) -> Iterator[bytes]:
    """Every text and blob in a copy of the store and its log."""
    with tempfile.TemporaryDirectory(prefix="imgnom-rehearsal-look-") as folder:
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{file}{suffix}", Path(folder, f"copy{suffix}"))
        with closing(sqlite3.connect(Path(folder, "copy"))) as copy, contextlib.suppress(sqlite3.DatabaseError):
            copy.text_factory = bytes
            tables = [row[0].decode() for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in copy.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name from the store's own list
                    yield from (value for value in row if isinstance(value, bytes))


# ── compressed streams ───────────────────────────────────────────────────────────────────────────────────────────────


def _streams(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(kind, what it holds) for everything in the content that begins like a compressed stream and is one."""
    view = memoryview(content)
    for kind, start, inflate in _beginnings(content):
        inflated = inflate(view[start:])
        if inflated:
            yield kind, inflated


def _everywhere(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


def _beginnings(content: bytes) -> Iterator[tuple[str, int, _Inflater]]:
    yield from (("gzip", at, _inflate_gzip) for at in _everywhere(content, GZIP))
    yield from (("zlib", found.start(), _inflate_zlib) for found in ZLIB.finditer(content))
    yield from (("zip", at, _inflate_zip) for at in _everywhere(content, ZIP))
    yield from (("bzip2", at, _inflate_bzip) for at in _everywhere(content, BZIP))
    yield from (("xz", at, _inflate_xz) for at in _everywhere(content, XZ))


def _inflate(content: memoryview, window_bits: int) -> bytes:
    """What a deflate stream at the start of `content` holds; of a broken one what could be read, of none nothing."""
    machine = zlib.decompressobj(window_bits)
    try:
        head = machine.decompress(content[:HEAD_BYTES], MAX_INFLATED)
        if machine.eof or not (head or machine.unconsumed_tail or len(content) > HEAD_BYTES):
            return head
        return head + machine.decompress(machine.unconsumed_tail + bytes(content[HEAD_BYTES:]), MAX_INFLATED)
    except zlib.error:
        return _inflate_byte_by_byte(content, window_bits)


def _inflate_byte_by_byte(content: memoryview, window_bits: int) -> bytes:
    """The readable beginning of a stream that was cut or overwritten; a false beginning fails within a few bytes."""
    machine, read = zlib.decompressobj(window_bits), bytearray()
    try:
        for at in range(min(len(content), HEAD_BYTES)):
            read += machine.decompress(content[at : at + 1])
    except zlib.error:
        pass
    return bytes(read)


def _inflate_gzip(content: memoryview) -> bytes:
    return _inflate(content, 31)


def _inflate_zlib(content: memoryview) -> bytes:
    return _inflate(content, 15)


def _inflate_zip(content: memoryview) -> bytes:
    """One member of a zip, from its own header; members that are only stored are found without this."""
    if len(content) < ZIP_HEADER_BYTES or int.from_bytes(content[8:10], "little") != zlib.DEFLATED:
        return b""
    lengths = int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little")
    return _inflate(content[ZIP_HEADER_BYTES + lengths :], -15)


def _inflate_bzip(content: memoryview) -> bytes:
    try:
        return bz2.BZ2Decompressor().decompress(content, MAX_INFLATED)
    except (OSError, EOFError):
        return b""


def _inflate_xz(content: memoryview) -> bytes:
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(content, MAX_INFLATED)
    except (lzma.LZMAError, EOFError):
        return b""
