"""Comments of one picture as its page shows them: the newest fifty, oldest of them first, older ones by their cursor."""

from dataclasses import dataclass
from datetime import datetime

from imgnom.community.comments.models import Comment

PAGE = 50


@dataclass(frozen=True)
class Remark:
    number: int
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


def talk_under(image_id: int, *, before: str | None) -> Talk:
    """One query, whose cost does not grow with what was said before."""
    rows = Comment.objects.filter(image_id=image_id)
    is_newest = not (before and before.isascii() and before.isdigit() and len(before) < 19)
    if before and not is_newest:
        rows = rows.filter(pk__lt=int(before))
    fields = ("pk", "author_id", "author__nickname", "author_name", "body", "removed_reason", "created_at")
    found = [Remark(*row) for row in rows.order_by("-pk").values_list(*fields)[: PAGE + 1]]
    older = str(found[PAGE - 1].number) if len(found) > PAGE else ""
    return Talk(tuple(reversed(found[:PAGE])), older, is_newest=is_newest)
