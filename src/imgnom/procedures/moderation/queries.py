"""What lies on the desk: pictures and comments that others than their owner can open, newest first.

Private pictures and what is said under them are nobody's business here. A page costs the same wherever it stands: each
kind has its own cursor, and the two are merged by time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from imgnom.community.comments.public import Comment
from imgnom.community.images.public import Image
from imgnom.web.paging import make_cursor, read_cursors

PAGE = 40
KINDS = ("picture", "comment")
MAX_WORDS = 6
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


def _words(text: str, fields: tuple[str, ...]) -> Q:
    found = Q()
    for word in text.split()[:MAX_WORDS]:
        one = Q()
        for field in fields:
            one |= Q(**{f"{field}__icontains": word})
        found &= one
    return found


def desk_page_of(*, show: str, words: str, after: str | None) -> DeskPage:
    """`show` is `all`, `pictures`, `comments` or `removed`; `words` narrows to what holds every one of them."""
    cursor = read_cursors(LISTING, after, count=2)
    pictures, comments = _pictures(), _comments()
    if show == "removed":
        pictures, comments = pictures.exclude(removed_reason=""), comments.exclude(removed_reason="")
    else:
        pictures, comments = pictures.filter(removed_reason=""), comments.filter(removed_reason="")
    if words:
        pictures = pictures.filter(_words(words, ("title", "description", "author__nickname", "author_name")))
        comments = comments.filter(_words(words, ("body", "author__nickname", "author_name")))
    if cursor is not None:
        pictures, comments = pictures.filter(position__lt=cursor[0]), comments.filter(position__lt=cursor[1])
    found: list[DeskItem] = []
    if show != "comments":
        found += [_of_picture(row) for row in pictures.order_by("-position")[: PAGE + 1]]
    if show != "pictures":
        found += [_of_comment(row) for row in comments.order_by("-position")[: PAGE + 1]]
    found.sort(key=lambda item: (item.position, item.kind), reverse=True)
    items = tuple(found[:PAGE])
    older = _older(items, cursor) if len(found) > PAGE else ""
    return DeskPage(items, older, is_first=cursor is None)


def _older(items: tuple[DeskItem, ...], cursor: tuple[int, ...] | None) -> str:
    """Where each kind goes on: after the last one shown, or where it stood."""
    last: Callable[[str, int], int] = lambda kind, stood: min(  # noqa: E731
        (item.position for item in items if item.kind == kind), default=stood
    )
    stood = cursor or (NEWEST, NEWEST)
    return make_cursor(LISTING, last("picture", stood[0]), last("comment", stood[1]))
