"""From uploaded bytes to a picture: sniff, strip, decode in the jail, seal, publish (A2.1).

Nothing of the file as it came is ever written. Files are written under random names first and the row last, so a kill
leaves only orphans, which the worker sweeps.
"""

import json
import secrets
import struct
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction

from imgnom.community.images.errors import NotAPicture, PictureTooLarge, WrongType
from imgnom.community.images.models import Image, ImageTag, Tag
from imgnom.community.images.strip import STRIP, NotThisFormat, sniff
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import destroy_file_keys, seal_file
from imgnom.policy.public import SYSTEM, Actor

MAX_BYTES = 32 * 1024 * 1024
WALL_SECONDS = 20
JAIL = Path(__file__).with_name("jail.py")
SIZES = ("thumbnail", "preview")


@dataclass(frozen=True)
class Taken:
    public_id: str
    removed: tuple[str, ...]


def media_path(kind: str, token: str, size: str = "") -> Path:
    name = f"{token}-{size}.webp" if size else f"{token}.sealed"
    return Path(settings.IMGNOM.media_root) / kind / token[:2] / name


def _decode(clean: bytes, kind: str) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(JAIL), kind],
            input=clean,
            capture_output=True,
            timeout=WALL_SECONDS,
            check=False,
            env={"PATH": "", "HOME": "/nonexistent"},
        )
    except subprocess.TimeoutExpired:
        raise NotAPicture("too-slow") from None
    out = done.stdout
    if done.returncode or len(out) < 4:
        raise NotAPicture("undecodable")
    head_bytes = struct.unpack(">I", out[:4])[0]
    facts = json.loads(out[4 : 4 + head_bytes])
    if "refused" in facts:
        raise NotAPicture(facts["refused"])
    parts, at = [], 4 + head_bytes
    for size in SIZES:
        length = facts["sizes"][size]["bytes"]
        parts.append(out[at : at + length])
        at += length
    return facts, parts


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(path)


def check_upload(content: bytes) -> str:
    """The format. Raises PictureTooLarge, WrongType."""
    if len(content) > MAX_BYTES:
        raise PictureTooLarge(MAX_BYTES)
    kind = sniff(content)
    if kind not in STRIP:
        raise WrongType(kind or "unknown")
    return kind


def upload_file(
    *,
    content: bytes,
    file_name: str,
    title: str,
    description: str,
    alt: str,
    tags: str,
    visibility: str,
    by_member: int,
    subject: str | None = None,
    now: datetime,
) -> Taken:
    """A picture stands in both sizes. Raises PictureTooLarge, WrongType, NotAPicture. The file's own name is dropped."""
    del file_name
    kind = check_upload(content)
    try:
        clean, removed = STRIP[kind](content)
    except (NotThisFormat, struct.error, IndexError):
        raise NotAPicture("undecodable") from None
    facts, parts = _decode(clean, kind)
    token, public_id = secrets.token_hex(16), secrets.token_urlsafe(8)
    sealed = media_path("originals", token)
    sealed.parent.mkdir(parents=True, exist_ok=True)
    partial = sealed.with_suffix(".part")
    with partial.open("wb") as target:
        seal_file(token, clean, target, now=now)
    partial.replace(sealed)
    for size, part in zip(SIZES, parts, strict=True):
        _write(media_path("derived", token, size), part)
    sizes = facts["sizes"]
    with transaction.atomic():
        image = Image.objects.create(
            public_id=public_id, author_id=by_member, title=title[:200], description=description[:5000], alt=alt[:1000], visibility=visibility,
            format=kind, bytes=len(clean), width=facts["width"], height=facts["height"], frames=facts["frames"],
            thumbnail_width=sizes["thumbnail"]["width"], thumbnail_height=sizes["thumbnail"]["height"], preview_width=sizes["preview"]["width"],
            preview_height=sizes["preview"]["height"], removed=sorted(removed), media_token=token, placeholder=facts["placeholder"], created_at=now,
        )  # fmt: skip
        set_tags(image, tags)
        record_act(
            store="default",
            act="upload",
            clause="A2.1",
            by=Actor("member", subject),
            now=now,
            subject=subject,
            items=["image_file"],
        )
    return Taken(public_id, tuple(sorted(removed)))


def set_tags(image: Image, text: str) -> None:
    names = list(
        dict.fromkeys(word.strip("#").casefold()[:40] for word in text.replace(",", " ").split() if word.strip("#"))
    )[:20]
    ImageTag.objects.filter(image=image).delete()
    for name in names:
        tag, _ = Tag.objects.get_or_create(name=name)
        ImageTag.objects.create(image=image, tag=tag)
    Tag.objects.filter(imagetag__isnull=True).delete()


def destroy_files(images: list[Image], *, now: datetime, by: Actor, clause: str) -> tuple[str, ...]:
    """Keys, then files; repeating it is harmless. Returns the destroyed keys."""
    keys = destroy_file_keys([image.media_token for image in images], now=now, by=by, clause=clause)
    for image in images:
        for path in (
            media_path("originals", image.media_token),
            *(media_path("derived", image.media_token, size) for size in SIZES),
        ):
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
            items=["image_file", "image_text"],
            detail={"count": len(ids)},
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
        if path.is_file() and token not in known and time.time() - path.stat().st_mtime > older_than.total_seconds():
            destroy_file_keys([token], now=now, by=SYSTEM, clause="A4.2")
            erase_file(path)
            swept += 1
    return swept
