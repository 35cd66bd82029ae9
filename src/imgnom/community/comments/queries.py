"""Comments of one picture as its page shows them: the newest fifty, oldest of them first, older ones by their cursor."""

from dataclasses import dataclass
from datetime import datetime

from imgnom.community.comments.models import Comment
from imgnom.custody.prepared import Prepared
from imgnom.web.paging import make_cursor, read_cursor

PAGE = 50


@dataclass(frozen=True)
class Remark:
    number: int
    position: int
    author_id: int | None
    nickname: str | None
    author_name: str
    body: str
    removed_reason: str
    created_at: datetime


@dataclass(frozen=True)
class Talk:
    """`older` is the cursor of what was said before; `count` is known when all of it stands on this page."""

    remarks: tuple[Remark, ...]
    older: str
    is_newest: bool

    @property
    def count(self) -> int | None:
        return len(self.remarks) if self.is_newest and not self.older else None


_FIELDS = ("pk", "position", "author_id", "author__nickname", "author_name", "body", "removed_reason", "created_at")
_NEWEST = Prepared(
    lambda image: Comment.objects.filter(image_id=image).order_by("-position").values_list(*_FIELDS)[: PAGE + 1], int
)
_OLDER = Prepared(
    lambda image, before: Comment.objects.filter(image_id=image, position__lt=before)
    .order_by("-position").values_list(*_FIELDS)[: PAGE + 1],
    int, int,
)  # fmt: skip


def talk_under(image_id: int, *, before: str | None) -> Talk:
    """One query, whose cost does not grow with what was said before."""
    listing = f"comments {image_id}"
    cursor = read_cursor(listing, before)
    found = [Remark(*row) for row in (_NEWEST(image_id) if cursor is None else _OLDER(image_id, cursor))]
    older = make_cursor(listing, found[PAGE - 1].position) if len(found) > PAGE else ""
    return Talk(tuple(reversed(found[:PAGE])), older, is_newest=cursor is None)
