"""The door of the comments."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, Q

from imgnom.community.comments.models import Comment
from imgnom.community.images.public import Image, delete_one, find_image, several_lines
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import record_act
from imgnom.custody.store_copies import Withheld
from imgnom.custody.vault.public import WORDS, ledger_name
from imgnom.policy.public import Actor
from imgnom.web.row_order import coarsen_posts, left_posts, next_position

# The words of a member's comments; a comment that nobody has any more is the site's, and stays as it is.
WITHHELD = (
    Withheld(
        "comments_comment", WORDS, ("body", "removed_reason"),
        "SELECT m.subject, c.id, c.body, c.removed_reason FROM comments_comment c JOIN members_member m ON m.id = c.author_id ORDER BY m.subject",
        {name: f"CASE WHEN author_id IS NULL THEN {name} ELSE '' END" for name in ("body", "removed_reason")},
    ),
)  # fmt: skip

__all__ = [
    "WITHHELD", "Comment", "anonymise_comments", "change_comment", "coarsen_comments", "comment_numbers", "count_comments", "count_settling_comments", "delete_comment", "delete_comments", "delete_comments_on", "delete_picture",
    "discard_comment", "has_just_said", "keep_comments", "own_comments", "remove_comment_by_staff", "write_comment",
]  # fmt: skip
MAX_BODY = 2000
SAME_PRESS = timedelta(seconds=30)


def write_comment(*, image_id: str, body: str, by_member: int, now: datetime) -> Comment:
    """A comment stands under a picture. Raises LookupError when the picture is gone, also in the same moment."""
    image = find_image(image_id)
    if image is None:
        raise LookupError(image_id)
    try:
        with transaction.atomic():
            return Comment.objects.create(
                image=image, author_id=by_member, body=several_lines(body)[:MAX_BODY], created_at=now.replace(microsecond=0),
                position=next_position(Comment, now),
            )  # fmt: skip
    except IntegrityError:
        raise LookupError(image_id) from None


def has_just_said(*, image_id: int, body: str, by_member: int, now: datetime) -> bool:
    """Whether the member's last comment there is the same and hardly older than a press of a button."""
    last = Comment.objects.filter(image_id=image_id, author_id=by_member).order_by("-position").first()
    return last is not None and last.body == body and now - last.created_at <= SAME_PRESS


def change_comment(comment: Comment, *, body: str) -> bool:
    """False when the comment is gone or was removed by staff in the meantime."""
    changed = Comment.objects.filter(pk=comment.pk, removed_reason="").update(body=body)
    compact("default")  # the words before are gone from the store's log too
    return bool(changed)


def delete_comment(comment: Comment, *, now: datetime, by: Actor) -> bool:
    """One's own comment is gone for good; False when it was gone already."""
    number = comment.pk
    with transaction.atomic():
        gone = bool(Comment.objects.filter(pk=number).delete()[0])
        if gone:
            record_act(
                store="default", act="destroy_comments", clause="A2.1", by=by, now=now, items=["comment_text"], detail={"comment": ledger_name("comment", number)},
                day_in=policy_in_force().zone,
            )  # fmt: skip
    compact("default")
    return gone


def comment_numbers() -> list[int]:
    return list(Comment.objects.values_list("pk", flat=True))


def discard_comment(comment_id: int, *, now: datetime, by: Actor) -> bool:
    """A comment whose author is gone is destroyed whole; False when it was gone already."""
    comment = Comment.objects.filter(pk=comment_id).first()
    return comment is not None and delete_comment(comment, now=now, by=by)


def delete_picture(image: Image, *, now: datetime, by: Actor) -> None:
    """A picture with all that was said under it: comments first, then key, files and row.

    A comment that comes between the two keeps the row alive; then both are done once more.
    """
    for attempt in range(3):
        with transaction.atomic():
            count = Comment.objects.filter(image_id=image.pk).delete()[0]
            if count:
                record_act(
                    store="default",
                    act="destroy_comments",
                    clause="A2.1",
                    by=by,
                    now=now,
                    items=["comment_text"],
                    detail={"count": count},
                    day_in=policy_in_force().zone,
                )
        try:
            delete_one(image, now=now, by=by)
        except (ProtectedError, IntegrityError):
            if attempt == 2:
                raise
        else:
            return


def own_comments(member_id: int) -> Iterator[dict[str, str]]:
    """What a member said, where and when: their own words and the address of the picture, nothing of anybody else."""
    rows = Comment.objects.filter(author_id=member_id).order_by("position")
    for body, at, picture, reason in rows.values_list(
        "body", "created_at", "image__public_id", "removed_reason"
    ).iterator():
        yield {
            "picture": picture,
            "body": body,
            "said_at": at.isoformat(timespec="seconds"),
            "removed_by_staff": reason,
        }


def count_comments(member_id: int) -> int:
    return Comment.objects.filter(author_id=member_id).count()


def _forget_removed(member_id: int) -> None:
    """What staff removed says something to its author alone, and the author is leaving."""
    Comment.objects.filter(author_id=member_id).exclude(removed_reason="").delete()


def keep_comments(member_id: int, name: str) -> int:
    _forget_removed(member_id)
    return Comment.objects.filter(author_id=member_id).update(author=None, author_name=name, settling=member_id)


def anonymise_comments(member_id: int) -> int:
    return keep_comments(member_id, "")


def count_settling_comments(member_id: int) -> int:
    return Comment.objects.filter(settling=member_id).count()


def coarsen_comments(member_id: int, *, in_order: bool) -> int:
    """Some comments of who left show their day and no more; how many."""
    posts = left_posts(Comment, member_id, zone=policy_in_force().zone)
    coarsen_posts(Comment, posts, in_order=in_order)
    return len(posts)


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
            day_in=policy_in_force().zone,
        )
    compact("default")
    return count


def delete_comments_on(member_id: int, *, only_private: bool) -> int:
    """Comments of anybody on pictures of this member that are about to be destroyed."""
    rows = Comment.objects.filter(image__author_id=member_id)
    if only_private:
        rows = rows.filter(Q(image__visibility="private") | ~Q(image__removed_reason=""))
    return rows.delete()[0]


def remove_comment_by_staff(comment_id: int, *, reason: str, by: Actor, now: datetime) -> bool:
    """Its words are gone for good; the author keeps the place and the reason. False when it was gone already."""
    with transaction.atomic():
        changed = Comment.objects.filter(pk=comment_id, removed_reason="").update(
            removed_reason=reason[:500], body="", author_name=""
        )
        if changed:
            record_act(
                store="default", act="remove_comment", clause="A2.1", by=by, now=now, items=["comment_text"], detail={"comment": ledger_name("comment", comment_id)}
            )  # fmt: skip
    if changed:
        compact("default")
    return bool(changed)
