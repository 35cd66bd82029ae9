"""Keyset paging: a page costs the same wherever it stands, and has an address."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Model, QuerySet


@dataclass(frozen=True)
class Page[M: Model]:
    rows: Sequence[M]
    next_cursor: str


def keyset[M: Model](query: QuerySet[M], *, after: str | None, size: int) -> Page[M]:
    """Rows newest first by primary key, those after the cursor; the cursor is the last row's number."""
    query = query.order_by("-pk")
    if after and after.isascii() and after.isdigit() and len(after) < 19:
        query = query.filter(pk__lt=int(after))
    rows = list(query[: size + 1])
    return Page(rows[:size], str(rows[size - 1].pk) if len(rows) > size else "")
