"""How much room the files of one member take, and the limit (IMGNOM_MEMBER_STORAGE).

Kept originals and display sizes count, of every picture whose files are there: what its owner deletes and what staff
remove is free again at once. The sum comes from the pictures' rows, so that it is right after a restore too.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, Sum

from imgnom.community.images.errors import StorageFull
from imgnom.community.images.models import Image

_UNITS = ("KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Storage:
    """Bytes."""

    used: int
    limit: int

    @property
    def used_words(self) -> str:
        return size_words(self.used)

    @property
    def limit_words(self) -> str:
        return size_words(self.limit)

    @property
    def is_full(self) -> bool:
        return self.used >= self.limit

    @property
    def percent(self) -> int:
        return min(100, 100 * self.used // self.limit)


def storage_of(member_id: int) -> Storage:
    rows = Image.objects.filter(author_id=member_id, removed_reason="")
    used = rows.aggregate(used=Sum(F("bytes") + F("derived_bytes")))["used"]
    return Storage(int(used or 0), settings.IMGNOM.member_storage_bytes)


def ensure_not_full(member_id: int) -> None:
    """Before a file is opened, which costs much more than asking. Raises StorageFull."""
    storage = storage_of(member_id)
    if storage.is_full:
        raise StorageFull(storage.used, storage.limit)


def reserve_storage(member_id: int, size: int) -> None:
    """Inside the transaction that writes the row: until its end no other upload of this member comes this far.

    SQLite lets one transaction write at a time; PostgreSQL locks the member's row. Raises StorageFull.
    """
    members: Any = Image._meta.get_field("author").related_model
    members._default_manager.select_for_update(no_key=True).filter(pk=member_id).values_list("pk").first()
    storage = storage_of(member_id)
    if storage.used + size > storage.limit:
        raise StorageFull(storage.used, storage.limit)


def size_words(size: int) -> str:
    """In units of 1024, as file managers count: 0 KB, 512 KB, 1.9 GB."""
    value, unit = size / 1024, 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return (
        f"{value:.1f} {_UNITS[unit]}"
        if unit and value < 100 and f"{value:.1f}"[-1] != "0"
        else f"{value:.0f} {_UNITS[unit]}"
    )
