"""Display sizes: read where they stand, made again from the sealed original where they are lost.

They are in no backup, so after a restore any visitor's request makes some. That is work that strangers cause: each
picture is made once, in every format at a time; one is at work and one may wait, all others are told to come again; and
what could not be made or kept is not tried again for a while.
"""

import threading
import time
from contextlib import suppress

from imgnom.community.images.errors import Busy, NotAPicture
from imgnom.community.images.models import Image
from imgnom.community.images.take_in import (
    coarsen_files,
    erase_file,
    files_of,
    made_of,
    media_path,
    replace_file,
)
from imgnom.custody.keys.public import SealBroken
from imgnom.custody.vault.public import file_keys, open_file

AT_ONCE = 2
TRIED_AGAIN_SECONDS = 60.0
_MOST_REMEMBERED = 1000

_PLACES = threading.BoundedSemaphore(AT_ONCE)
_AT_WORK = threading.Lock()
_FAILED: dict[str, float] = {}


def display_size(image: Image, size: str, formats: tuple[str, ...]) -> tuple[bytes, str]:
    """A file of this size and its format, the first of `formats` that is there.

    Raises SealBroken, FileNotFoundError, NotAPicture, NoDecoder, Busy.
    """
    return _there(image, size, formats) or _made_again(image, size, formats)


def _there(image: Image, size: str, formats: tuple[str, ...]) -> tuple[bytes, str] | None:
    for shown_as in formats:
        with suppress(FileNotFoundError):
            return media_path("derived", image.media_token, size, shown_as).read_bytes(), shown_as
    return None


def _made_again(image: Image, size: str, formats: tuple[str, ...]) -> tuple[bytes, str]:
    if not _PLACES.acquire(blocking=False):
        raise Busy
    try:
        with _AT_WORK:
            return _there(image, size, formats) or _make(image, size, formats)
    finally:
        _PLACES.release()


def _make(image: Image, size: str, formats: tuple[str, ...]) -> tuple[bytes, str]:
    token = image.media_token
    if time.monotonic() - _FAILED.get(token, -TRIED_AGAIN_SECONDS) < TRIED_AGAIN_SECONDS:
        raise Busy
    kept = b"".join(open_file(token, media_path("originals", token)))
    try:
        made = made_of(kept, image.format)
    except NotAPicture:
        _remember_failure(token)
        raise
    try:
        for (name, shown_as), content in made.files.items():
            replace_file(media_path("derived", token, name, shown_as), content)
        coarsen_files(token, image.created_at)
        _FAILED.pop(token, None)
        Image.objects.filter(pk=image.pk).update(derived_bytes=sum(map(len, made.files.values())))
    except OSError:  # a full disk keeps nobody from seeing it
        _remember_failure(token)
    _forget_if_destroyed(image)
    for shown_as in formats:
        if (size, shown_as) in made.files:
            return made.files[size, shown_as], shown_as
    raise NotAPicture("undecodable")


def _remember_failure(token: str) -> None:
    if len(_FAILED) >= _MOST_REMEMBERED:
        _FAILED.clear()
    _FAILED[token] = time.monotonic()


def _forget_if_destroyed(image: Image) -> None:
    """Destruction takes the key first and the files next: whoever wrote one after that sees the key gone (A4.2).

    Raises SealBroken.
    """
    is_here = Image.objects.filter(pk=image.pk, removed_reason="").exists()
    if not is_here or not file_keys([image.media_token]):
        for path in files_of(image.media_token):
            erase_file(path)
        raise SealBroken
