"""The door of the comments."""

from datetime import datetime

from django.db import transaction

from imgnom.community.comments.models import Comment
from imgnom.community.images.public import find_image
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import Actor

__all__ = [
    "Comment", "anonymise_comments", "count_comments", "delete_comments", "delete_comments_on", "keep_comments", "remove_comment_by_staff",
    "write_comment",
]  # fmt: skip


def write_comment(*, image_id: str, body: str, by_member: int, now: datetime) -> Comment:
    image = find_image(image_id)
    if image is None:
        raise LookupError(image_id)
    return Comment.objects.create(image=image, author_id=by_member, body=body.strip()[:2000], created_at=now)


def count_comments(member_id: int) -> int:
    return Comment.objects.filter(author_id=member_id).count()


def keep_comments(member_id: int, name: str) -> int:
    return Comment.objects.filter(author_id=member_id).update(author=None, author_name=name)


def anonymise_comments(member_id: int) -> int:
    return Comment.objects.filter(author_id=member_id).update(author=None, author_name="")


def delete_comments(member_id: int, *, now: datetime, by: Actor) -> int:
    with transaction.atomic():
        count = Comment.objects.filter(author_id=member_id).delete()[0]
        record_act(
            store="default",
            act="destroy_comments",
            clause="A4.2",
            by=by,
            now=now,
            items=["comment_text"],
            detail={"count": count},
        )
    compact("default")
    return count


def delete_comments_on(member_id: int, *, only_private: bool) -> int:
    """Comments of anybody on pictures of this member that are about to be destroyed."""
    rows = Comment.objects.filter(image__author_id=member_id)
    if only_private:
        from django.db.models import Q

        rows = rows.filter(Q(image__visibility="private") | ~Q(image__removed_reason=""))
    return rows.delete()[0]


def remove_comment_by_staff(comment_id: int, *, reason: str, by: Actor, now: datetime) -> bool:
    with transaction.atomic():
        changed = Comment.objects.filter(pk=comment_id, removed_reason="").update(removed_reason=reason[:500])
        if changed:
            record_act(store="default", act="remove_comment", clause="A2.1", by=by, now=now, items=["comment_text"])
    return bool(changed)
