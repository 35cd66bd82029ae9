"""Mutated and costly files: every parser answers, and its cost grows no faster than the file."""

import contextlib
import struct
import time
import zlib
from collections.abc import Callable

import pytest

from imgnom.community.images.strip import STRIP, NotThisFormat, TooMuch
from imgnom.community.images.strip import icc as profiles
from imgnom.community.images.strip.icc import rebuild
from tests import files, mutations

# A mutant of a few kilobytes takes a millisecond; this is for a machine that does something else at that moment.
MAX_CPU_SECONDS = 1.0


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", mutations.TARGETS)
def test_two_thousand_mutants_are_each_answered_cheaply(name: str) -> None:
    found = mutations.fuzz(name, 2000)
    assert [words for words, _ in found.uncaught] == []
    assert found.most_cpu_seconds < MAX_CPU_SECONDS
    assert found.taken > 100, "mutants that are all refused at the first byte would prove nothing"


def with_associations(count: int, profile: bytes) -> bytes:
    """An AVIF whose picture names its colour profile this many times."""
    plain = files.avif(icc=profile)
    at = plain.index(b"ipma")
    start = at + 4 + 4 + 4  # version, flags, number of items
    item, entries = struct.unpack_from(">HB", plain, start)
    named = plain[start + 3 : start + 3 + entries]
    rows = b"".join(struct.pack(">HB", item, 200) + bytes([named[-1] & 0x7F]) * 200 for _ in range(count // 200))
    box = files.box(
        b"ipma", b"\0\0\0\0", struct.pack(">I", 1 + count // 200), struct.pack(">HB", item, entries) + named, rows
    )
    return _grown(plain, at - 4, at - 4 + struct.unpack_from(">I", plain, at - 4)[0], box)


def _grown(plain: bytes, start: int, end: int, box: bytes) -> bytes:
    """With another box in place of one inside `iprp` inside `meta`; the picture moves back by as much."""
    more = len(box) - (end - start)
    data = bytearray(plain[:start] + box + plain[end:])
    for kind in (b"meta", b"iprp"):
        place = plain.index(kind) - 4
        struct.pack_into(">I", data, place, struct.unpack_from(">I", plain, place)[0] + more)
    iloc = data.index(b"iloc") + 4
    for n in range(2):
        place = iloc + 8 + 8 + 8 * n
        struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + more)
    return bytes(data)


@pytest.mark.clause("A2.1")
def test_avif_reads_a_profile_once_however_often_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        "imgnom.community.images.strip.icc.rebuild", lambda body: read.append(len(body)) or rebuild(body)
    )
    clean = STRIP["avif"](with_associations(10_000, files.profile(of="swapped")))
    assert clean.has_foreign_colours
    assert len(read) == 1


@pytest.mark.clause("A2.1")
def test_avif_refuses_an_item_with_hundreds_of_properties() -> None:
    main = files.coded_picture(files.drawn())
    main.properties += [(b"colr", b"prof" + bytes([n]) * 200) for n in range(100)]
    with pytest.raises(TooMuch, match="bomb"):
        STRIP["avif"](files.item_file([main]))
    read_first = files.coded_picture(files.drawn())
    read_first.properties += [(b"colr", b"prof" + files.profile(of="swapped")), (b"colr", b"prof" + files.profile())]
    assert STRIP["avif"](files.item_file([read_first])).has_foreign_colours, "the first profile counts"


@pytest.mark.clause("A2.1")
def test_profile_whose_tags_name_elements_of_another_type_is_dropped() -> None:
    plain = bytearray(files.profile())
    entries = {
        bytes(plain[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(struct.unpack_from(">I", plain, 128)[0])
    }
    for curve in (b"rTRC", b"gTRC", b"bTRC"):
        for other in (b"rXYZ", b"chad", b"desc"):
            crafted = bytearray(plain)
            crafted[entries[curve] + 4 : entries[curve] + 12] = plain[entries[other] + 4 : entries[other] + 12]
            assert rebuild(bytes(crafted)) is None
    crafted = bytearray(plain)
    at = struct.unpack_from(">I", plain, entries[b"rTRC"] + 4)[0]
    crafted[at + 8 : at + 10] = struct.pack(">H", 30)  # a function that no profile has
    assert rebuild(bytes(crafted)) is None
    assert set(profiles._TAGS) >= {"rTRC", "A2B0"}


def _png_of(chunks: list[bytes]) -> bytes:
    return (
        files.png_header(8, 8)
        + b"".join(chunks)
        + files.chunk(b"IDAT", zlib.compress(bytes(25) * 8))
        + files.chunk(b"IEND", b"")
    )


def _overlapping_profile(size: int) -> bytes:
    """Twelve tags that all name one curve as long as the profile."""
    names = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
    at = 132 + 12 * len(names)
    head = bytearray(128)
    head[8], head[12:16], head[16:20], head[20:24], head[36:40] = 4, b"mntr", b"GRAY", b"XYZ ", b"acsp"
    curve = b"curv\0\0\0\0" + struct.pack(">I", size // 2) + bytes(size)
    return (
        bytes(head)
        + struct.pack(">I", len(names))
        + b"".join(struct.pack(">4sII", n, at, len(curve)) for n in names)
        + curve
    )


def _exif_without_end(count: int) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + struct.pack("<HHII", 0x8769, 4, 1, 8) * count


# Each with a part that is repeated as often as is asked for.
REPEATED: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "jpeg of comments": ("jpeg", lambda n: b"\xff\xd8" + files.segment(0xFE, b"a") * n + files.jpeg_with_canaries()[2:]),
    "jpeg of exif": ("jpeg", lambda n: b"\xff\xd8" + files.segment(0xE1, b"Exif\0\0" + _exif_without_end(400)) * (n // 20) + files.jpeg_with_canaries()[2:]),
    "jpeg of fill bytes": ("jpeg", lambda n: b"\xff\xd8" + b"\xff" * (20 * n) + files.jpeg_with_canaries()[3:]),
    "jpeg of tables": ("jpeg", lambda n: b"\xff\xd8" + files.segment(0xC4, (b"\x00" + bytes(16)) * 100) * (n // 50) + files.jpeg_with_canaries()[2:]),
    "png of texts": ("png", lambda n: _png_of([files.chunk(b"tEXt", b"a\0b")] * n)),
    "png of exif": ("png", lambda n: _png_of([files.chunk(b"eXIf", _exif_without_end(400))] * (n // 20))),
    "webp of profiles": ("webp", lambda n: _webp(files.riff(b"ICCP", files.profile()) * (n // 20))),
    "webp of exif": ("webp", lambda n: _webp(files.riff(b"EXIF", _exif_without_end(400)) * (n // 20))),
    "gif of extensions": ("gif", lambda n: files.gif_with_canaries()[:13 + 3 * 256][:13] + b"\x21\xfe\x01a\0" * n + b";"),
    "avif of auxiliary names": ("avif", lambda n: _auxiliary(n)),
    "icc of overlapping tags": ("icc", lambda n: _overlapping_profile(100 * n)),
    "exif that names itself": ("exif", lambda n: _exif_without_end(n)),
}  # fmt: skip


def _webp(more: bytes) -> bytes:
    body = b"WEBP" + more + files.saved(files.drawn(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _auxiliary(count: int) -> bytes:
    """Many auxiliary pictures that share one very long name."""
    main = files.coded_picture(files.drawn())
    other = files.coded_picture(files.drawn())
    other.properties.append((b"auxC", b"\0\0\0\0" + b"a\0" * (20 * count)))
    other.points[b"auxl"] = [1]
    return files.item_file([main, *[other] * min(200, count // 20)])


def cpu_seconds(kind: str, data: bytes) -> float:
    target, least = mutations.TARGETS[kind], 60.0
    for _ in range(3):
        began = time.thread_time()
        with contextlib.suppress(NotThisFormat, TooMuch):
            target.parse(data)
        least = min(least, time.thread_time() - began)
    return least


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", REPEATED)
def test_repeated_parts_cost_in_proportion_to_the_file(name: str) -> None:
    """Ten times the parts may cost ten times as much; what grows with the square would cost a hundred times."""
    kind, made = REPEATED[name]
    small, large = made(400), made(4000)
    assert cpu_seconds(kind, large) < 30 * cpu_seconds(kind, small) + 0.05
