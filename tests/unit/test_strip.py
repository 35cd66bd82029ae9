"""Container filters: not one hidden word stays, and not one pixel, colour or turn is lost."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageSequence

from imgnom.community.images.strip import STRIP, Clean, NotThisFormat, TooMuch, sniff
from imgnom.community.images.strip.gif import _Gif
from imgnom.community.images.strip.icc import rebuild
from imgnom.community.images.strip.png import _Inflated
from imgnom.community.images.strip.text_in import _PIECE as PIECE
from imgnom.community.images.strip.text_in import reads_like_text
from tests import files

MAKERS: dict[str, Callable[[], bytes]] = {
    "jpeg": files.jpeg_with_canaries,
    "progressive jpeg": lambda: files.jpeg_with_canaries(progressive=True),
    "jpeg of the other byte order": lambda: files.jpeg_with_canaries(order=">"),
    "png": files.png_with_canaries,
    "png with a palette": lambda: files.png_with_canaries(mode="P"),
    "png in grey": lambda: files.png_with_canaries(mode="L"),
    "webp": files.webp_with_canaries,
    "animated webp": lambda: files.webp_with_canaries(animated=True),
    "gif": files.gif_with_canaries,
    "avif": files.avif_with_canaries,
}
# Some programs do not open at all what is as full of hidden words as this; then what is seen is told by the plain file.
SEEN_AS = {"avif": files.avif_without_canaries}


# Pillow reads what we forge as more than it is.
pytestmark = pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")


def stripped(data: bytes) -> Clean:
    kind = sniff(data)
    assert kind is not None
    return STRIP[kind](data)


def frames(data: bytes) -> list[tuple[bytes, object]]:
    image = Image.open(io.BytesIO(data))
    return [(frame.convert("RGBA").tobytes(), frame.info.get("duration")) for frame in ImageSequence.Iterator(image)]


def everywhere(data: bytes) -> bytes:
    """The bytes, and what their compressed chunks hold."""
    plain = [data]
    for at in range(len(data) - 2):
        if data[at] == 0x78 and data[at + 1] in (0x01, 0x5E, 0x9C, 0xDA):
            try:
                plain.append(zlib.decompressobj().decompress(data[at:], 1_000_000))
            except zlib.error:
                continue
    return b"".join(plain)


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", MAKERS)
def test_no_hidden_word_is_left_and_no_pixel_is_changed(name: str) -> None:
    came = MAKERS[name]()
    clean = stripped(came)
    for letters in (files.MARK, files.MARK[:8], b"GPS", b"2026:11:22", b"%PDF", b"alert("):
        assert letters not in everywhere(clean.content), letters
    assert files.MARK in everywhere(came)
    seen = frames(SEEN_AS.get(name, lambda: came)())
    assert frames(clean.content)[: len(seen)] == seen[: len(frames(clean.content))]
    assert clean.removed >= {"description", "trailing"}
    if name != "gif":
        assert clean.removed >= {"place", "camera", "time", "other"}


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_clean_is_left_as_it_is(name: str) -> None:
    once = stripped(MAKERS[name]())
    again = stripped(once.content)
    assert again.content == once.content
    assert again.removed <= {"camera"}  # the orientation stands in a block of camera data


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("make", [files.jpeg_with_canaries, files.png_with_canaries, files.webp_with_canaries])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stays_turned_the_way_it_was(make: Callable[[int], bytes], orientation: int) -> None:
    clean = stripped(make(orientation)).content
    assert Image.open(io.BytesIO(clean)).getexif().get(0x0112, 1) == orientation
    assert len(Image.open(io.BytesIO(clean)).getexif()) == (orientation != 1)


@pytest.mark.clause("A2.1")
def test_animations_keep_frames_times_and_loops() -> None:
    for make in (files.gif_with_canaries, lambda: files.webp_with_canaries(animated=True)):
        came, clean = make(), stripped(make()).content
        assert len(frames(clean)) == 2
        assert frames(clean) == frames(came)
    assert Image.open(io.BytesIO(stripped(files.gif_with_canaries()).content)).info["loop"] == 3


@pytest.mark.clause("A2.1")
def test_an_animated_png_keeps_its_frames() -> None:
    pictures = [files.drawn(), files.drawn().rotate(90), files.drawn().rotate(180)]
    for first_is_apart in (False, True):
        came = files.saved(
            pictures[0], "PNG", save_all=True, append_images=pictures[1:], duration=70, default_image=first_is_apart
        )
        clean = stripped(came)
        assert frames(clean.content) == frames(came)
        assert not clean.removed
    at = came.index(b"fdAT") - 4
    size = struct.unpack_from(">I", came, at)[0]
    hidden = came[:at] + files.chunk(b"fdAT", came[at + 8 : at + 8 + size] + files.MARK) + came[at + 12 + size :]
    assert files.MARK not in stripped(hidden).content


@pytest.mark.clause("A2.1")
def test_a_profile_keeps_its_colours_and_nothing_else() -> None:
    came = files.profile()
    kept = rebuild(came)
    assert kept
    assert files.MARK[:8] not in kept.content
    assert kept.is_srgb
    assert len(kept.content) < len(came)
    swapped = rebuild(files.profile(of="swapped"))
    assert swapped
    assert not swapped.is_srgb, "a name proves nothing"
    picture = files.drawn()
    for before, after in ((came, kept.content), (files.profile(of="swapped"), swapped.content)):
        target = ImageCms.createProfile("LAB")
        seen = [
            ImageCms.profileToProfile(picture, ImageCms.ImageCmsProfile(io.BytesIO(p)), target, outputMode="LAB").tobytes()
            for p in (before, after)
        ]  # fmt: skip
        assert seen[0] == seen[1]


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("cut", range(0, 3200, 37))
def test_a_damaged_profile_is_dropped_and_never_breaks_the_filter(cut: int) -> None:
    came = bytearray(files.profile())
    for at in range(cut, min(len(came), cut + 8)):
        came[at] ^= 0xA5
    kept = rebuild(bytes(came))
    assert kept is None or files.MARK[:8] not in kept.content
    assert rebuild(bytes(came[:cut])) is None or cut > 500


@pytest.mark.clause("A2.1")
def test_the_colours_of_a_file_are_foreign_only_where_its_numbers_say_so() -> None:
    picture = files.drawn()
    assert not stripped(files.saved(picture, "JPEG")).has_foreign_colours
    assert not stripped(files.saved(picture, "JPEG", icc_profile=files.profile())).has_foreign_colours
    assert stripped(files.saved(picture, "JPEG", icc_profile=files.profile(of="swapped"))).has_foreign_colours
    assert stripped(files.saved(picture, "PNG", icc_profile=files.profile(of="swapped"))).has_foreign_colours
    assert stripped(files.saved(picture.convert("CMYK"), "JPEG")).has_foreign_colours
    grey = stripped(files.saved(picture.convert("L"), "JPEG", icc_profile=files.profile(of="swapped")))
    assert not grey.has_foreign_colours
    assert b"ICC_PROFILE" not in grey.content, "a profile of three colours says nothing about grey"


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", MAKERS)
def test_a_file_that_was_cut_off_is_told_apart_or_refused(name: str) -> None:
    whole = stripped(MAKERS[name]()).content
    for share in (0.2, 0.5, 0.9):
        with pytest.raises((NotThisFormat, struct.error, IndexError)):
            stripped(whole[: int(len(whole) * share)])


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", MAKERS)
def test_flipped_bytes_raise_only_what_is_caught(name: str) -> None:
    came = MAKERS[name]()
    for at in range(0, min(len(came), 4000), 3):
        damaged = bytearray(came)
        damaged[at] ^= 0xFF
        try:
            clean = STRIP[sniff(came) or ""](bytes(damaged))
        except (NotThisFormat, TooMuch, struct.error, IndexError):
            continue
        assert clean.content


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(("name", "data"), files.bombs().items(), ids=files.bombs())
def test_a_bomb_is_refused_by_its_head_alone(name: str, data: bytes) -> None:
    del name
    with pytest.raises((TooMuch, NotThisFormat)) as refusal:
        stripped(data)
    assert str(refusal.value) in ("too-many-pixels", "bomb")


class Counted(bytes):
    """Bytes that know how often somebody looked at one of them."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        Counted.looks += 1
        return super().__getitem__(place)


