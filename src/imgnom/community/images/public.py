"""The door of the pictures."""

import io
import json
import zipfile
from collections.abc import Buffer, Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from imgnom.community.images.after_restore import WITHHELD, all_public_ids, dead_pictures, file_owners, see_again_as
from imgnom.community.images.decode import WrongDecoder, check_decoder
from imgnom.community.images.embed import embed_of, file_urls, page_url
from imgnom.community.images.errors import NotAPicture, PictureError, PictureTooLarge, WrongType
from imgnom.community.images.forms import CleanText
from imgnom.community.images.models import Image
from imgnom.community.images.queries import (
    OPEN_TO_ALL,
    ShownPicture,
    find_image,
    shown_picture,
    tags_of,
    visible_image,
    visible_images,
)
from imgnom.community.images.quota import Storage, storage_of
from imgnom.community.images.sandbox import missing_here as missing_walls
from imgnom.community.images.take_in import (
    Taken,
    coarsen_files,
    destroy_files,
    destroy_pictures,
    media_path,
    set_tags,
    sweep_orphans,
    upload_file,
)
from imgnom.community.images.text import one_line, several_lines
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import coarsen_file_keys, compact
from imgnom.custody.outbox.public import for_one_act, record_act
from imgnom.custody.vault.public import file_keys, ledger_name, open_file
from imgnom.policy.public import Actor
from imgnom.web.row_order import coarsen_posts, left_posts

__all__ = [
    "CHANGE_VISIBILITY", "WITHHELD", "CleanText", "Image", "NotAPicture", "PictureError", "PictureTooLarge", "ShownPicture", "Storage", "Taken", "WrongDecoder",
    "WrongType", "all_public_ids", "anonymise_images", "change_words", "check_decoder", "coarsen_images", "count_for", "count_lookalikes", "count_settling_images", "dead_pictures", "delete_images", "delete_one",
    "embed_of", "file_owners", "file_urls", "find_image", "hide_images", "keep_images", "keys_of_images", "missing_walls",
    "newest_public_picture", "one_line", "page_url", "remove_by_staff", "see_again_as", "set_tags", "several_lines", "shown_picture", "storage_of", "sweep_orphans",
    "tags_of", "upload_file", "visible_image", "visible_images", "words_of", "zip_of",
]  # fmt: skip
CHUNK = 100
CHANGE_VISIBILITY = "change_visibility"
# What nobody but the owner sees ends with the membership, whatever is chosen for the rest (A4.0).
NEVER_KEPT = Q(visibility="private") | ~Q(removed_reason="")


def count_for(member_id: int) -> tuple[int, int]:
    """(all, those that end with the membership whatever is chosen) pictures of a member."""
    mine = Image.objects.filter(author_id=member_id)
    return mine.count(), mine.filter(NEVER_KEPT).count()


def count_lookalikes(member_id: int) -> int:
    return Image.objects.filter(author_id=member_id).exclude(lookalike="").count()


def keep_images(member_id: int, name: str) -> int:
    """They stand on under a plain name that belongs to nobody any more; private and removed ones do not.

    The number by which copies are found ends with the membership whatever is chosen: whoever uploads a copy later must
    not be taken for the one who left, least of all where the name was taken off.
    """
    mine = Image.objects.filter(author_id=member_id).exclude(NEVER_KEPT)
    return mine.update(author=None, author_name=name, lookalike="", settling=member_id)


def anonymise_images(member_id: int) -> int:
    return keep_images(member_id, "")


def count_settling_images(member_id: int) -> int:
    return Image.objects.filter(settling=member_id).count()


def coarsen_images(member_id: int, *, in_order: bool) -> int:
    """Some pictures of who left show their day and no more, in files, key and row; how many. The row comes last: a kill
    before it repeats all.
    """
    posts = left_posts(Image, member_id, zone=policy_in_force().zone, name="media_token")
    for post in posts:
        coarsen_files(post.name, post.day)
    coarsen_file_keys({post.name: post.day for post in posts})
    coarsen_posts(Image, posts, in_order=in_order)
    return len(posts)


def hide_images(member_id: int) -> int:
    """Nobody sees them from now on; their files are destroyed next."""
    return Image.objects.filter(author_id=member_id).update(visibility="private", lookalike="")


