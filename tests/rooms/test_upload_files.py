"""Files unseen, through the real form: hidden words, bombs, wrong names, odd colours, a decoder that dies.

The client sends multipart as a browser does; the decoder is the real one in its jail.
"""

import errno
import io
import os
import random
import signal
import struct
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from PIL import Image as Picture
from PIL import ImageCms, ImageOps, ImageSequence

from imgnom.community.images import decode as decoder
from imgnom.community.images.decode import NURSERY, check_decoder, decode
from imgnom.community.images.errors import Busy, NotAPicture
from imgnom.community.images.jail import LOADERS, MIN_VERSION, Refused, nobody_reads, why_not
from imgnom.community.images.models import Image
from imgnom.community.images.public import zip_of
from imgnom.community.images.take_in import made_of, media_path
from imgnom.community.members.public import MemberCard, create_confirmed_member
from imgnom.custody.keys.public import alive_owners
from imgnom.custody.vault.public import FILE, destroy_file_keys
from imgnom.policy.public import SYSTEM, Actor
from imgnom.procedures.retention.public import withdraw_member
from imgnom.site.clock import set_clock
from imgnom.site.serve import ensure_decoder
from imgnom.web import uploads
from tests import files

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

PASSWORD = "kite over the river"
SIZES = ("thumbnail", "preview", "original")


@pytest.fixture
def author(now: datetime) -> MemberCard:
    set_clock(now)
    return create_confirmed_member(
        username="eunsu.x", password=PASSWORD, nickname="은수", email="eunsu@mail.example", now=now
    )


@pytest.fixture
def client(author: MemberCard) -> Client:
    browser = Client(headers={"accept-language": "en"})
    assert browser.post("/login", {"login": "eunsu.x", "password": PASSWORD}).status_code == 303
    return browser


