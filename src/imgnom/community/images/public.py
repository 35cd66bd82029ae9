"""The door of the pictures."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from imgnom.community.images.errors import NotAPicture, PictureError, PictureTooLarge, WrongType
from imgnom.community.images.models import Image
from imgnom.community.images.take_in import Taken, destroy_pictures, media_path, set_tags, sweep_orphans, upload_file
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import open_file
from imgnom.policy.public import Actor

__all__ = [
    "Image", "NotAPicture", "PictureError", "PictureTooLarge", "Taken", "WrongType", "anonymise_images", "count_for", "delete_images", "delete_one", "embed_of",
    "find_image", "keep_images", "remove_by_staff", "set_tags", "sweep_orphans", "upload_file", "visible_image", "visible_images", "zip_of",
]  # fmt: skip
CHUNK = 100


def visible_images() -> QuerySet[Image]:
    """What everybody may find in lists."""
    return Image.objects.filter(visibility="public", removed_reason="").select_related("author")


def find_image(public_id: str) -> Image | None:
    return Image.objects.select_related("author").filter(public_id=public_id).first()


def visible_image(public_id: str, *, member_id: int | None) -> Image | None:
    """The one rule of who may see a picture (A1, A2): its owner always; others unless private or removed."""
    image = find_image(public_id)
    if image is None or (image.author_id is not None and image.author_id == member_id):
        return image
    return image if image.visibility in ("public", "unlisted") and not image.removed_reason else None


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
    count, keys = 0, []
    wanted = Image.objects.filter(author_id=member_id)
    if only_private:
        wanted = wanted.filter(Q(visibility="private") | ~Q(removed_reason=""))
    while (limit is None or count < limit) and (chunk := list(wanted.order_by("pk")[:CHUNK])):
        keys.extend(destroy_pictures(chunk, now=now, by=by, clause="A4.2"))
        count += len(chunk)
    return count, tuple(keys)


def remove_by_staff(public_id: str, *, reason: str, by: Actor, now: datetime) -> bool:
    with transaction.atomic():
        changed = Image.objects.filter(public_id=public_id, removed_reason="").update(removed_reason=reason[:500])
        if changed:
            record_act(store="default", act="remove_picture", clause="A2.1", by=by, now=now, items=["image_file"])
    return bool(changed)


def original_of(image: Image) -> Iterator[bytes]:
    return open_file(image.media_token, media_path("originals", image.media_token))


def zip_of(member_id: int) -> bytes:
    """A plain ZIP of one's own pictures with their words."""
    target = io.BytesIO()
    words = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(Image.objects.filter(author_id=member_id).order_by("pk"), 1):
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


def embed_of(image: Image) -> dict[str, str]:
    """Link, HTML, Markdown and BBCode for sharing."""
    from imgnom.community.images.views import embed_of as made

    return {"link": made(image)["html"].split('"')[1]} | made(image)
