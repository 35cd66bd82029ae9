"""A copy of the store holds nobody's words in plain, and gives back only what nobody ended since (A4.1①, A4.2, I9)."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models, router

from imgnom.community.comments.public import Comment, write_comment
from imgnom.community.images.public import Image, remove_by_staff
from imgnom.community.members.public import member_by_id
from imgnom.custody.keys.public import SealBroken
from imgnom.custody.store_copies import CopyBroken, copy_name
from imgnom.custody.vault.public import fence_subject
from imgnom.policy.public import SYSTEM, Actor
from imgnom.procedures.retention.public import withdraw_member
from imgnom.site.backup.errors import RestoreRefused
from imgnom.site.backup.words import EMPTIED, FILE, STORE, WITHHELD, bring_words_back, copy_without_words
from tests.fault_lives import jpeg, somebody

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

# Personal columns of the store that a set holds as they are, each with the reason.
AS_THEY_ARE = {
    "members_member.state": "a word of the program", "members_pendingregistration.token": "a mailed code is worked out from it, with a key of the keyring",
    "members_coderequest.token": "as above", "members_knowndevice.digest": "made with a key of the keyring", "members_letter.template_id": "a word of the program",
    "members_letter.token": "as above", "members_letter.lane": "a keyed digest", "members_letter.source": "as above",
    "images_image.author_name": "chosen to stay by somebody who left", "comments_comment.author_name": "as above",
    "moderation_handlerrecord.account": "of the staff, in their records", "moderation_handlerrecord.place": "a path with a random name",
    "moderation_handlerrecord.act": "a word of the program", "moderation_handlerrecord.what": "a word of the program",
    "moderation_handlerrecord.whose": "random", "moderation_handlerrecord.reason": "of the staff, in their records",
    "moderation_rightgrant.account": "of the staff", "moderation_rightgrant.role": "a word of the program", "moderation_rightgrant.by": "of the staff",
}  # fmt: skip


def _copy(folder: Path, now: datetime) -> list[dict[str, Any]]:
    copy_without_words(folder, copy_name(STORE), now=now)
    return [json.loads(line) for line in (folder / FILE).read_text(encoding="ascii").splitlines()]


def _live(name: str, now: datetime) -> tuple[Any, Image, Comment]:
    from imgnom.community.images.public import upload_file

    card = somebody(now)
    picture = upload_file(
        content=jpeg(), title=f"{name} title", description=f"{name} description", alt=f"{name} alt", tags=f"{name}tag",
        visibility="public", by_member=card.id, subject=card.subject, now=now,
    )  # fmt: skip
    comment = write_comment(image_id=picture.public_id, body=f"{name} comment", by_member=card.id, now=now)
    return card, Image.objects.get(public_id=picture.public_id), comment


def _blank() -> None:
    """The store as a copy of it comes back."""
    for one in WITHHELD:
        with connections[STORE].cursor() as cursor:
            for column, blank in one.blanks.items():
                cursor.execute(f"UPDATE {one.table} SET {column} = {blank}")


@pytest.mark.clause("A4.1①", "I9")
def test_every_personal_word_of_the_store_is_withheld_or_there_is_a_reason() -> None:
    withheld = {f"{one.table}.{column}" for one in WITHHELD for column in one.blanks}
    columns = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        if router.db_for_write(model) == STORE and model._meta.db_table not in EMPTIED
        for field in map(model._meta.get_field, getattr(model, "personal", {}))
        if isinstance(field, models.CharField | models.TextField)
    }
    assert columns - withheld == set(AS_THEY_ARE)
    assert {f"{one.table}.{column}" for one in WITHHELD for column in one.columns} == withheld


@pytest.mark.clause("A1.1", "A4.1①", "I9")
def test_no_word_and_no_name_of_anybody_stands_in_a_copy(tmp_path: Path, now: datetime) -> None:
    card, picture, _ = _live("canary", now)
    removed = _live("gone", now)[1]
    remove_by_staff(removed.public_id, reason="canary reason", by=SYSTEM, now=now)
    assert len(_copy(tmp_path, now)) >= 8
    words = ["canary", "gone title", card.nickname, picture.placeholder]
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert [word for word in words if word.encode() in content] == [], file.name
        assert b"argon2" not in content
    assert set(Comment.objects.values_list("body", flat=True)) == {"canary comment", "gone comment"}, (
        "the store itself is as it was"
    )
    assert {file.name for file in tmp_path.iterdir()} == {copy_name(STORE), FILE}


@pytest.mark.clause("A4.2", "A3.2①", "I9")
def test_what_comes_back_is_what_nobody_ended_since(tmp_path: Path, now: datetime) -> None:
    lives = {choice: _live(choice, now) for choice in ("stay", "keep", "anonymise", "delete")}
    _copy(tmp_path, now)
    rows = {choice: (card.nickname, picture.pk, comment.pk) for choice, (card, picture, comment) in lives.items()}
    for choice in ("keep", "anonymise", "delete"):
        card = lives[choice][0]
        withdraw_member(card.id, choice=choice, by=Actor("member", card.subject), now=now)  # type: ignore[arg-type]
    _blank()
    held = bring_words_back(tmp_path / FILE)

    stays = lives["stay"]
    kept = member_by_id(stays[0].id)
    assert kept is not None
    assert kept.nickname == rows["stay"][0]
    titles = dict(Image.objects.values_list("pk", "title"))
    bodies = dict(Comment.objects.values_list("pk", "body"))
    for choice in ("stay", "keep", "anonymise"):
        assert titles[rows[choice][1]] == f"{choice} title"
        assert bodies[rows[choice][2]] == f"{choice} comment"
    assert rows["delete"][1] not in titles
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text(encoding="ascii").splitlines()]
    assert set(held) == {lives["anonymise"][0].id, lives["delete"][0].id}, "the name that stays with posts comes back"
    assert {line["table"] for line in lines} == {"members_member", "images_image", "images_tag", "comments_comment"}


@pytest.mark.clause("A4.2")
def test_a_copy_in_which_somebody_leaves_meanwhile_is_made_anew_and_says_so_when_it_cannot(
    tmp_path: Path, now: datetime
) -> None:
    card, _, _ = _live("leaver", now)
    fence_subject(card.subject, now=now)  # as if the store had been copied the moment before
    with pytest.raises(CopyBroken, match="left faster"):
        _copy(tmp_path, now)


@pytest.mark.clause("I9")
def test_a_line_that_was_changed_or_moved_is_refused(tmp_path: Path, now: datetime) -> None:
    _live("one", now)
    _live("two", now)
    lines = _copy(tmp_path, now)
    first, second = [line for line in lines if line["table"] == "comments_comment"]
    (tmp_path / FILE).write_text(json.dumps(first | {"row": second["row"]}) + "\n")
    with pytest.raises(RestoreRefused, match=SealBroken.__name__):
        bring_words_back(tmp_path / FILE)
