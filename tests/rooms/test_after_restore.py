"""A set whose stores were copied while somebody left: they are gone, and their receipt says so."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from imgnom.community.comments.models import Comment
from imgnom.community.images.models import Image, ImageTag, Tag
from imgnom.community.members.models import Letter, Member
from imgnom.custody.consent.models import Consent
from imgnom.custody.consent.public import record_consent
from imgnom.custody.keys.models import DataKey
from imgnom.custody.ledger.models import Certificate
from imgnom.custody.ledger.public import sequence, standing
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.vault.models import SealedValue
from imgnom.policy.public import Actor
from imgnom.procedures.retention import withdraw_member as steps
from imgnom.procedures.retention.models import Withdrawal
from imgnom.site.backup.manifest import Manifest
from imgnom.site.backup.replay import replay
from imgnom.site.backup.words import FILE
from imgnom.site.clock import set_clock
from imgnom.site.invariants import check_invariants
from tests.rooms.test_withdrawal import leave, post, somebody

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def _copy_of(now: datetime) -> Manifest:
    return Manifest("0" * 8, now, standing(), 0, 1, 1, "", {}, {}, {})


def _no_words(folder: Path) -> Path:
    """The words of a set in which nobody had written any."""
    file = folder / FILE
    file.touch()
    return file


@pytest.mark.clause("A4.2", "I6")
@pytest.mark.parametrize("act", ["the ledger has the act", "the act was lost"])
@pytest.mark.parametrize(
    "step", ["begin_destruction", "destroy_subject", "delete_images", "remove_member", "issue_certificate"]
)
def test_who_joined_after_one_store_was_copied_and_was_leaving_when_another_was_is_gone(
    now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str, act: str
) -> None:
    set_clock(now)
    real: Callable[..., Any] = getattr(steps, step)

    def broken(*arguments: Any, **more: Any) -> Any:
        real(*arguments, **more)
        raise RuntimeError("the copy was made here")

    member = somebody(now)
    post(member, now)
    if act == "the act was lost":
        sequence(now=now)
    with monkeypatch.context() as patch:
        patch.setattr(steps, step, broken)
        number = leave(member, now)
    assert Withdrawal.objects.get().state != "done"
    if act == "the ledger has the act":
        sequence(now=now)
    for one in (
        Comment,
        ImageTag,
        Tag,
        Image,
        Letter,
        Withdrawal,
        Member,
        Outbox,
    ):  # the copy of this store knows nothing of them
        one.objects.all().delete()

    replay(_copy_of(now), (), _no_words(tmp_path), now=now, tell=lambda _words: None)

    row = Withdrawal.objects.get()
    assert (row.number, row.state, row.subject, row.member_id) == (number, "done", None, None)
    assert {line["state"] for line in row.lines} <= {"destroyed", "held", "stays"}
    made = Certificate.objects.get(reference=f"withdrawal:{row.archive_ref}").number
    assert made in row.certificates
    assert not DataKey.objects.filter(klass__in=["subject", "file"]).exists()


@pytest.mark.clause("A4.2", "A4.0")
def test_of_who_joined_between_two_stores_nothing_is_held_that_nobody_could_end(now: datetime, tmp_path: Path) -> None:
    set_clock(now)
    stays, came = somebody(now), somebody(now, "came.later", "나중에")
    record_consent(came.subject, "marketing", given=True, way="settings", by=Actor("member", came.subject), now=now)
    assert check_invariants()["ok"]
    Member.objects.filter(pk=came.id).delete()
    found = {row["id"]: row for row in check_invariants()["invariants"]}
    assert found["I10"]["words"] == "values of 1 people or letters are held of whom nothing else is here"

    replay(_copy_of(now), (), _no_words(tmp_path), now=now, tell=lambda _words: None)

    assert set(SealedValue.objects.values_list("subject", flat=True)) == {stays.subject}
    assert set(DataKey.objects.filter(klass="subject").values_list("owner", flat=True)) == {stays.subject}
    assert not Consent.objects.filter(subject=came.subject).exists()
    assert check_invariants()["ok"]
