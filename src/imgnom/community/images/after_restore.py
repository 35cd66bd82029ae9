"""What a copy holds of pictures, and those that came back with it although their key is gone (A4.2)."""

from imgnom.community.images.models import Image
from imgnom.custody.keys.public import alive_owners
from imgnom.custody.store_copies import Withheld
from imgnom.custody.vault.public import FILE, SUBJECT

_TEXT = ("title", "description", "alt", "placeholder")
_SAID = "i.title, i.description, i.alt, i.placeholder"
_BLANK = dict.fromkeys((*_TEXT, "removed_reason", "lookalike"), "''")
_OWNER = "FROM images_image i JOIN members_member m ON m.id = i.author_id"
_PICTURE = "FROM images_image i WHERE i.removed_reason = ''"
_TAG = "FROM images_tag t JOIN images_imagetag x ON x.tag_id = t.id JOIN images_image i ON i.id = x.image_id"
# A space begins no tag that anybody gave.
_NO_NAME = {"name": "' ' || id"}
# What is said of a picture dies with the picture's key. What ends with the membership in any case hangs on the member's, and so does
# the title once more: when staff take the picture, and its key, its owner keeps that much.
WITHHELD = (
    Withheld("images_image", FILE, _TEXT, f"SELECT i.media_token, i.id, {_SAID} {_PICTURE}", _BLANK),
    Withheld("images_image", SUBJECT, ("title", "lookalike"), f"SELECT m.subject, i.id, i.title, i.lookalike {_OWNER} WHERE i.removed_reason = ''", {}),
    Withheld(
        "images_image", SUBJECT, (*_TEXT, "removed_reason"),
        f"SELECT m.subject, i.id, {_SAID}, i.removed_reason {_OWNER} WHERE i.removed_reason <> ''", {},
    ),
    Withheld("images_tag", FILE, ("name",), f"SELECT i.media_token, t.id, t.name {_TAG} WHERE i.removed_reason = ''", _NO_NAME),
    Withheld(
        "images_tag", SUBJECT, ("name",),
        f"SELECT m.subject, t.id, t.name {_TAG} JOIN members_member m ON m.id = i.author_id WHERE i.removed_reason <> ''", {},
    ),
)  # fmt: skip


def dead_pictures() -> list[Image]:
    """Rows that stand as if their file could still be opened."""
    alive = alive_owners(FILE)
    return [image for image in Image.objects.filter(removed_reason="").order_by("pk") if image.media_token not in alive]


def see_again_as(public_id: str, visibility: str) -> bool:
    """Who may see the picture is as its owner said last; False when it was so already."""
    rows = Image.objects.filter(public_id=public_id).exclude(visibility=visibility)
    return bool(rows.update(visibility=visibility))


def file_owners() -> set[str]:
    """Under which names the keys of the pictures that are here were made."""
    return set(Image.objects.filter(removed_reason="").values_list("media_token", flat=True))


def all_public_ids() -> list[str]:
    return list(Image.objects.values_list("public_id", flat=True))
