"""Removing a picture or comment: recorded first, then gone at once and for good; its owner is told why (A2.1, C3)."""

from datetime import datetime

from imgnom.community.comments.public import delete_picture, discard_comment, remove_comment_by_staff
from imgnom.community.images.public import find_image, remove_by_staff
from imgnom.community.members.public import queue_letter
from imgnom.policy.public import Actor
from imgnom.procedures.moderation.errors import AlreadyRemoved, NothingThere
from imgnom.procedures.moderation.handling import close_handling, record_handling, was_done
from imgnom.procedures.moderation.queries import DeskItem, find_item


def _destroy(item: DeskItem, *, reason: str, by: Actor, now: datetime) -> bool:
    """What nobody owns any more goes as a whole: nobody is left to read a reason or to delete the rest."""
    if item.kind == "comment":
        if item.author_id is None:
            return discard_comment(item.number, by=by, now=now)
        return remove_comment_by_staff(item.number, reason=reason, by=by, now=now)
    if item.author_id is not None:
        return remove_by_staff(item.key, reason=reason, by=by, now=now)
    image = find_image(item.key)
    if image is None:
        return False
    delete_picture(image, now=now, by=by)
    return True


def remove_content(*, kind: str, key: str, reason: str, by: Actor, place: str, now: datetime) -> DeskItem:
    """Returns what it was. Raises NothingThere, AlreadyRemoved; both are recorded, and neither does anything."""
    what = f"{kind} {key}"
    item = find_item(kind, key)
    if item is None or item.removed_reason:
        twice = item is not None or was_done(act="remove", what=what, now=now)
        result = "twice" if twice else "missing"
        record_handling(
            by=by, place=place, act="remove", what=what, whose=item.whose if item else "", result=result, now=now
        )
        raise AlreadyRemoved if twice else NothingThere
    number = record_handling(
        by=by, place=place, act="remove", what=what, whose=item.whose, reason=reason, result="begun", now=now
    )
    if not _destroy(item, reason=reason, by=by, now=now):
        close_handling(number, result="twice")
        raise AlreadyRemoved
    close_handling(number, result="done")
    if item.whose:
        queue_letter(item.whose, f"removed_{kind}", facts={"path": item.page}, now=now)
    return item