@pytest.mark.clause("A2.1")
def test_zeros_by_the_million_are_passed_in_one_step() -> None:
    plain = files.saved(files.drawn(), "GIF")
    padded = Counted(plain[:-1] + b"\0" * 1_000_000 + plain[-1:])
    assert STRIP["gif"](padded).content == STRIP["gif"](plain).content
    assert Counted.looks < 10_000


@pytest.mark.clause("A2.1")
@given(st.lists(st.one_of(st.just(255), st.integers(1, 255)), max_size=20), st.integers(0, 300), st.integers(0, 255))
@example([255] * 63, 0, 0)
@example([255] * 64, 0, 0)
@example([255] * 65 + [7] + [255] * 130, 3, 255)
def test_a_chain_of_blocks_ends_where_its_last_block_does(sizes: list[int], cut: int, filler: int) -> None:
    """However long the run of full blocks, whatever the bytes in them look like, and wherever the file was cut off."""
    plain = files.saved(files.drawn(), "GIF")
    gif = _Gif(plain)
    chain = b"".join(bytes([size]) + bytes([filler]) * size for size in sizes) + b"\0"
    gif.data, before = b"head" + chain + b"\xff" * 600, gif.blocks_left
    assert gif.blocks_end(4) == 4 + len(chain)
    assert gif.blocks_left == before - len(sizes) - 1
    gif.data = (b"head" + chain)[: -1 - cut] if cut < len(chain) else b"head"
    with pytest.raises(NotThisFormat, match="cut-off"):
        gif.blocks_end(4)
    gif.data, gif.blocks_left = b"head" + chain, len(sizes) - 1
    with pytest.raises(TooMuch, match="bomb") if sizes else nullcontext():
        gif.blocks_end(4)


