"""What lies on the desk: pictures and comments that others than their owner can open, newest first.

Private pictures and what is said under them are nobody's business here. A page costs the same wherever it stands: each
kind has its own cursor, and the two are merged by time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from imgnom.community.comments.public import Comment
from imgnom.community.images.public import Image, one_line
from imgnom.web.paging import make_cursor, read_cursors
from imgnom.web.search import CHUNK, Row, limited_statements, scan, words_of

PAGE = 40
KINDS = ("picture", "comment")
LISTING = "desk"
NEWEST = 2**63 - 1


@dataclass(frozen=True)
class DeskItem:
    """`text` is the title of a picture or the words of a comment; `whose` its owner's token, empty when they left."""

    kind: str
    key: str
    number: int
    position: int
    text: str
    name: str
    whose: str
    author_id: int | None
    at: datetime
    visibility: str
    removed_reason: str
    under: str
    description: str = ""
    alt: str = ""
    width: int = 0
    height: int = 0

    @property
    def page(self) -> str:
        return f"/i/{self.under}#comment-{self.key}" if self.kind == "comment" else f"/i/{self.under}"


@dataclass(frozen=True)
class DeskPage:
    """`older` is the cursor of the next page, empty at the end."""

    items: tuple[DeskItem, ...]
    older: str
    is_first: bool
    is_stopped: bool = False  # a search reached its limit, and `older` goes on there


def _pictures() -> QuerySet[Image]:
    return Image.objects.exclude(visibility="private").select_related("author")


def _comments() -> QuerySet[Comment]:
    open_pictures = Comment.objects.exclude(image__visibility="private").filter(image__removed_reason="")
    return open_pictures.select_related("author", "image")


def _of_picture(row: Image) -> DeskItem:
    return DeskItem(
        "picture", row.public_id, row.pk, row.position, row.title, row.shown_name, row.author.subject if row.author else "", row.author_id, row.created_at, row.visibility,
        row.removed_reason, row.public_id, row.description, row.alt, row.preview_width, row.preview_height,
    )  # fmt: skip


def _of_comment(row: Comment) -> DeskItem:
    return DeskItem(
        "comment", str(row.pk), row.pk, row.position, row.body, row.shown_name, row.author.subject if row.author else "", row.author_id, row.created_at,
        row.image.visibility, row.removed_reason, row.image.public_id,
    )  # fmt: skip


def find_item(kind: str, key: str) -> DeskItem | None:
    """One thing of the desk; None for what is not there and for what is private."""
    if kind == "picture":
        picture = _pictures().filter(public_id=key).first()
        return _of_picture(picture) if picture else None
    if kind == "comment" and key.isascii() and key.isdigit() and len(key) < 19:
        comment = _comments().filter(pk=int(key)).first()
        return _of_comment(comment) if comment else None
    return None


def _search(
    query: QuerySet[Any], fields: tuple[str, ...], words: tuple[str, ...], after: int | None
) -> tuple[QuerySet[Any], int | None]:
    """The rows that hold every word, and the position at which a limit stopped the search."""

    def fetch(below: int | None) -> list[Row]:
        older = query if below is None else query.filter(position__lt=below)
        with limited_statements(query.db):
            found = list(older.order_by("-position").values_list("pk", "position", *fields)[:CHUNK])
        return [Row(row[0], row[1], tuple(text or "" for text in row[2:])) for row in found]

    found = scan(fetch, words, after=after, most=PAGE + 1)
    return query.filter(pk__in=found.keys), found.reached


def desk_page_of(*, show: str, words: str, after: str | None) -> DeskPage:
    """`show` is `all`, `pictures`, `comments` or `removed`; `words` narrows to what holds every one of them."""
    cursor = read_cursors(LISTING, after, count=2)
    pictures, comments = _pictures(), _comments()
    if show == "removed":
        pictures, comments = pictures.exclude(removed_reason=""), comments.exclude(removed_reason="")
    else:
        pictures, comments = pictures.filter(removed_reason=""), comments.filter(removed_reason="")
    stops: dict[str, int | None] = {"picture": None, "comment": None}
    if cursor is not None:
        pictures, comments = pictures.filter(position__lt=cursor[0]), comments.filter(position__lt=cursor[1])
    asked = words_of(one_line(words)).words
    if asked and show != "comments":
        pictures, stops["picture"] = _search(
            pictures, ("title", "description", "author__nickname", "author_name"), asked, None
        )
    if asked and show != "pictures":
        comments, stops["comment"] = _search(comments, ("body", "author__nickname", "author_name"), asked, None)
    found: list[DeskItem] = []
    if show != "comments":
        found += [_of_picture(row) for row in pictures.order_by("-position")[: PAGE + 1]]
    if show != "pictures":
        found += [_of_comment(row) for row in comments.order_by("-position")[: PAGE + 1]]
    found.sort(key=lambda item: (item.position, item.kind), reverse=True)
    # What is older than where one kind's search stopped waits, so that pages stay in order.
    floor = max((stop for stop in stops.values() if stop is not None), default=None)
    items = tuple(item for item in found if floor is None or item.position >= floor)[:PAGE]
    is_stopped = floor is not None and len(items) < PAGE
    older = _older(items, cursor, floor if is_stopped else None) if len(found) > len(items) or is_stopped else ""
    return DeskPage(items, older, is_first=cursor is None, is_stopped=is_stopped)


def _older(items: tuple[DeskItem, ...], cursor: tuple[int, ...] | None, floor: int | None) -> str:
    """Where each kind goes on: at the position where the search stopped, after the last one shown, or where it stood."""
    last: Callable[[str, int], int] = lambda kind, stood: min(  # noqa: E731
        (item.position for item in items if item.kind == kind), default=stood
    )
    stood = cursor or (NEWEST, NEWEST)
    ends = (last("picture", stood[0]), last("comment", stood[1]))
    return make_cursor(LISTING, *(end if floor is None else min(end, floor) for end in ends))
