"""Row numbers that tell nothing, and the place of a post in lists.

A post's row number is random, so that neither a page nor a copy of a store shows which posts came one after another.
Lists are ordered by `position`, in nanoseconds: the time of a living member's post, and a random place in the first
minute of its day once the author has left (docs/linkability.md).
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections, router, transaction
from django.db.models import Model

from imgnom.custody.keys.public import derive, keyed_digest, read_key

# Below 19 digits, as the numbers of an address are.
MAX_ROW_ID = 10**18
DAY_PLACES = 60 * 10**9
AT_ONCE = 500


def number_from(kind: str, number: int) -> int:
    """What a row that was numbered in order became: random to who has no keyring, found again by us in old leaves."""
    digest = keyed_digest(derive(read_key("index"), f"row numbers {kind}"), str(number).encode())
    return 1 + int.from_bytes(digest[:8], "big") % (MAX_ROW_ID - 1)


def random_row_id() -> int:
    return 1 + secrets.randbelow(MAX_ROW_ID - 1)


def day_of(instant: datetime, zone: str) -> datetime:
    """The first instant of its day in that zone."""
    tz = ZoneInfo(zone)
    return datetime.combine(instant.astimezone(tz).date(), time(), tz).astimezone(UTC)


def minute_of(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _nanoseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000_000) * 1000


def next_position(model: type[Model], instant: datetime) -> int:
    """A place in front of all posts of this kind, also while a clock stands still. Inside the transaction of the insert."""
    rows: Any = model._default_manager
    last = rows.order_by("-position").values_list("position", flat=True).first() or 0
    return next_place(int(last), instant)


def next_place(last: int, instant: datetime) -> int:
    return max(last + 1, _nanoseconds(instant))


def positions_in_day(day: datetime, count: int, *, in_order: bool) -> Iterable[int]:
    """Random places at the beginning of a day: in ascending order where it may be kept."""
    first = _nanoseconds(day)
    found = [first + secrets.randbelow(DAY_PLACES) for _ in range(count)]
    return sorted(found) if in_order else found


@dataclass(frozen=True)
class LeftPost:
    """A post of somebody who left, whose time is not coarsened yet; `name` is that of its file, if it has one."""

    number: int
    day: datetime
    name: str


def left_posts(model: type[Model], member_id: int, *, zone: str, name: str = "") -> list[LeftPost]:
    """The first posts of who left that still show their time: some hundred, and the last day of them whole."""
    rows: Any = model._default_manager
    waiting = rows.filter(settling=member_id).order_by("created_at")
    last = list(waiting.values_list("created_at", flat=True)[:AT_ONCE])
    if not last:
        return []
    beyond = day_of(day_of(last[-1], zone) + timedelta(hours=36), zone)
    found = (
        waiting.filter(created_at__lt=beyond)
        .order_by("position")
        .values_list("pk", "created_at", *([name] if name else []))
    )
    posts = [LeftPost(number, day_of(at, zone), *(more or [""])) for number, at, *more in found]
    return sorted(posts, key=lambda post: post.day)


def coarsen_posts(model: type[Model], posts: Sequence[LeftPost], *, in_order: bool) -> None:
    """Their rows say their day and no more: the time is the day's beginning, the place in lists a random one of the day.

    With `in_order` the posts of a day keep their order among themselves, for an author whose name stands on them.
    """
    store = router.db_for_write(model)
    adapt = connections[store].ops.adapt_datetimefield_value
    changes: list[tuple[Any, int, int]] = []
    for day, of_day in groupby(posts, key=lambda post: post.day):
        numbers = [post.number for post in of_day]
        places = positions_in_day(day, len(numbers), in_order=in_order)
        changes += [(adapt(day), place, number) for place, number in zip(places, numbers, strict=True)]
    table = connections[store].ops.quote_name(model._meta.db_table)
    with transaction.atomic(using=store), connections[store].cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET created_at = %s, position = %s, settling = NULL WHERE id = %s",  # noqa: S608 - a name of ours
            changes,
        )
