"""From uploaded bytes to a picture: sniff, rewrite and decode in the sandbox, seal, publish (A2.1).

Nothing of the file as it came is ever written. Files are written first, under random names, and the row last, so a kill
leaves only orphans, which the worker sweeps. Display sizes are made again from the sealed original where one is missing.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, connections, transaction

from imgnom.community.images.decode import Made, decode
from imgnom.community.images.errors import OwnerGone, PictureTooLarge, StorageFull, WrongType
from imgnom.community.images.jail import FORMATS, SIZES
from imgnom.community.images.line import DISPLAY, WAIT_FOR_DISPLAY_SECONDS, WAIT_SECONDS, turn
from imgnom.community.images.models import Image, ImageTag, Tag
from imgnom.community.images.quota import ensure_not_full, reserve_storage
from imgnom.community.images.strip import STRIP, sniff
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import for_one_act, record_act
from imgnom.custody.vault.public import destroy_file_keys, seal_file
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.row_order import day_of, minute_of, next_position
from imgnom.web.uploads import MAX_FILE_BYTES as MAX_BYTES

__all__ = [
    "MAX_BYTES", "SIZES", "Taken", "check_upload", "destroy_pictures", "erase_file", "files_of", "made_of", "media_path",
    "replace_file", "set_tags", "sweep_orphans", "upload_file",
]  # fmt: skip


@dataclass(frozen=True)
class Taken:
    public_id: str
    removed: tuple[str, ...]


def media_path(kind: str, token: str, size: str = "", shown_as: str = "webp") -> Path:
    name = f"{token}-{size}.{shown_as}" if size else f"{token}.sealed"
    return Path(settings.IMGNOM.media_root) / kind / token[:2] / name


def files_of(token: str) -> list[Path]:
    """Every file that a picture may have, in every size and format."""
    shown = (media_path("derived", token, size, shown_as) for size in SIZES for shown_as in FORMATS)
    return [media_path("originals", token), *shown]


def replace_file(path: Path, content: bytes) -> None:
    """Whoever reads meanwhile finds the file as it was, whole, or as it is now."""
    partial = path.with_suffix(f".{secrets.token_hex(4)}.part")
    with _new_file(partial) as target:
        target.write(content)
    partial.replace(path)


def _new_file(path: Path) -> BinaryIO:
    """Open to be written, in a folder that is made where it is missing."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


def check_upload(content: bytes) -> str:
    """The format. Raises PictureTooLarge, WrongType."""
    if len(content) > MAX_BYTES:
        raise PictureTooLarge(MAX_BYTES)
    kind = sniff(content)
    if kind not in STRIP:
        raise WrongType(kind or "unknown")
    return kind


def _release_connections() -> None:
    """An upload that waits for its turn holds no connection of a pool; one inside a transaction is left alone."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def made_of(content: bytes, kind: str, *, whose: str = DISPLAY) -> Made:
    """The file without what travelled along, and its display sizes, when it is this member's turn (or a display's).

    Raises NotAPicture, NoDecoder, Busy, OneAtATime.
    """
    _release_connections()
    with turn(whose, wait_seconds=WAIT_SECONDS if whose else WAIT_FOR_DISPLAY_SECONDS):
        return decode(content, kind)


def _seal(token: str, original: bytes | memoryview, *, now: datetime) -> None:
    with _new_file(media_path("originals", token)) as target:
        seal_file(token, [original], target, now=day_of(now, policy_in_force().zone))


def upload_file(
    *,
    content: bytes,
    title: str,
    description: str,
    alt: str,
    tags: str,
    visibility: str,
    by_member: int,
    subject: str | None = None,
    now: datetime,
) -> Taken:
    """A picture stands in both sizes. Raises PictureTooLarge, WrongType, StorageFull, NotAPicture, NoDecoder, Busy, OwnerGone."""
    kind = check_upload(content)
    ensure_not_full(by_member)
    made = made_of(content, kind, whose=subject or str(by_member))
    token, public_id = secrets.token_hex(16), secrets.token_urlsafe(8)
    _seal(token, made.original, now=now)
    for (size, shown_as), shown in made.files.items():
        with _new_file(media_path("derived", token, size, shown_as)) as target:
            target.write(shown)
    thumbnail, preview = made.sizes["thumbnail"], made.sizes["preview"]
    row = Image(
            public_id=public_id, author_id=by_member, title=title[:200], description=description[:5000], alt=alt[:1000], visibility=visibility,
            format=kind, bytes=len(made.original), derived_bytes=sum(map(len, made.files.values())), width=made.width, height=made.height, frames=made.frames, thumbnail_width=thumbnail[0],
            thumbnail_height=thumbnail[1], preview_width=preview[0], preview_height=preview[1], removed=list(made.removed), media_token=token,
            placeholder=made.placeholder, lookalike=made.lookalike, created_at=minute_of(now),
    )  # fmt: skip
    try:
        with transaction.atomic():
            reserve_storage(by_member, row.bytes + row.derived_bytes)
            row.position = next_position(Image, row.created_at)
            row.save(force_insert=True)
            if tags:
                set_tags(row, tags)
            record_act(
                store="default", act="upload", clause="A2.1", by=for_one_act(Actor("member", subject)), now=now,
                items=["image_file", "image_lookalike"], day_in=policy_in_force().zone,
            )  # fmt: skip
    except StorageFull:
        destroy_files([row], now=now, by=SYSTEM, clause="A4.2")
        raise
    except IntegrityError:
        if Image._meta.get_field("author").related_model._default_manager.filter(pk=by_member).exists():
            raise
        destroy_files([row], now=now, by=SYSTEM, clause="A4.2")
        raise OwnerGone from None
    coarsen_files(token, row.created_at)
    return Taken(public_id, made.removed)


def coarsen_files(token: str, taken_at: datetime) -> None:
    """The files' own times say no more than the day. Only after the row stands: the sweep goes by age."""
    day = day_of(taken_at, policy_in_force().zone).timestamp()
    for path in files_of(token):
        with suppress(FileNotFoundError):
            os.utime(path, (day, day))


