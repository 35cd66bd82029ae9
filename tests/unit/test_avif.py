"""AVIF: what is seen stays to the pixel, what its table lies about is refused, and nothing breaks the filter."""

import io
import random
import struct
from collections.abc import Callable

import pytest
from PIL import Image, ImageOps

from imgnom.community.images.strip import STRIP, Clean, NotThisFormat, TooMuch, sniff
from imgnom.community.images.strip.icc import of_numbers
from tests import files

STRANGE = (NotThisFormat, TooMuch)


def stripped(data: bytes) -> Clean:
    assert sniff(data) == "avif"
    return STRIP["avif"](data)


def seen(data: bytes) -> tuple[tuple[int, int], bytes]:
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return picture.size, picture.convert("RGBA").tobytes()


def see_through() -> Image.Image:
    image = files.drawn((120, 100), "RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_it_stays_turned_and_mirrored_the_way_it_was(turn: int, mirror: int | None) -> None:
    came = files.avif(turn=turn, mirror=mirror)
    clean = stripped(came).content
    assert seen(clean) == seen(came)
    assert (b"irot" in clean, b"imir" in clean) == (bool(turn), mirror is not None)


PICTURES: dict[str, Callable[[], bytes]] = {
    "plain": files.avif,
    "an encoder's own": lambda: files.saved(see_through(), "AVIF", quality=80),
    "see-through": lambda: files.avif(see_through(), alpha=True),
    "see-through and turned": lambda: files.avif(see_through(), alpha=True, turn=3, mirror=1),
    "a grid": lambda: files.avif_grid(see_through()),
    "a see-through grid": lambda: files.avif_grid(see_through(), alpha=True),
    "grey": lambda: files.saved(files.drawn(mode="L"), "AVIF", subsampling="4:0:0"),
    "full colours": lambda: files.avif(subsampling="4:4:4"),
    "one pixel": lambda: files.avif(files.drawn((1, 1))),
}


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", PICTURES)
def test_not_one_pixel_is_changed_and_once_is_enough(name: str) -> None:
    came = PICTURES[name]()
    clean = stripped(came)
    assert seen(clean.content) == seen(came)
    assert not clean.removed
    assert not clean.may_hide_words
    again = stripped(clean.content)
    assert again.content == clean.content


@pytest.mark.clause("A2.1")
def test_colours_by_number_are_kept_and_explained_to_the_decoder_alone() -> None:
    plain = stripped(files.avif(colours=(1, 13, 6)))
    assert (plain.has_foreign_colours, plain.seen) == (False, b"")
    for numbers in ((12, 13, 6), (9, 16, 9), (9, 18, 9), (1, 4, 6)):
        clean = stripped(files.avif(colours=numbers))
        assert b"nclx" + struct.pack(">HHH", *numbers) in clean.content
        assert b"prof" not in clean.content, "a download keeps its full range"
        meant = of_numbers(*numbers[:2])
        assert meant
        assert meant.content in clean.seen
        assert clean.has_foreign_colours
        assert seen(clean.seen) == seen(clean.content)


@pytest.mark.clause("A2.1")
def test_a_profile_goes_before_numbers_and_must_fit_the_picture() -> None:
    both = stripped(files.avif(icc=files.profile(of="swapped"), colours=(12, 13, 6)))
    assert both.has_foreign_colours
    assert b"prof" in both.content
    assert b"nclx" in both.content
    assert both.seen == b""
    assert files.MARK[:8] not in both.content
    assert not stripped(files.avif(icc=files.profile())).has_foreign_colours
    grey = files.coded_picture(files.drawn(mode="L"), subsampling="4:0:0")
    grey.properties.append((b"colr", b"prof" + files.profile(of="swapped")))
    assert b"prof" not in stripped(files.item_file([grey])).content


@pytest.mark.clause("A2.1")
def test_a_grid_takes_its_colours_from_its_tiles_where_it_has_none() -> None:
    wide = (b"colr", b"nclx\0\x0c\0\x0d\0\6\x80")
    tiles = [files.coded_picture(files.drawn((64, 64))) for _ in range(2)]
    for tile in tiles:
        tile.properties.append(wide)
    grid = files.Item(
        b"grid", b"\0\0\0\1" + struct.pack(">HH", 128, 64), [(b"ispe", b"\0\0\0\0" + struct.pack(">II", 128, 64))]
    )
    grid.points[b"dimg"] = [2, 3]
    clean = stripped(files.item_file([grid, *tiles]))
    assert clean.has_foreign_colours
    assert wide[1] in clean.content


@pytest.mark.clause("A2.1")
def test_tiles_that_are_alike_may_share_their_bytes() -> None:
    tile = files.coded_picture(files.drawn((64, 64)))
    twins = [files.Item(b"av01", b"", tile.properties, places=[(0, len(tile.content))]) for _ in range(5)]
    size = [(b"ispe", b"\0\0\0\0" + struct.pack(">II", 192, 128))]
    grid = files.Item(b"grid", b"\0\0\1\2" + struct.pack(">HH", 192, 128), size, {b"dimg": [2, 3, 4, 5, 6, 7]})
    start = files.item_file([grid, tile, *twins]).index(tile.content)
    for twin in twins:
        twin.places = [(start, len(tile.content))]
    data = files.item_file([grid, tile, *twins])
    assert len(data) < 6 * len(tile.content)
    assert seen(stripped(data).content) == seen(data)


@pytest.mark.clause("A2.1")
def test_a_picture_behind_the_picture_is_never_kept() -> None:
    """Frames that are never seen, and what a cut leaves outside: the file is drawn anew from what is seen."""
    main = files.coded_picture(files.drawn())
    kind, frame = files.units(main.content)[-1]
    main.content += files.unit(kind, frame)
    assert stripped(files.item_file([main])).may_hide_words
    cut = files.coded_picture(files.drawn())
    cut.properties.append((b"clap", struct.pack(">8I", 32, 1, 32, 1, 0, 1, 0, 1)))
    assert stripped(files.item_file([cut])).may_hide_words
    words = files.coded_picture(files.drawn())
    words.content = words.content[:-40] + b"<script>alert('hello');//" + words.content[-15:]
    assert stripped(files.item_file([words])).may_hide_words


def lies() -> dict[str, bytes]:
    """Tables that say what is not so."""

    def changed(**how: object) -> bytes:
        main = files.coded_picture(files.drawn())
        for name, value in how.items():
            setattr(main, name, value)
        return files.item_file([main])

    def grid(content: bytes, tiles: list[int], size: tuple[int, int] = (128, 128)) -> bytes:
        whole = files.Item(b"grid", content, [(b"ispe", b"\0\0\0\0" + struct.pack(">II", *size))], {b"dimg": tiles})
        return files.item_file([whole, *(files.coded_picture(files.drawn((64, 64))) for _ in range(4))])

    square = b"\0\0\1\1" + struct.pack(">HH", 128, 128)
    main = files.coded_picture(files.drawn())
    head = files.units(main.content)
    size = (b"ispe", b"\0\0\0\0" + struct.pack(">II", 64, 96))
    small = files.coded_picture(files.drawn((16, 16)))
    small.properties.append((b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"))
    small.points[b"auxl"] = [1]
    return {
        "another size than is coded": changed(properties=[size, *main.properties[1:]]),
        "no size": changed(properties=main.properties[1:]),
        "no picture": changed(content=b""),
        "no frame": changed(content=b"".join(files.unit(*one) for one in head[:-1])),
        "two heads": changed(content=files.unit(*head[-2]) + files.coded_picture(files.drawn((32, 32))).content + main.content),
        "another coding": changed(kind=b"hvc1"),
        "places behind the end": changed(places=[(10, 2**31)]),
        "places before the data": changed(places=[(0, 300)]),
        "an unknown need": changed(properties=[*main.properties, (b"irot", b"")]),
        "a missing primary item": files.item_file([main], primary=9),
        "transparency of another size": files.item_file([files.coded_picture(files.drawn()), small]),
        "too few tiles": grid(square, [2, 3, 4]),
        "the same tile twice": grid(square, [2, 3, 4, 4]),
        "a tile that is the grid": grid(square, [2, 3, 4, 1]),
        "a grid larger than its tiles": grid(b"\0\0\1\1" + struct.pack(">HH", 129, 128), [2, 3, 4, 5], (129, 128)),
        "a grid of another size": grid(square, [2, 3, 4, 5], (100, 128)),
        "a short grid": grid(b"\0\1\1\1\0\0\0\x80", [2, 3, 4, 5]),
    }  # fmt: skip


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", lies())
def test_a_table_that_lies_is_refused(name: str) -> None:
    with pytest.raises(NotThisFormat, match=r"^(undecodable|cut-off)$"):
        stripped(lies()[name])


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("make", [files.avif_with_canaries, lambda: files.avif_grid(alpha=True)])
def test_every_beginning_of_a_file_is_refused(make: Callable[[], bytes]) -> None:
    whole = stripped(make()).content
    for end in range(12, len(whole)):
        with pytest.raises(NotThisFormat, match=r"^(undecodable|cut-off)$"):
            STRIP["avif"](whole[:end])


@pytest.mark.clause("A2.1")
def test_whatever_is_changed_in_a_file_it_is_read_or_refused_and_hides_nothing() -> None:
    dice = random.Random(20_261_122)
    came = [
        files.avif_with_canaries(),
        files.avif_grid(alpha=True),
        files.avif(see_through(), alpha=True, turn=1, colours=(9, 16, 9)),
    ]
    for _ in range(3000):
        data = bytearray(dice.choice(came))
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(min(len(data), 1200))
            match dice.randrange(5):
                case 0:
                    data[at] ^= 1 << dice.randrange(8)
                case 1:
                    data[at] = dice.choice((0, 1, 127, 128, 255))
                case 2:
                    data[at : at + 4] = dice.choice((b"\xff" * 4, b"\0" * 4, b"\0\0\0\1", b"\x7f\xff\xff\xff"))
                case 3:
                    del data[at : at + dice.randrange(20)]
                case _:
                    data[at:at] = data[dice.randrange(len(data)) :][: dice.randrange(60)]
        try:
            clean = STRIP["avif"](bytes(data))
        except STRANGE as refusal:
            assert str(refusal) in ("undecodable", "cut-off", "bomb", "too-many-pixels", "too-much-room")  # noqa: PT017
            continue
        assert files.MARK[:8] not in clean.content.partition(b"mdat")[0], "coded bytes are the decoder's to judge"


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"avif\0\0\0\0mif1miaf", "avif"), (b"mif1\0\0\0\0mif1avif", "avif"), (b"avis\0\0\0\0avifavis", "avif-moving"), (b"heic\0\0\0\0mif1heic", "heic"),
        (b"mif1\0\0\0\0mif1heic", "heic"), (b"heix\0\0\0\0mif1heix", "heic"), (b"hevc\0\0\0\0msf1hevc", "heic"), (b"isom\0\0\0\0mp41avc1", "unknown"),
        (b"isom\0\0\0\0mp41heic", "heic"),
    ],
)  # fmt: skip
def test_the_family_is_told_by_its_brands(brands: bytes, kind: str) -> None:
    assert sniff(files.box(b"ftyp", brands)) == kind
    assert sniff(b"\0\0\0\0ftyp" + brands) in (kind, "unknown", "heic", "avif")
    assert sniff(b"\0\0\0\0ftyp") == "unknown"