@pytest.mark.clause("A2.1")
@given(st.binary(max_size=3000), st.sampled_from([1, 90, 700]), st.binary(max_size=40), st.sampled_from([0, 1, 9]))
@example(b"\0" * 3000, 700, b"behind", 9)
@example(b"", 1, b"", 1)
def test_deflated_data_is_read_to_its_end_and_no_further(plain: bytes, times: int, behind: bytes, level: int) -> None:
    """However much of it one piece makes, and wherever a piece of what is fed ends."""
    packed = zlib.compress(plain * times, level)
    read = _Inflated(packed + behind)
    assert b"".join(read) == plain * times
    assert read.end == len(packed)
    cut = _Inflated(packed[: len(packed) // 2])
    assert (plain * times).startswith(b"".join(cut))
    assert cut.end == len(packed) // 2


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("index.html", f"<script>{files.CANARY}</script>")
    return target.getvalue()


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize(
    "tail", [zipped(), b"%PDF-1.7\n1 0 obj\n", b"<!doctype html><script>alert(1)</script>", b"*/=1;alert(1)//", b"Rar!\x1a\7\0"],
    ids=["zip", "pdf", "html", "script", "rar"],
)  # fmt: skip
def test_a_file_that_is_two_things_is_one_afterwards(kind: str, tail: bytes) -> None:
    plain = files.saved(files.drawn(), kind)
    came = plain + tail
    clean = stripped(came)
    assert tail[:16] not in clean.content
    assert not zipfile.is_zipfile(io.BytesIO(clean.content))
    assert "trailing" in clean.removed
    assert clean.content == stripped(plain).content


@pytest.mark.clause("A2.1")
def test_large_files_are_looked_through_in_pieces_without_a_gap_between_them() -> None:
    for place in range(PIECE - 26, PIECE + 2):
        assert reads_like_text(b"\0" * place + b"w" * 24 + b"\xff" * 40)
    assert not reads_like_text(b"\0" * PIECE + b"w" * 23 + b"\xff" * 40)
    for zeros in (0, 1, PIECE - 5, PIECE, 2 * PIECE + 7):
        hidden = memoryview(b"\xff" * 40 + b"w" * 12 + b"\0" * zeros)
        assert reads_like_text(hidden), "behind the last pixel fewer are enough"
        assert not reads_like_text(b"\xff" * 40 + b"w" * 11 + b"\0" * zeros)
    assert not reads_like_text(bytes(2 * PIECE))
    plain = files.saved(files.drawn(), "JPEG")
    for room in range(PIECE - 3, PIECE + 3):
        padded = plain[:2] + b"\0" * room + plain[2:]
        assert STRIP["jpeg"](padded).content == STRIP["jpeg"](plain).content
