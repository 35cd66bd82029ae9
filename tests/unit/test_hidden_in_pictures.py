"""What a rehearsal hides in pictures is really in them; a hunt that could find nothing would prove nothing (A2.1, I12)."""

import pytest
import pyvips

from imgnom.site.rehearsal.hunt import Hunt
from imgnom.site.rehearsal.pictures import FORMATS, photograph


@pytest.mark.clause("I12")
@pytest.mark.parametrize("kind", FORMATS)
def test_every_value_is_hidden_in_a_picture_that_opens(kind: str) -> None:
    content, canaries = photograph(kind)
    assert len(canaries) >= (4 if kind == "gif" else 15)
    assert {find.canary for find in Hunt(canaries).bytes_of(content, kind)} == set(canaries)
    image = pyvips.Image.new_from_buffer(content, "").copy_memory()
    told = set(image.get_fields())
    assert image.width == 480
    if kind != "gif":
        assert told >= {"exif-data", "xmp-data", "icc-profile-data", "exif-ifd3-GPSLatitude", "exif-ifd0-Artist"}
    assert ("iptc-data" in told) == (kind == "jpg")


def test_no_two_pictures_carry_the_same_value() -> None:
    first, second = photograph("jpg")[1], photograph("jpg", "private")[1]
    assert not set(first.values()) & set(second.values())
    assert not set(first) & set(second)