def set_tags(image: Image, text: str) -> None:
    names = list(
        dict.fromkeys(word.strip("#").casefold()[:40] for word in text.replace(",", " ").split() if word.strip("#"))
    )[:20]
    ImageTag.objects.filter(image=image).delete()
    for place, name in enumerate(names):
        tag, _ = Tag.objects.get_or_create(name=name)
        ImageTag.objects.create(image=image, tag=tag, place=place)
    Tag.objects.filter(imagetag__isnull=True).delete()


def destroy_files(images: list[Image], *, now: datetime, by: Actor, clause: str) -> tuple[str, ...]:
    """Keys, then files; repeating it is harmless. Returns the destroyed keys."""
    keys = destroy_file_keys([image.media_token for image in images], now=now, by=by, clause=clause)
    for image in images:
        for path in files_of(image.media_token):
            erase_file(path)
    return keys


def destroy_pictures(images: list[Image], *, now: datetime, by: Actor, clause: str) -> tuple[str, ...]:
    """Keys, files, rows, in this order; repeating it is harmless. Returns the destroyed keys."""
    keys = destroy_files(images, now=now, by=by, clause=clause)
    ids = [image.pk for image in images]
    with transaction.atomic():
        ImageTag.objects.filter(image_id__in=ids).delete()
        Image.objects.filter(pk__in=ids).delete()
        Tag.objects.filter(imagetag__isnull=True).delete()
        record_act(
            store="default",
            act="destroy_pictures",
            clause=clause,
            by=by,
            now=now,
            items=["image_file", "image_text", "image_lookalike"],
            detail={"count": len(ids)},
            day_in=policy_in_force().zone,
        )
    compact("default")
    compact("keys")
    return keys


def erase_file(path: Path) -> None:
    """Overwrite, then unlink; a file that is gone already is fine (A4.2)."""
    try:
        with path.open("r+b") as file:
            file.write(b"\0" * path.stat().st_size)
            file.flush()
        path.unlink()
    except FileNotFoundError:
        return


def sweep_orphans(*, now: datetime, older_than: timedelta = timedelta(hours=1)) -> int:
    """Files that no row knows or whose picture staff removed, left by a kill."""
    import time

    root = Path(settings.IMGNOM.media_root)
    known = set(Image.objects.filter(removed_reason="").values_list("media_token", flat=True))
    swept = 0
    for path in root.rglob("*.*") if root.exists() else []:
        token = path.name.split(".")[0].split("-")[0]
        is_left = token not in known or path.suffix == ".part"
        if path.is_file() and is_left and time.time() - path.stat().st_mtime > older_than.total_seconds():
            if token not in known:
                destroy_file_keys([token], now=now, by=SYSTEM, clause="A4.2")
            erase_file(path)
            swept += 1
    return swept