def keys_of_images(member_id: int, *, only_private: bool) -> tuple[str, ...]:
    """The names of the file keys of what `delete_images` would destroy."""
    return file_keys(_wanted(member_id, only_private=only_private).values_list("media_token", flat=True).iterator())


def _wanted(member_id: int, *, only_private: bool) -> QuerySet[Image]:
    mine = Image.objects.filter(author_id=member_id)
    return mine.filter(NEVER_KEPT) if only_private else mine


def delete_images(
    member_id: int, *, only_private: bool, now: datetime, by: Actor, limit: int | None = None
) -> tuple[int, tuple[str, ...]]:
    """Destroyed in chunks, removed ones included; (how many, keys)."""
    count = 0
    keys: list[str] = []
    wanted = _wanted(member_id, only_private=only_private)
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
            removed_reason=reason[:500], description="", alt="", placeholder="", lookalike=""
        )
        if changed:
            record_act(
                store="default", act="remove_picture", clause="A2.1", by=by, now=now, items=["image_file", "image_lookalike"],
                detail={"picture": ledger_name("picture", public_id)},
            )  # fmt: skip
    image = find_image(public_id) if changed else None
    if image is not None:
        set_tags(image, "")
        destroy_files([image], now=now, by=by, clause="A2.1")
        compact("default")
        compact("keys")
    return bool(changed)


def change_words(
    image: Image, *, title: str, description: str, alt: str, tags: str, visibility: str, by: Actor, now: datetime
) -> None:
    """The picture's words and who may see it are as given; no visibility given leaves it as it is.

    Who may see it stands in the ledger too, so that no older copy shows what was hidden since.
    """
    seen_by = visibility or image.visibility
    with transaction.atomic():
        Image.objects.filter(pk=image.pk).update(title=title, description=description, alt=alt, visibility=seen_by)
        set_tags(image, tags)
        if seen_by != image.visibility:
            record_act(
                store="default", act=CHANGE_VISIBILITY, clause="A2.1", by=for_one_act(by), now=now, items=["image_text"],
                detail={"picture": ledger_name("picture", image.public_id), "visibility": seen_by}, day_in=policy_in_force().zone,
            )  # fmt: skip
    compact("default")  # the words before are gone from the store's log too


def original_of(image: Image) -> Iterator[bytes]:
    return open_file(image.media_token, media_path("originals", image.media_token))


def newest_public_picture(member_id: int) -> Image | None:
    return Image.objects.filter(author_id=member_id).filter(OPEN_TO_ALL).order_by("-position").first()


class _Sink(io.RawIOBase):
    """Takes what the ZIP writes and hands it on, so that no picture waits whole in memory or lies open on the disk."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def words_of(image: Image) -> dict[str, Any]:
    """What a member wrote about a picture, and when."""
    return {
        "id": image.public_id, "title": image.title, "description": image.description, "alt": image.alt, "tags": list(tags_of(image)),
        "visibility": image.visibility, "lookalike": image.lookalike, "uploaded_at": image.created_at.isoformat(timespec="seconds"), "width": image.width, "height": image.height,
        "removed_by_staff": image.removed_reason,
    }  # fmt: skip


def zip_of(member_id: int, *, beside: Iterable[tuple[str, bytes]] = ()) -> Iterator[bytes]:
    """A plain ZIP of one's own pictures with their words, and of other files `beside` them, piece by piece."""
    sink = _Sink()
    words = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, content in beside:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
            yield sink.take()
        mine = Image.objects.filter(author_id=member_id, removed_reason="").order_by("position")
        for number, image in enumerate(mine.iterator(chunk_size=CHUNK), 1):
            name = f"pictures/{number:05d}.{'jpg' if image.format == 'jpeg' else image.format}"
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
                for piece in original_of(image):
                    target.write(piece)
                    yield sink.take()
            words.append({"file": name} | words_of(image))
        archive.writestr("pictures.json", json.dumps(words, ensure_ascii=False, indent=1))
    yield sink.take()


def delete_one(image: Image, *, now: datetime, by: Actor) -> None:
    """A picture's own end: key, files, row at once."""
    destroy_pictures([image], now=now, by=by, clause="A2.1")
