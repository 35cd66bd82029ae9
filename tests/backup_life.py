"""People and pictures for the tests of backup and restore, made by the site's own use cases in a process of its own.

`python -m tests.backup_life PART` works on the stores that the environment names and prints facts as JSON.
"""

import json
import os
import sys
from contextlib import suppress
from typing import Any

PASSWORD = "a boat of seven planks"
CHOICES = {"anja": "keep", "bora": "anonymise", "chan": "delete"}
STAYS, LEFT_BEFORE, JOINS_AFTER = "duri", "emil", "fania"


def _member(name: str) -> Any:
    from imgnom.community.members.public import create_confirmed_member
    from imgnom.site.clock import now

    return create_confirmed_member(
        username=f"{name}.login", password=PASSWORD, nickname=f"{name}닉네임", email=f"{name}@canary.example", now=now()
    )


def _picture(member: Any, title: str, *, visibility: str = "public", colour: int = 90) -> str:
    from imgnom.community.images.public import upload_file
    from imgnom.site.clock import now
    from tests.site.test_contract import jpeg

    return upload_file(
        content=jpeg(colour), title=title, description="", alt="", tags="", visibility=visibility, by_member=member.id,
        subject=member.subject, now=now(),
    ).public_id  # fmt: skip


def _by_login(name: str) -> Any:
    from imgnom.community.members.public import canonical_username, member_by_subject
    from imgnom.custody.vault.public import find_subject

    subject = find_subject("username", canonical_username(f"{name}.login"))
    return member_by_subject(subject) if subject else None


def _leave(member: Any, choice: Any) -> str:
    from imgnom.policy.public import Actor
    from imgnom.procedures.retention.public import withdraw_member
    from imgnom.site.clock import now

    return withdraw_member(member.id, choice=choice, by=Actor("member", member.subject), now=now())


def begin() -> dict[str, Any]:
    """Before the backup: everybody but one is there, with pictures, words and a consent; one has left already."""
    from imgnom.community.comments.public import write_comment
    from imgnom.custody.consent.public import record_consent
    from imgnom.policy.public import Actor
    from imgnom.site.clock import now

    facts: dict[str, Any] = {"pictures": {}, "comments": {}, "subjects": {}}
    stays = _member(STAYS)
    wall = _picture(stays, "벽돌담")
    facts["pictures"] |= {
        "wall": wall,
        "later deleted": _picture(stays, "지울사진"),
        "later removed": _picture(stays, "내릴사진"),
        "later hidden": _picture(stays, "숨길사진"),
    }
    for name in CHOICES:
        member = _member(name)
        facts["subjects"][name] = member.subject
        facts["pictures"][name] = _picture(member, f"{name}제목")
        facts["pictures"][f"{name} private"] = _picture(member, f"{name}비공개", visibility="private")
        facts["comments"][name] = write_comment(image_id=wall, body=f"{name}댓글", by_member=member.id, now=now()).pk
    for body in ("지울댓글", "내릴댓글", "남을댓글"):
        facts["comments"][body] = write_comment(image_id=wall, body=body, by_member=stays.id, now=now()).pk
    record_consent(stays.subject, "advertising", given=True, way="page", by=Actor("member", stays.subject), now=now())
    facts["left before"] = _leave(_member(LEFT_BEFORE), "keep")
    return facts


def go_on() -> dict[str, Any]:
    """After the backup: three leave, one joins, things are deleted and removed, a consent is taken back."""
    from imgnom.community.comments.models import Comment
    from imgnom.community.comments.public import delete_comment, delete_picture, remove_comment_by_staff
    from imgnom.community.images.models import Image
    from imgnom.community.images.public import change_words, remove_by_staff
    from imgnom.custody.consent.public import record_consent
    from imgnom.policy.public import SYSTEM, Actor
    from imgnom.site.clock import now

    stays = _by_login(STAYS)
    by = Actor("member", stays.subject)
    delete_comment(Comment.objects.get(body="지울댓글"), now=now(), by=by)
    remove_comment_by_staff(Comment.objects.get(body="내릴댓글").pk, reason="규칙", by=SYSTEM, now=now())
    delete_picture(Image.objects.get(title="지울사진"), now=now(), by=by)
    remove_by_staff(Image.objects.get(title="내릴사진").public_id, reason="규칙", by=SYSTEM, now=now())
    change_words(
        Image.objects.get(title="숨길사진"), title="숨길사진", description="", alt="", tags="", visibility="private", by=by, now=now()
    )  # fmt: skip
    record_consent(stays.subject, "advertising", given=False, way="page", by=by, now=now())
    receipts = {name: _leave(_by_login(name), choice) for name, choice in CHOICES.items()}
    joined = _member(JOINS_AFTER)
    return {"receipts": receipts, "joined": joined.subject, "joined picture": _picture(joined, f"{JOINS_AFTER}제목")}