def multipart(*sent: tuple[str, bytes], fields: dict[str, str] | None = None, kind: str = "image/jpeg") -> bytes:
    """A body as raw as somebody wants it: file names go out as they are."""
    parts = [
        b'--line\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value.encode() + b"\r\n"
        for name, value in (fields or {}).items()
    ]
    for name, content in sent:
        head = (
            f'--line\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        )
        parts.append(head.encode("utf-8", "surrogateescape") + content + b"\r\n")
    return b"".join(parts) + b"--line--\r\n"


def send(client: Client, *sent: tuple[str, bytes], json: bool = True, **more: Any) -> Any:
    headers = {"accept": "application/json"} if json else {}
    body = multipart(*sent, **more)
    return client.generic("POST", "/upload", body, content_type="multipart/form-data; boundary=line", headers=headers)


def taken(client: Client, data: bytes, name: str = "a.jpg") -> Image:
    answer = send(client, (name, data))
    assert answer.status_code == 201, answer.content
    return Image.objects.get(public_id=answer.json()["files"][0]["id"])


def served(client: Client, image: Image, size: str) -> bytes:
    answer = client.get(f"/media/{image.public_id}/{size}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]


def everything_of(client: Client, image: Image) -> list[bytes]:
    """The kept original, and each size in each format."""
    avif = client.get(f"/media/{image.public_id}/preview", headers={"accept": "image/avif"})
    return [*(served(client, image, size) for size in SIZES), avif.content]


def shown(client: Client, image: Image, size: str = "preview") -> Picture.Image:
    return Picture.open(io.BytesIO(served(client, image, size)))


WITH_CANARIES: dict[str, Callable[[], bytes]] = {
    "jpeg": files.jpeg_with_canaries,
    "png": files.png_with_canaries,
    "webp": files.webp_with_canaries,
    "animated webp": lambda: files.webp_with_canaries(animated=True),
    "gif": files.gif_with_canaries,
    "avif": files.avif_with_canaries,
}


# ── hidden words ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", WITH_CANARIES)
def test_no_hidden_word_reaches_a_file_a_page_or_the_disk(
    client: Client, author: MemberCard, home: Path, name: str
) -> None:
    image = taken(client, WITH_CANARIES[name](), f"{files.CANARY}.jpg")
    everything = everything_of(client, image)
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_of(author.id)))) as archive:
        everything += [archive.read(entry) for entry in archive.namelist()]
    everything += [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    everything.append(client.get(f"/i/{image.public_id}").content)
    for content in everything:
        assert files.MARK not in content
        assert files.MARK[:8] not in content


@pytest.mark.clause("A2.1")
def test_the_uploader_is_told_what_went_in_both_languages(client: Client) -> None:
    answer = send(client, ("a.jpg", files.jpeg_with_canaries()))
    [facts] = answer.json()["files"]
    assert set(facts["removed"]) == {
        "camera",
        "comment",
        "description",
        "other",
        "place",
        "thumbnail",
        "time",
        "trailing",
    }
    for language, words in (("ko", ("촬영 위치(GPS)", "찍은 시각")), ("en", ("place (GPS)", "time it was taken"))):
        page = client.get(f"/i/{facts['id']}", headers={"accept-language": language}).content.decode()
        assert all(word in page for word in words)


@pytest.mark.clause("A2.1")
def test_bytes_between_the_pixels_are_not_kept(client: Client) -> None:
    plain = files.saved(files.drawn(), "JPEG", quality=95)
    hidden = plain[:-2] + b"<script>" + files.MARK + b"</script>" + plain[-2:]
    assert not decode(files.saved(files.drawn(), "JPEG"), "jpeg").is_redrawn
    image = taken(client, hidden)
    original = served(client, image, "original")
    assert files.MARK not in original
    assert image.removed == ["other"]
    assert image.bytes == len(original)
    seen, came = Picture.open(io.BytesIO(original)).convert("RGB"), files.drawn()
    assert all(abs(a - b) < 12 for a, b in zip(seen.getpixel((70, 40)), came.getpixel((70, 40)), strict=True))


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", files.between_pixels())
def test_words_where_no_decoder_looks_are_not_kept(client: Client, name: str) -> None:
    came = files.between_pixels()[name]
    assert files.MARK[:4] in came
    image = taken(client, came)
    assert image.frames == (2 if "frame" in name else 1)
    for content in everything_of(client, image):
        assert files.MARK[:12] not in content
        assert files.MARK[:4] * 2 not in content
    for size in SIZES:
        seen = shown(client, image, size).convert("RGB")
        assert near(seen.getpixel((6, 6)), RED, 24), size


class Watch:
    """Every file that this process opens for writing, by any library that goes through Python."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.is_on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            mode, flags = details[1], details[2]
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (flags and flags & (os.O_WRONLY | os.O_RDWR)):
                self.found.append(os.fsdecode(details[0]))
        elif event == "tempfile.mkstemp":
            self.found.append(str(details[0]))


@pytest.mark.clause("A2.1")
def test_a_large_request_is_held_in_memory_and_only_sealed_files_are_written(client: Client, home: Path) -> None:
    photograph = files.jpeg_with_canaries()
    large = photograph + files.MARK * 1_500_000  # a tail as a moving picture has one
    assert len(large) > 20_000_000
    watch = Watch()
    watch.is_on = True
    answer = send(client, ("a.jpg", large), ("b.jpg", large))
    watch.is_on = False
    found = set(watch.found) - {os.devnull}
    assert answer.status_code == 201
    assert [facts["error"] for facts in answer.json()["files"]] == [None, None]
    assert found
    for path in found:
        assert Path(path).is_relative_to(home / "media"), path
        assert "derived" in path or path.endswith(".sealed"), path
    assert not list((home / "tmp").glob("*"))
    for path in (home / "media").rglob("*"):
        assert not path.is_file() or files.MARK not in path.read_bytes()


@pytest.mark.clause("A2.1", "C2")
def test_what_is_too_large_is_counted_and_let_go(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = files.saved(files.drawn(), "JPEG")
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 200_000)
    monkeypatch.setattr(uploads, "MAX_HELD_BYTES", 300_000)
    monkeypatch.setattr("imgnom.community.images.views.MAX_BYTES", 200_000)
    answer = send(client, ("big.jpg", picture + b"\0" * 200_000))
    assert answer.status_code == 413
    assert "32 MB" in answer.json()["files"][0]["error"]
    held = picture + b"\0" * (190_000 - len(picture))
    answer = send(client, ("a.jpg", held), ("b.jpg", held), ("c.jpg", picture))
    assert answer.status_code == 201
    first, second, third = answer.json()["files"]
    assert (first["error"], third["error"]) == (None, None)
    assert "at a time" in second["error"]
    monkeypatch.setattr(uploads, "MAX_REQUEST_BYTES", 400_000)
    assert send(client, ("a.jpg", b"\0" * 500_000)).status_code == 413


@pytest.mark.clause("A2.1")
def test_a_strangers_bytes_are_not_even_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    real = uploads.HoldInMemory.file_complete

    def note(self: uploads.HoldInMemory, file_size: int) -> uploads.HeldFile:
        held.append((file_size, self.held))
        return real(self, file_size)

    monkeypatch.setattr(uploads.HoldInMemory, "file_complete", note)
    body = multipart(("a.jpg", b"\0" * 3_000_000))
    for path in ("/upload", "/login", "/signup"):
        Client().generic("POST", path, body, content_type="multipart/form-data; boundary=line")
    assert held
    assert {kept for _, kept in held} == {0}


# ── type and name ──────────────────────────────────────────────────────────────────────────────────────────────────

FOREIGN = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "html": b"<!doctype html><script>alert(1)</script>",
    "pdf": b"%PDF-1.7\n", "mvg": b"push graphic-context\nimage over 0,0 0,0 '/etc/passwd'", "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "matrix": b"2 2\n1 2\n3 4\n", "matlab": b"MATLAB 5.0 MAT-file" + b"\0" * 200, "hdf5": b"\x89HDF\r\n\x1a\n" + b"\0" * 200, "ppm": b"P6\n1 1\n255\n\0\0\0",
    "tiff": b"II*\0\x08\0\0\0", "bmp": b"BM" + b"\0" * 60, "jp2": b"\0\0\0\x0cjP  \r\n\x87\n", "jxl": b"\xff\x0a" + b"\0" * 20, "vips": b"\xb6\xa6\xf2\x08" + b"\0" * 60,
    "hdr": b"#?RADIANCE\n", "fits": b"SIMPLE  =", "nifti": b"\x5c\x01\0\0" + b"\0" * 400, "gzip": b"\x1f\x8b\x08", "zip": b"PK\x03\x04", "empty": b"", "swf": b"CWS\x05",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "film": b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1", "php": b"<?php phpinfo(); ?>", "icc": files.profile(),
}  # fmt: skip


@pytest.mark.clause("A2.1")
def test_a_foreign_file_is_refused_whatever_it_is_called(client: Client) -> None:
    for kind, content in FOREIGN.items():
        answer = send(client, ("photo.jpg", content))
        assert answer.status_code == 415, kind
        [facts] = answer.json()["files"]
        assert "JPEG" in facts["error"]
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1")
def test_the_type_is_the_contents_alone(client: Client) -> None:
    makers = {
        "jpeg": files.saved(files.drawn(), "JPEG"),
        "png": files.saved(files.drawn(), "PNG"),
        "gif": files.gif_with_canaries(),
    }
    for name in ("a.php", "a.svg", "a.html", "a.jpg", "a"):
        for declared in ("image/svg+xml", "text/html", "application/x-php", "image/png"):
            for kind, data in makers.items():
                fields = {"content_type": "text/html", "identified": "true", "format": "svg", "author": "1"}
                answer = send(client, (name, data), kind=declared, fields=fields)
                assert answer.status_code == 201
                image = Image.objects.get(public_id=answer.json()["files"][0]["id"])
                assert image.format == kind
                assert client.get(f"/media/{image.public_id}/original")["Content-Type"] == f"image/{kind}"


NAMES = [
    "../../etc/passwd", "..", ".", "/", "/etc/passwd", "C:\\boot.ini", "a\0b.jpg", "a%00b.jpg", "a%0d%0aSet-Cookie: x=1.jpg", "\u202egpj.exe", "-rf", "@a", "|id", "$(id)",
    "a.jpg[page=9]", "svg:/etc/passwd", "https://example.com/a.jpg", "가" * 100 + ".jpg", "x" * 300 + ".jpg", "\u1112\u1161\u11ab.jpg", "👨‍👩‍👧.jpg", "<img src=x onerror=alert(1)>.jpg",
    "a.jpg ", "a.jpg.", "CON", "&#46;&#46;/x", "'; DROP TABLE images--",
]  # fmt: skip


@pytest.mark.clause("A2.1")
def test_a_files_name_is_told_back_and_used_for_nothing(client: Client, home: Path) -> None:
    _name_is_used_for_nothing(client, "first")  # the folders and the waiting line are there from now on
    before = {path for path in home.rglob("*") if "media" not in path.parts}
    for name in NAMES:
        _name_is_used_for_nothing(client, name)
    assert {path for path in home.rglob("*") if "media" not in path.parts} <= before | set(home.rglob("*-journal"))
    tokens = set(Image.objects.values_list("media_token", flat=True))
    kept = {path.name[:32] for path in (home / "media").rglob("*") if path.is_file()}
    assert kept == tokens
    assert len(tokens) == 1 + len(NAMES)


def _name_is_used_for_nothing(client: Client, name: str) -> None:
    answer = send(client, (name, files.saved(files.drawn(), "JPEG")))
    assert answer.status_code == 201
    [facts] = answer.json()["files"]
    assert len(facts["name"]) <= 255
    assert not set(facts["name"]) & set("\0\r\n\u202e")
    image = Image.objects.get(public_id=facts["id"])
    original = client.get(f"/media/{image.public_id}/original")
    b"".join(original.streaming_content)  # type: ignore[attr-defined]
    assert original["Content-Disposition"] == f'attachment; filename="imgnom-{image.public_id}.jpg"'
    refused = send(client, (name, b"no picture"), json=False)
    assert refused.status_code == 415
    assert "onerror=alert(1)>" not in refused.content.decode()


@pytest.mark.clause("C2")
def test_too_many_files_or_fields_are_refused_in_one_answer(client: Client) -> None:
    assert send(client, *[("a.jpg", b"x")] * 51).status_code == 413
    assert send(client, ("a.jpg", b"x"), fields={f"f{n}": "" for n in range(500)}).status_code == 413
    assert not Image.objects.exists()


@pytest.mark.clause("C2")
def test_a_broken_request_is_answered(client: Client) -> None:
    kind = "multipart/form-data; boundary=line"
    for body in (b"", b"--line", b"--line\r\n", multipart(("a.jpg", b"x"))[:60], b"\0" * 500, b"--line--"):
        answer = client.generic("POST", "/upload", body, content_type=kind, headers={"accept": "application/json"})
        assert answer.status_code in (400, 415, 422), body
    assert client.generic("POST", "/upload", b"x", content_type="multipart/form-data").status_code in (400, 422)
    assert client.generic("POST", "/upload", b"{}", content_type="application/json").status_code == 422


# ── bombs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_bombs_are_refused_before_libvips_opens_them(
    client: Client, monkeypatch: pytest.MonkeyPatch, replace_in_child: Callable[[str], None]
) -> None:
    replace_in_child('jail.work = lambda *_, **__: ({"refused": "reached-libvips"}, [])')
    began = time.process_time()
    for name, data in files.bombs().items():
        answer = send(client, (name, data))
        assert answer.status_code == 422, name
        [facts] = answer.json()["files"]
        assert any(word in facts["error"] for word in ("16,384", "too large for its file")), name
    assert time.process_time() - began < 10
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", WITH_CANARIES)
def test_a_file_that_ends_in_the_middle_is_refused_in_words(client: Client, name: str) -> None:
    data = WITH_CANARIES[name]()
    answer = send(client, ("a.jpg", data[: len(data) // 3]))
    assert answer.status_code == 422
    assert answer.json()["files"][0]["error"]


# ── what is seen ───────────────────────────────────────────────────────────────────────────────────────────────────

RED, YELLOW, BLUE = (220, 30, 30), (250, 240, 60), (40, 90, 140)
TURNS = {
    1: None, 2: Picture.Transpose.FLIP_LEFT_RIGHT, 3: Picture.Transpose.ROTATE_180, 4: Picture.Transpose.FLIP_TOP_BOTTOM, 5: Picture.Transpose.TRANSPOSE,
    6: Picture.Transpose.ROTATE_90, 7: Picture.Transpose.TRANSVERSE, 8: Picture.Transpose.ROTATE_270,
}  # fmt: skip


def near(seen: Any, wanted: Any, by: int = 14) -> bool:
    return all(abs(a - b) <= by for a, b in zip(seen, wanted, strict=True))


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_turn_is_right_in_what_is_shown_and_in_the_original(client: Client, kind: str, orientation: int) -> None:
    upright = files.drawn((120, 80))
    turn = TURNS[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Picture.Exif()
    exif[0x0112] = orientation
    quality = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    image = taken(client, files.saved(stored, kind, exif=exif, **quality))
    assert (image.width, image.height) == (120, 80)
    for size in ("thumbnail", "preview"):
        seen = shown(client, image, size).convert("RGB")
        assert seen.size == (120, 80)
        assert near(seen.getpixel((8, 8)), RED)
        assert near(seen.getpixel((60, 40)), YELLOW, 80)
        assert near(seen.getpixel((112, 72)), BLUE)
    kept = ImageOps.exif_transpose(shown(client, image, "original")).convert("RGB")
    assert kept.size == (120, 80)
    assert near(kept.getpixel((8, 8)), RED)


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_wide_colours_are_shown_as_they_are_meant(client: Client, kind: str) -> None:
    foreign = files.profile(of="swapped")
    image = taken(
        client, files.saved(files.drawn(), kind, icc_profile=foreign, **({"lossless": True} if kind == "WEBP" else {}))
    )
    meant = ImageCms.profileToProfile(
        files.drawn(), ImageCms.ImageCmsProfile(io.BytesIO(foreign)), ImageCms.createProfile("sRGB")
    )
    assert meant is not None
    assert not near(meant.getpixel((6, 6)), RED)
    for size in ("thumbnail", "preview"):
        seen = shown(client, image, size).convert("RGB")
        assert near(seen.getpixel((6, 6)), meant.getpixel((6, 6)))
        assert near(seen.getpixel((90, 58)), meant.getpixel((90, 58)))
    original = shown(client, image, "original")
    assert near(original.convert("RGB").getpixel((6, 6)), RED), "the numbers stay"
    kept = original.info["icc_profile"]
    again = ImageCms.profileToProfile(
        original.convert("RGB"), ImageCms.ImageCmsProfile(io.BytesIO(kept)), ImageCms.createProfile("sRGB")
    )
    assert again is not None
    assert near(again.getpixel((6, 6)), meant.getpixel((6, 6))), "and so does what they mean"


def _sixteen_bit(colour: int, interlace: int = 0) -> bytes:
    """A PNG of 16 bits a channel: red left, blue right (or dark and light)."""
    import struct
    import zlib

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    left = {1: (8_000,), 3: (56_000, 8_000, 8_000), 2: (8_000, 65_535), 4: (56_000, 8_000, 8_000, 65_535)}[channels]
    right = {1: (60_000,), 3: (8_000, 8_000, 56_000), 2: (60_000, 65_535), 4: (8_000, 8_000, 56_000, 65_535)}[channels]
    row = b"\0" + struct.pack(f">{32 * channels}H", *(left * 16 + right * 16))
    return (
        files.png_header(32, 32, 16, colour) + files.chunk(b"IDAT", zlib.compress(row * 32)) + files.chunk(b"IEND", b"")
    )


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits_a_channel_are_shown_in_their_colours(client: Client, colour: int) -> None:
    image = taken(client, _sixteen_bit(colour), "a.png")
    left, right = ((31, 31, 31), (233, 233, 233)) if colour in (0, 4) else ((218, 31, 31), (31, 31, 218))
    for size in ("thumbnail", "preview"):
        seen = shown(client, image, size).convert("RGB")
        assert near(seen.getpixel((3, 16)), left)
        assert near(seen.getpixel((28, 16)), right)
    import base64

    cells = base64.b64decode(image.placeholder)
    assert near(cells[:3], left, 60)
    assert near(cells[9:12], right, 60)


@pytest.mark.clause("A2.1")
def test_inks_palettes_and_windows_are_shown_right(client: Client) -> None:
    plain = files.drawn()
    inks = taken(client, files.saved(plain.convert("CMYK"), "JPEG", quality=95))
    seen = shown(client, inks).convert("RGB")
    red = seen.getpixel((6, 6))
    assert isinstance(red, tuple)
    assert red[0] > 150 > max(red[1:])
    grey = taken(client, files.saved(plain.convert("L"), "JPEG", quality=95))
    assert near(shown(client, grey).convert("RGB").getpixel((6, 6)), (plain.convert("L").getpixel((6, 6)),) * 3)
    palette = plain.convert("P", palette=Picture.Palette.ADAPTIVE)
    through = palette.getpixel((90, 58))
    window = taken(client, files.saved(palette, "PNG", transparency=through))
    seen = shown(client, window).convert("RGBA")
    assert near(seen.getpixel((6, 6))[:3], RED)  # type: ignore[index]
    assert seen.getpixel((90, 58))[3] == 0  # type: ignore[index]
    one = taken(client, files.saved(Picture.new("RGB", (1, 1), RED), "PNG"))
    assert near(shown(client, one).convert("RGB").getpixel((0, 0)), RED)
    long = taken(client, files.saved(Picture.new("RGB", (16_000, 2), RED), "PNG"))
    assert shown(client, long).size == (1600, 1)
    stepwise = taken(client, files.saved(plain, "JPEG", progressive=True, quality=95))
    assert near(shown(client, stepwise).convert("RGB").getpixel((6, 6)), RED)


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", ["gif", "animated webp"])
def test_what_moves_goes_on_moving(client: Client, name: str) -> None:
    image = taken(client, WITH_CANARIES[name]())
    assert image.frames == 2
    for size, count in (("thumbnail", 1), ("preview", 2), ("original", 2)):
        moving = [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(shown(client, image, size))]
        assert len(moving) == count
        assert len(set(moving)) == count
    assert shown(client, image, "preview").size == (96, 64)
    assert (image.preview_width, image.preview_height) == (96, 64)
    frames = ImageSequence.all_frames(shown(client, image, "preview"))
    times = [frame.info["duration"] for frame in frames]
    assert times == ([120, 120] if name == "gif" else [80, 80])
    assert "2 frames" in client.get(f"/i/{image.public_id}").content.decode()


# ── the decoder ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_the_decoder_is_new_enough_and_opens_five_kinds_behind_walls() -> None:
    facts = check_decoder()
    assert tuple(facts["version"]) >= MIN_VERSION
    assert facts["opened"] == []
    assert len(LOADERS) == 5


@pytest.mark.clause("A2.1")
def test_a_site_does_not_start_over_a_wrong_libvips(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_decoder()
    monkeypatch.setattr(decoder, "MIN_VERSION", (99, 0, 0))
    with pytest.raises(SystemExit, match=r"^imgnom: libvips 8\.\d+\.\d+ is too old, 99\.0\.0 is needed"):
        ensure_decoder()


@pytest.mark.clause("A2.1")
def test_a_decoder_that_dies_or_hangs_fails_its_own_job_only(monkeypatch: pytest.MonkeyPatch) -> None:
    NURSERY.renew()
    monkeypatch.setattr(decoder, "ANSWER_SECONDS", 0.5)
    assert seen_by_decoder() == 96
    first = NURSERY.process_id()
    assert first
    with pytest.raises(NotAPicture, match="too-slow"):
        seen_by_decoder(seconds=0)
    assert seen_by_decoder() == 96
    assert NURSERY.process_id() == first
    os.kill(first, signal.SIGKILL)
    assert seen_by_decoder() == 96
    second = NURSERY.process_id()
    assert second
    assert second != first
    os.kill(second, signal.SIGSTOP)
    assert seen_by_decoder() == 96
    assert NURSERY.process_id() != second


@pytest.mark.clause("A2.1")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a child has spent")
def test_a_dear_picture_goes_on_behind_everybody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Picture.effect_noise((3000, 3000), 90).convert("RGB")
    dear = files.saved(noise, "JPEG", quality=95, progressive=True)
    real, places = os.setpriority, list[list[int]]()

    def seen(which: int, who: int, place: int) -> None:
        real(which, who, place)
        places.append([])
        for thread in Path(f"/proc/{who}/task").iterdir():
            with suppress(OSError):  # it has just ended
                places[-1].append(int((thread / "stat").read_text().rpartition(")")[2].split()[16]))

    monkeypatch.setattr(os, "setpriority", seen)
    monkeypatch.setattr(decoder, "CHEAP_SECONDS", 0.1)
    monkeypatch.setattr(decoder, "LOOK_SECONDS", 0.02)
    assert seen_by_decoder() == 96
    assert places == []
    assert decode(dear, "jpeg").width == 3000
    assert len(places) == 1
    assert set(places[0]) == {decoder.LAST_PLACE}


def seen_by_decoder(seconds: float = 20) -> int:
    """The width of a good picture."""
    return decode(files.saved(files.drawn(), "JPEG"), "jpeg", seconds=seconds).width


CHANGED = """
import socket, sys
sys.path.insert(0, sys.argv.pop())
from imgnom.community.images import jail
{change}
jail.nursery(socket.socket(fileno=int(sys.argv[2])))
"""


@pytest.fixture
def replace_in_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Runs lines of Python in the fork server before its first child."""

    def replace(change: str) -> None:
        script = tmp_path / "changed.py"
        script.write_text(CHANGED.format(change=change))
        NURSERY.renew()
        monkeypatch.setattr(decoder, "JAIL", script)

    yield replace
    NURSERY.renew()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kills as many children as its first number says, each before it has read its picture; their ids follow."""
    real, found = NURSERY.child, [1]

    def child(job: str, content: int) -> decoder._Child:
        born = real(job, content)
        if len(found) <= found[0]:
            os.kill(born.process, signal.SIGKILL)
        found.append(born.process)
        return born

    monkeypatch.setattr(NURSERY, "child", child)
    return found


@pytest.mark.clause("A2.1")
def test_parser_error_of_any_kind_is_answered_422(client: Client, replace_in_child: Callable[[str], None]) -> None:
    lines = [
        "import struct, zlib",
        "errors = ([KeyError(1), IndexError(1), RecursionError(), OverflowError(), UnicodeDecodeError('utf-8', b'', 0, 1, ''), zlib.error(), AssertionError(),",
        "    struct.error(), ZeroDivisionError(), TypeError(), StopIteration()])",
        "def fail(data): raise errors[data[-1]]",
        "jail.STRIP['jpeg'] = fail",
    ]  # fmt: skip
    replace_in_child("\n".join(lines))
    for number in range(11):
        answer = send(client, ("a.jpg", b"\xff\xd8\xff" + bytes([number])))
        assert answer.status_code == 422
        assert "does not open" in answer.json()["files"][0]["error"]
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1")
def test_rewriting_beyond_its_cpu_or_memory_is_killed_and_told(
    client: Client, replace_in_child: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container is rewritten in the sandbox: what it costs is not spent by the web process."""
    monkeypatch.setattr(decoder, "SOON_SECONDS", 0.5)
    lines = [
        "from itertools import repeat", "jail.sandbox.CPU_SECONDS = 1", "def costly(data):", "    all(repeat(True)) if data[-1] else bytes(2**30)",
        "jail.STRIP['jpeg'] = costly",
    ]  # fmt: skip
    replace_in_child("\n".join(lines))
    own = time.process_time()
    for last, told in ((1, "took too long"), (0, "too much memory")):
        answer = send(client, ("a.jpg", b"\xff\xd8\xff" + bytes([last])))
        assert answer.status_code == 422
        assert told in answer.json()["files"][0]["error"]
    assert time.process_time() - own < 1, "spent by the child"


@pytest.mark.clause("A2.1")
def test_crafted_colour_profile_is_answered_without_an_error(client: Client) -> None:
    """Its curves have a function that no profile has."""
    profile = bytearray(files.profile())
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        at = struct.unpack_from(">I", profile, profile.index(name, 132) + 4)[0]
        profile[at : at + 10] = b"para\0\0\0\0\0\x1e"
    for kind in ("JPEG", "PNG", "WEBP"):
        assert send(client, ("a", files.saved(files.drawn(), kind, icc_profile=bytes(profile)))).status_code == 201
    assert send(client, ("a", files.avif(icc=bytes(profile)))).status_code == 201


@pytest.mark.clause("A2.1")
def test_a_picture_whose_child_was_killed_by_the_machine_is_opened_by_another(killed: list[int]) -> None:
    first = NURSERY.process_id()
    assert seen_by_decoder() == 96
    assert len(set(killed[1:])) == 2
    assert NURSERY.process_id() != first, "not from the same memory"


@pytest.mark.clause("A2.1")
def test_a_picture_that_kills_its_decoder_does_so_twice_and_no_more(
    killed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed[0] = 99
    with pytest.raises(NotAPicture, match="undecodable"):
        seen_by_decoder()
    assert len(killed) == 1 + 2
    monkeypatch.setattr(decoder, "SOON_SECONDS", -1)
    with pytest.raises(NotAPicture, match="too-slow"):
        seen_by_decoder()
    assert len(killed) == 1 + 3, "what has cost much is not tried again"


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(("number", "told"), [(errno.ENOMEM, Busy), (errno.ENOSPC, Busy), (errno.EMFILE, OSError)])
def test_a_machine_without_room_for_the_picture_says_that_it_is_busy(
    monkeypatch: pytest.MonkeyPatch, number: int, told: type[Exception]
) -> None:
    """It comes back as a refusal that may be tried again, and no handle stays open."""
    before = set(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as patch:

        def full(_file: int, _content: object) -> int:
            raise OSError(number, os.strerror(number))

        patch.setattr(decoder.os, "write", full)
        with pytest.raises(told):
            seen_by_decoder()
    assert set(Path("/proc/self/fd").iterdir()) == before
    assert seen_by_decoder() == 96


LATE = """
import os, socket, sys, time
sys.path.insert(0, sys.argv.pop())
from imgnom.community.images import jail
class Late(socket.socket):
    def sendall(self, *given):
        if not os.path.exists({mark!r}):
            open({mark!r}, "w").close()
            time.sleep(60)
        super().sendall(*given)
jail.nursery(Late(fileno=int(sys.argv[2])))
"""


@pytest.mark.clause("A2.1")
def test_a_nursery_that_answers_too_late_leaves_no_second_reader_of_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child answers into a pipe that is closed; the picture goes to another."""
    late, mark = tmp_path / "late.py", tmp_path / "mark"
    late.write_text(LATE.format(mark=str(mark)))
    NURSERY.renew()
    monkeypatch.setattr(decoder, "JAIL", late)
    monkeypatch.setattr(decoder, "START_SECONDS", 3)
    large = files.saved(files.drawn((1200, 900)), "PNG")
    made = decode(large, "png")
    assert mark.exists(), "the first was late"
    assert (made.width, made.height) == (1200, 900)
    NURSERY.renew()


@pytest.mark.clause("A2.1")
def test_a_system_without_files_in_memory_hands_pictures_through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Picture.frombytes("RGB", (1200, 900), random.Random(7).randbytes(1200 * 900 * 3))
    large = files.saved(noise, "PNG")
    mapped = decode(large, "png")
    monkeypatch.delattr(os, "memfd_create")
    before = threading.active_count()
    assert decode(large, "png") == mapped
    with pytest.raises(NotAPicture, match="cut-off"):
        decode(large[:9] + large, "png")
    with pytest.raises(NotAPicture, match="too-slow"):
        decode(large, "png", seconds=0)
    assert threading.active_count() == before, "nobody goes on handing over"


@pytest.mark.clause("A2.1")
def test_a_child_that_is_born_after_its_asker_has_gone_does_nothing() -> None:
    reads, writes = os.pipe()
    assert not nobody_reads(writes)
    os.close(reads)
    assert nobody_reads(writes)
    os.close(writes)


@pytest.mark.clause("A2.1")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_that_was_forked_leaves_its_parents_nursery_alone() -> None:
    assert seen_by_decoder() == 96
    ours = NURSERY.process_id()
    assert ours
    forked = os.fork()
    if forked == 0:
        status = 1
        try:
            NURSERY.close()  # what the end of a program does
            was_left = NURSERY.process_id() is None
            status = 0 if seen_by_decoder() == 96 and was_left and NURSERY.process_id() not in (None, ours) else 2
            NURSERY.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
    os.kill(ours, 0)
    assert seen_by_decoder() == 96
    assert NURSERY.process_id() == ours


@pytest.mark.clause("A2.1")
def test_a_machine_without_threads_does_not_blame_the_file() -> None:
    assert why_not(RuntimeError("can't start new thread")) == "busy"
    assert why_not(RuntimeError("unable to call x", "unable to create thread")) == "busy"
    assert why_not(RuntimeError("anything else")) == "undecodable"
    assert why_not(MemoryError()) == "too-much-room"
    assert why_not(OSError(errno.ENOMEM, "Cannot allocate memory")) == "busy"
    assert why_not(Refused("bomb")) == "bomb"


@pytest.mark.clause("A2.1")
def test_a_site_without_a_decoder_does_not_blame_the_file(
    client: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = taken(client, files.saved(files.drawn(), "JPEG"))
    NURSERY.renew()
    monkeypatch.setattr(decoder, "JAIL", home / "nowhere.py")
    answer = send(client, ("a.jpg", files.saved(files.drawn(), "JPEG")))
    assert answer.status_code == 503
    assert "not your file" in answer.json()["files"][0]["error"]
    assert client.get(f"/media/{image.public_id}/preview").status_code == 200
    media_path("derived", image.media_token, "preview").unlink()
    assert client.get(f"/media/{image.public_id}/preview").status_code == 503
    monkeypatch.undo()
    assert client.get(f"/media/{image.public_id}/preview").status_code == 200


@pytest.mark.clause("A2.1")
def test_a_missing_display_size_is_made_again_from_the_sealed_original(client: Client, now: datetime) -> None:
    image = taken(client, files.jpeg_with_canaries(6))
    first = {size: served(client, image, size) for size in ("thumbnail", "preview")}
    paths = {size: media_path("derived", image.media_token, size) for size in first}
    for path in paths.values():
        path.unlink()
    again = {size: served(Client(), image, size) for size in first}
    assert again == first
    assert all(path.exists() for path in paths.values())
    for path in paths.values():
        path.unlink()
    destroy_file_keys([image.media_token], now=now, by=SYSTEM, clause="A4.2")
    for size in SIZES:
        assert client.get(f"/media/{image.public_id}/{size}").status_code == 404
    assert not any(path.exists() for path in paths.values())


# ── AVIF ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_an_avif_is_shown_turned_and_in_its_colours(client: Client) -> None:
    for turn, mirror in ((0, None), (1, None), (2, 0), (3, 1)):
        came = files.avif(files.drawn((120, 80)), turn=turn, mirror=mirror)
        meant = ImageOps.exif_transpose(Picture.open(io.BytesIO(came))).convert("RGB")
        image = taken(client, came, "a.avif")
        assert (image.format, image.width, image.height) == ("avif", *meant.size)
        for size in ("thumbnail", "preview"):
            seen = shown(client, image, size).convert("RGB")
            assert seen.size == meant.size
            for place in ((8, 8), (seen.width - 8, 8), (8, seen.height - 8), (seen.width - 8, seen.height - 8)):
                assert near(seen.getpixel(place), meant.getpixel(place), 24)
        original = client.get(f"/media/{image.public_id}/original")
        assert original["Content-Type"] == "image/avif"
        assert original["Content-Disposition"].endswith('.avif"')


@pytest.mark.clause("A2.1")
def test_wide_and_bright_colours_of_an_avif_are_shown_as_far_as_a_screen_goes(client: Client) -> None:
    red = Picture.new("RGB", (64, 64), (200, 60, 60))
    p3 = shown(client, taken(client, files.avif(red, colours=(12, 13, 6)))).convert("RGB")
    assert near(p3.getpixel((30, 30)), (216, 46, 54), 8), "Display P3 counts its red further out than sRGB"
    # A sheet of paper (203 nits) is coded as 58 % in PQ (ITU-R BT.2408): white here.
    paper = Picture.new("RGB", (64, 64), (148, 148, 148))
    pq = shown(client, taken(client, files.avif(paper, colours=(9, 16, 9)))).convert("RGB")
    assert near(pq.getpixel((30, 30)), (255, 255, 255), 6)
    dark = Picture.new("RGB", (64, 64), (90, 90, 90))
    pq = shown(client, taken(client, files.avif(dark, colours=(9, 16, 9)))).convert("RGB")
    level = pq.getpixel((30, 30))
    assert isinstance(level, tuple)
    assert 70 < level[0] < 110, "18.6 nits of 203: a tenth of the light, a third of the signal"


@pytest.mark.clause("A2.1")
def test_tiles_windows_and_grey_of_an_avif_are_shown_right(client: Client) -> None:
    see_through = files.drawn((120, 100), "RGBA")
    see_through.putalpha(Picture.linear_gradient("L").resize(see_through.size))
    image = taken(client, files.avif_grid(see_through, alpha=True))
    seen = shown(client, image).convert("RGBA")
    assert seen.size == (120, 100)
    for place in ((6, 6), (6, 94), (112, 50)):
        wanted = see_through.getpixel(place)
        assert near(seen.getpixel(place), wanted, 16)
    grey = taken(client, files.saved(files.drawn(mode="L"), "AVIF", subsampling="4:0:0"))
    assert near(shown(client, grey).convert("RGB").getpixel((6, 6)), (files.drawn(mode="L").getpixel((6, 6)),) * 3)


@pytest.mark.clause("A2.1")
def test_an_avif_with_something_behind_the_picture_is_drawn_anew(client: Client) -> None:
    cut = files.coded_picture(files.drawn())
    cut.properties.append((b"clap", struct.pack(">8I", 48, 1, 64, 1, (-24) & 0xFFFFFFFF, 1, 0, 1)))
    image = taken(client, files.item_file([cut]))
    assert image.removed == ["other"]
    assert (image.width, image.height) == (48, 64)
    original = Picture.open(io.BytesIO(served(client, image, "original"))).convert("RGB")
    assert original.size == (48, 64), "what was cut away is not in the file any more"
    assert near(original.getpixel((6, 6)), RED, 20)


@pytest.mark.clause("A2.1")
def test_heic_and_moving_avif_are_refused_with_the_way_out(client: Client) -> None:
    heic = files.box(b"ftyp", b"heic\0\0\0\0mif1heic") + b"\0" * 100
    moving = files.saved(files.drawn(), "AVIF", save_all=True, append_images=[files.drawn().rotate(180)])
    for data, words in (
        (heic, {"en": "Save this picture as JPEG", "ko": "JPEG로 저장해"}), (moving, {"en": "moving WebP or GIF", "ko": "WebP나 GIF로"}),
    ):  # fmt: skip
        for language, wanted in words.items():
            body = multipart(("a.jpg", data))
            answer = client.generic(
                "POST", "/upload", body, content_type="multipart/form-data; boundary=line",
                headers={"accept": "application/json", "accept-language": language},
            )  # fmt: skip
            assert answer.status_code == 415
            assert wanted in answer.json()["files"][0]["error"]
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1")
def test_an_avif_that_would_need_too_much_room_is_refused_in_words(client: Client) -> None:
    large = files.avif(Picture.new("RGB", (6100, 4000), RED), quality=10, speed=10)
    answer = send(client, ("a.avif", large + b"\0" * 40_000))
    assert answer.status_code == 422
    assert "24 million" in answer.json()["files"][0]["error"]


# ── the owner leaves meanwhile ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A3.2①", "A7.4")
@pytest.mark.parametrize("json", [True, False])
def test_a_picture_whose_owner_left_while_it_was_opened_is_not_kept_and_the_answer_says_so(
    client: Client, author: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch, json: bool
) -> None:
    def opened_slowly(*arguments: Any, **more: Any) -> Any:
        withdraw_member(author.id, choice="delete", by=Actor("member", author.subject), now=now)
        return made_of(*arguments, **more)

    monkeypatch.setattr("imgnom.community.images.take_in.made_of", opened_slowly)
    answer = send(client, ("a.jpg", files.jpeg_with_canaries()), json=json)
    assert answer.status_code == 410
    assert "You left meanwhile" in answer.content.decode()
    assert not Image.objects.exists()
    assert [path for path in Path(settings.IMGNOM.media_root).rglob("*") if path.is_file()] == []
    assert not alive_owners(FILE)
