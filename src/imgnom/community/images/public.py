"""The door of the pictures."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from imgnom.community.images.embed import embed_of, file_urls, page_url
from imgnom.community.images.errors import NotAPicture, PictureError, PictureTooLarge, WrongType
from imgnom.community.images.forms import CleanText
from imgnom.community.images.models import Image
from imgnom.community.images.queries import (
    ShownPicture,
    find_image,
    shown_picture,
    tags_of,
    visible_image,
    visible_images,
)
from imgnom.community.images.take_in import (
    Taken,
    destroy_files,
    destroy_pictures,
    media_path,
    set_tags,
    sweep_orphans,
    upload_file,
)
from imgnom.community.images.text import several_lines
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import open_file
from imgnom.policy.public import Actor

__all__ = [
    "CleanText", "Image", "NotAPicture", "PictureError", "PictureTooLarge", "ShownPicture", "Taken", "WrongType", "anonymise_images", "change_words",
    "count_for", "delete_images", "delete_one", "embed_of", "file_urls", "find_image", "keep_images", "page_url", "remove_by_staff", "set_tags", "several_lines",
    "shown_picture", "sweep_orphans", "tags_of", "upload_file", "visible_image", "visible_images", "zip_of",
]  # fmt: skip
CHUNK = 100


def count_for(member_id: int) -> tuple[int, int]:
    """(all, private) pictures of a member."""
    mine = Image.objects.filter(author_id=member_id)
    return mine.count(), mine.filter(visibility="private").count()


def keep_images(member_id: int, name: str) -> int:
    """They stand on under a plain name that belongs to nobody any more."""
    return Image.objects.filter(author_id=member_id).update(author=None, author_name=name)


def anonymise_images(member_id: int) -> int:
    return Image.objects.filter(author_id=member_id).update(author=None, author_name="")


def delete_images(
    member_id: int, *, only_private: bool, now: datetime, by: Actor, limit: int | None = None
) -> tuple[int, tuple[str, ...]]:
    """Destroyed in chunks, removed ones included; (how many, keys)."""
    count = 0
    keys: list[str] = []
    wanted = Image.objects.filter(author_id=member_id)
    if only_private:
        wanted = wanted.filter(Q(visibility="private") | ~Q(removed_reason=""))
    while (limit is None or count < limit) and (chunk := list(wanted.order_by("pk")[:CHUNK])):
        keys.extend(destroy_pictures(chunk, now=now, by=by, clause="A4.2"))
        count += len(chunk)
    return count, tuple(keys)


def remove_by_staff(public_id: str, *, reason: str, by: Actor, now: datetime) -> bool:
    """Key and files are gone for good; the owner keeps a title and the reason. False when it was gone already.

    The mark stands before the files go: after a kill in between nothing is served, and the sweep finishes the work.
    """
    with transaction.atomic():
        changed = Image.objects.filter(public_id=public_id, removed_reason="").update(
            removed_reason=reason[:500], description="", alt="", placeholder=""
        )
        if changed:
            record_act(store="default", act="remove_picture", clause="A2.1", by=by, now=now, items=["image_file"])
    image = find_image(public_id) if changed else None
    if image is not None:
        set_tags(image, "")
        destroy_files([image], now=now, by=by, clause="A2.1")
        compact("default")
        compact("keys")
    return bool(changed)


def change_words(image: Image, *, title: str, description: str, alt: str, tags: str, visibility: str) -> None:
    """The picture's words and who may see it are as given; no visibility given leaves it as it is."""
    with transaction.atomic():
        Image.objects.filter(pk=image.pk).update(
            title=title, description=description, alt=alt, visibility=visibility or image.visibility
        )
        set_tags(image, tags)
    compact("default")  # the words before are gone from the store's log too


def original_of(image: Image) -> Iterator[bytes]:
    return open_file(image.media_token, media_path("originals", image.media_token))


def zip_of(member_id: int) -> bytes:
    """A plain ZIP of one's own pictures with their words."""
    target = io.BytesIO()
    words = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(Image.objects.filter(author_id=member_id, removed_reason="").order_by("pk"), 1):
            name = f"{number:05d}.{'jpg' if image.format == 'jpeg' else image.format}"
            archive.writestr(name, b"".join(original_of(image)))
            words.append(
                {
                    "file": name,
                    "title": image.title,
                    "description": image.description,
                    "alt": image.alt,
                    "visibility": image.visibility,
                }
            )
        archive.writestr("pictures.json", json.dumps(words, ensure_ascii=False, indent=1))
    return target.getvalue()


def delete_one(image: Image, *, now: datetime, by: Actor) -> None:
    """A picture's own end: key, files, row at once."""
    destroy_pictures([image], now=now, by=by, clause="A2.1")