def say_more() -> dict[str, Any]:
    """A new row beside those that came back."""
    from imgnom.community.comments.public import write_comment
    from imgnom.community.images.models import Image
    from imgnom.site.clock import now

    image = Image.objects.get(title="벽돌담")
    return {
        "number": write_comment(image_id=image.public_id, body="새댓글", by_member=_by_login(STAYS).id, now=now()).pk
    }


def look() -> dict[str, Any]:
    """What the stores hold now."""
    from imgnom.community.comments.models import Comment
    from imgnom.community.images.models import Image
    from imgnom.community.members.models import Member, MemberSession
    from imgnom.custody.archive.models import ArchivedValue
    from imgnom.custody.consent.public import consents_of
    from imgnom.custody.keys.models import DataKey, DestroyedKey, Epoch
    from imgnom.custody.ledger.models import Certificate, Leaf
    from imgnom.custody.vault.models import BlindIndex, HeldName, SealedValue
    from imgnom.procedures.retention.models import Withdrawal

    stays = _by_login(STAYS)
    return {
        "members": sorted(Member.objects.values_list("nickname", flat=True)),
        "subjects": sorted(Member.objects.values_list("subject", flat=True)),
        "pictures": {
            row.title: {
                "author": row.shown_name,
                "owned": row.author_id is not None,
                "removed": row.removed_reason,
                "seen by": row.visibility,
            }
            for row in Image.objects.all()
        },
        "comments": {row.pk: [row.body, row.author_name, bool(row.removed_reason)] for row in Comment.objects.all()},
        "vault subjects": sorted(set(SealedValue.objects.values_list("subject", flat=True))),
        "indexed": sorted(set(BlindIndex.objects.values_list("subject", flat=True))),
        "held names": HeldName.objects.count(),
        "archived": ArchivedValue.objects.count(),
        "key owners": sorted(DataKey.objects.values_list("owner", flat=True)),
        "destroyed keys": DestroyedKey.objects.count(),
        "epoch": Epoch.objects.get(state="current").number,
        "sessions": MemberSession.objects.count(),
        "consents": sorted(consents_of(stays.subject)) if stays else [],
        "receipts": {row.number: row.state for row in Withdrawal.objects.all()},
        "grades": sorted(Certificate.objects.values_list("grade", flat=True)),
        "acts": sorted({json.loads(text)["act"] for text in Leaf.objects.values_list("payload", flat=True)}),
        "entries": Leaf.objects.count(),
    }


def bustle() -> dict[str, Any]:
    """Sign-ups, uploads, comments and leaving in four threads for as many seconds as asked, while somebody copies."""
    import secrets
    import threading
    import time

    from django.db import connections

    from imgnom.community.images.errors import Busy

    until, left, joined, faults = time.monotonic() + float(sys.argv[2]), [], [], []

    def live() -> None:
        try:
            while time.monotonic() < until:
                name = f"x{secrets.token_hex(5)}"
                member = _member(name)
                joined.append(name)
                with suppress(Busy):  # as many are being opened as may be: theirs is a life without a picture
                    _picture(member, f"{name}제목", colour=secrets.randbelow(200))
                if secrets.randbelow(2):
                    _leave(member, secrets.choice(["keep", "anonymise", "delete"]))
                    left.append(name)
        except Exception as error:  # noqa: BLE001 - told to the test
            faults.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=live) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"left": left, "joined": joined, "faults": faults}


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "imgnom.site.settings"
    import django

    django.setup()
    part = {"begin": begin, "go-on": go_on, "look": look, "go-on-new": say_more, "bustle": bustle}[sys.argv[1]]
    print(json.dumps(part(), ensure_ascii=False))


if __name__ == "__main__":
    main()
