"""`imgnom check`: each invariant is broken by itself, is named alone, and says what to do."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction

from imgnom.community.comments.models import Comment
from imgnom.community.images.models import Image, Tag
from imgnom.community.images.take_in import media_path
from imgnom.community.members.models import Letter, Member
from imgnom.community.members.public import MemberCard, deliver_mail
from imgnom.custody.keyring_file import render
from imgnom.custody.keys.epochs import wrap_for_row
from imgnom.custody.keys.keyring import path_of, read_key
from imgnom.custody.keys.models import DataKey, DestroyedKey, Epoch
from imgnom.custody.keys.public import turn_epoch
from imgnom.custody.ledger.models import Certificate, Leaf
from imgnom.custody.ledger.public import issue_certificate
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.vault.models import Fence, SealedValue
from imgnom.policy.public import SYSTEM
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.public import run_due
from imgnom.site.clock import set_clock
from imgnom.site.invariants import check_invariants, check_words
from tests.rooms.test_withdrawal import leave, post, somebody

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def site(now: datetime) -> MemberCard:
    """One who stays with a picture, one who left with a picture deleted; everything that waits is done."""
    set_clock(now)
    stays = somebody(now, "stayer", "강바람")
    post(stays, now)
    goes = somebody(now)
    post(goes, now)
    leave(goes, now)
    deliver_mail(now=now)
    assert run_due(now=now).errors == {}
    assert broken() == {}
    return stays


def broken(*, deep: bool = False) -> dict[str, str]:
    """Invariant → what is said, of those that do not hold. What is to be done about it stands beside each."""
    report = check_invariants(deep=deep)
    assert [row["id"] for row in report["invariants"]] == [f"I{number}" for number in range(1, 12)]
    for row in report["invariants"]:
        assert bool(row["do"]) == (not row["ok"])
        assert not row["do"] or row["do"] in check_words(report)
    assert report["ok"] == all(row["ok"] for row in report["invariants"])
    return {row["id"]: row["words"] for row in report["invariants"] if not row["ok"]}


def old(path: Path, content: bytes = b"x", hours: float = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - hours * 3600,) * 2)


def original() -> Path:
    return media_path("originals", Image.objects.get().media_token)


def a_key(key_id: str, now: datetime) -> None:
    epoch = Epoch.objects.get(state="current").number
    wrapped = wrap_for_row(bytes(32), key_id=key_id, owner="nobody", klass="other", epoch=epoch)
    DataKey.objects.create(key_id=key_id, owner="nobody", klass="other", wrapped=wrapped, epoch=epoch, made_at=now)


def nowhere(now: datetime) -> None:
    Comment.objects.create(image_id=424_242, author_id=Member.objects.get().pk, body="", created_at=now, position=1)


def lost(_now: datetime) -> None:
    original().unlink()


def cut(_now: datetime) -> None:
    original().write_bytes(original().read_bytes()[:-1])


def keyless_picture(_now: datetime) -> None:
    DataKey.objects.filter(owner=Image.objects.get().media_token).delete()


def stranger(_now: datetime) -> None:
    old(media_path("originals", "f" * 32))


def certified_but_alive(now: datetime) -> None:
    key_id = json.loads(Certificate.objects.get().key_ids)[0]
    DestroyedKey.objects.filter(key_id=key_id).delete()
    a_key(key_id, now)


def receipt_lies(_now: datetime) -> None:
    Withdrawal.objects.update(certificates=[])


def value_without_key(now: datetime) -> None:
    subject = Member.objects.get().subject
    SealedValue.objects.create(subject=subject, item="phone", sealed=b"x", key_id="gone", sealed_at=now)


def value_of_nobody(now: datetime) -> None:
    key_id = DataKey.objects.filter(klass="subject").values_list("key_id", flat=True)[0]
    SealedValue.objects.create(subject="s", item="email", sealed=b"x", key_id=key_id, sealed_at=now)


def withdrawn_with_key(now: datetime) -> None:
    subject = Member.objects.get().subject
    row = Withdrawal.objects.get()
    row.pk, row.number, row.archive_ref, row.press = None, "R-2", "other", None
    row.state, row.subject, row.starts_at = "keyless", subject, now
    row.save()


def withdrawn_and_forgotten(_now: datetime) -> None:
    Member.objects.update(state="withdrawn")


def takes_too_long(now: datetime) -> None:
    Withdrawal.objects.update(state="emptied", starts_at=now - timedelta(hours=2))


def key_back(now: datetime) -> None:
    DestroyedKey.objects.create(key_id="back", destroyed_at=now)
    a_key("back", now)


def keyring_cut(_now: datetime) -> None:
    from imgnom.custody.keys.keyring import path_of

    path_of("pepper-1").write_text("00")


def kek_back(now: datetime) -> None:
    from imgnom.custody.keys.keyring import path_of

    kept = path_of(f"kek-{Epoch.objects.get().number}")
    text = kept.read_text()
    turn_epoch(now=now)
    assert not kept.exists()
    kept.write_text(text)
    kept.chmod(0o600)


def entry_changed(_now: datetime) -> None:
    leaf = Leaf.objects.order_by("index").first()
    assert leaf is not None
    Leaf.objects.filter(pk=leaf.pk).update(
        payload=leaf.payload.replace('"done"', '"lost"', 1).replace("adopt", "adept")
    )


def act_never_entered(now: datetime) -> None:
    Certificate.objects.update(leaf_id="0" * 32)


def act_waits(now: datetime) -> None:
    Outbox.objects.using("logs").create(leaf_id="w", payload="{}", created_at=now - timedelta(days=2))


def empty_tag(_now: datetime) -> None:
    Tag.objects.create(name="nobody")


def two_epochs(now: datetime) -> None:
    """The keyring holds the very same key for both, so that nothing but the number of them is wrong."""
    one = Epoch.objects.get()
    other = path_of(f"kek-{one.number + 1}")
    other.write_text(render(other.stem, read_key(f"kek-{one.number}")), encoding="ascii")
    other.chmod(0o600)
    Epoch.objects.create(number=one.number + 1, fingerprint=one.fingerprint, state="current", begun_at=now)


def left_in_tmp(_now: datetime) -> None:
    old(Path(settings.IMGNOM.home) / "tmp" / "left")


def half_letter(_now: datetime) -> None:
    old(Path(settings.IMGNOM.home) / "outbox" / "1.part")


def certified_twice(now: datetime) -> None:
    issue_certificate(
        items=["email"], what="account", method="m", key_ids=json.loads(Certificate.objects.get().key_ids), clause="A4.2", policy_digest="d", by=SYSTEM,
        now=now,
    )  # fmt: skip


def letter_twice(now: datetime) -> None:
    for _ in range(2):
        Letter.objects.create(
            subject="l", template_id="receipt", own=True, starts_at=now, ends_at=now + timedelta(days=2)
        )


def erased_value(now: datetime) -> None:
    gone = Fence.objects.first()
    assert gone is not None
    SealedValue.objects.create(subject=gone.subject, item="email", sealed=b"x", key_id="gone", sealed_at=now)


def overdue(now: datetime) -> None:
    Letter.objects.create(subject="l", template_id="x", starts_at=now, ends_at=now - timedelta(days=2))


def read_by_all(_now: datetime) -> None:
    original().chmod(0o644)


def folder_of_group(_now: datetime) -> None:
    original().parent.chmod(0o750)


FAULTS: list[tuple[str, Callable[[datetime], Any], str]] = [
    ("I1", nowhere, "default: a reference of comments_comment leads nowhere"),
    ("I2", lost, "lacks its file"),
    ("I2", cut, "was cut or changed"),
    ("I2", keyless_picture, "has no key"),
    ("I2", stranger, "belong to no picture"),
    ("I3", certified_but_alive, "names a key that is still there"),
    ("I3", receipt_lies, "says done"),
    ("I3", value_without_key, "can never be read"),
    ("I4", withdrawn_with_key, "is past its key"),
    ("I4", withdrawn_and_forgotten, "no withdrawal carries it out"),
    ("I4", takes_too_long, "for more than an hour"),
    ("I5", key_back, "destroyed keys are back"),
    ("I5", keyring_cut, "pepper-1.key of the keyring was cut"),
    ("I5", kek_back, "was destroyed and is back"),
    ("I6", entry_changed, "entry 0 was changed"),
    ("I6", act_never_entered, "ledger_certificate: the row of entry"),
    ("I6", act_waits, "logs: 1 acts wait for the ledger"),
    ("I7", empty_tag, "no picture carries them"),
    ("I7", two_epochs, "2 epochs of the keys are current"),
    ("I8", left_in_tmp, "older than an hour"),
    ("I8", half_letter, "older than an hour"),
    ("I9", certified_twice, "of the same key"),
    ("I9", letter_twice, "the same letter waits twice"),
    ("I10", value_of_nobody, "of whom nothing else is here"),
    ("I10", erased_value, "are of people who were erased"),
    ("I10", overdue, "mail_queue 1"),
    ("I11", read_by_all, "is open to others"),
    ("I11", folder_of_group, "is open to others"),
]


@contextmanager
def undone(home: Path, aside: Path) -> Iterator[None]:
    """Whatever the block does to stores, pictures and keyring did not happen."""
    for name in ("media", "keyring"):
        shutil.copytree(home / name, aside / name, dirs_exist_ok=True)
    with ExitStack() as stack:
        for alias in connections:
            block = transaction.atomic(using=alias)
            block._from_testcase = True  # type: ignore[attr-defined]  # a turn of the epoch may stand in it
            stack.enter_context(block)
        yield
        for alias in connections:
            transaction.set_rollback(True, using=alias)
    for name in ("tmp", "outbox"):
        shutil.rmtree(home / name, ignore_errors=True)
    for name in ("media", "keyring"):
        shutil.rmtree(home / name)
        shutil.move(aside / name, home / name)


@pytest.mark.clause("I2", "A4.2", "I9")
def test_each_broken_invariant_is_named_and_alone(now: datetime, home: Path, tmp_path: Path) -> None:
    for invariant, fault, said in FAULTS:
        with undone(home, tmp_path):
            fault(now)
            found = broken()
        assert list(found) == [invariant], fault
        assert said in found[invariant], fault
    assert broken() == {}
    assert {invariant for invariant, *_ in FAULTS} == {f"I{n}" for n in range(1, 12)}


@pytest.mark.clause("I2")
def test_bits_that_turned_over_are_found_by_the_deep_look() -> None:
    content = bytearray(original().read_bytes())
    content[len(content) // 2] ^= 1
    original().write_bytes(content)
    assert broken() == {}
    assert "its bytes were changed" in broken(deep=True)["I2"]


@pytest.mark.clause("I9")
def test_without_a_keyring_the_check_still_answers(home: Path) -> None:
    shutil.move(home / "keyring", home / "elsewhere")
    try:
        found = broken()
    finally:
        shutil.move(home / "elsewhere", home / "keyring")
    assert "is missing from the keyring" in found["I5"]
    assert set(found) <= {"I5", "I6"}, "the ledger's name is signed, and the key is away"


@pytest.mark.clause("I2")
def test_what_is_under_way_is_told_and_is_no_fault(
    site: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgnom.procedures.retention import withdraw_member as steps

    with monkeypatch.context() as patch:
        patch.setattr(steps, "resume_withdrawal", lambda *_a, **_m: True)
        leave(site, now)
    assert broken() == {}
    assert "1 withdrawals are under way" in check_words(check_invariants())
