"""Keys and vault: what must fail fails, and a destroyed key is never mistaken for an unknown one."""

import copy
import json
import logging
import pickle
import traceback
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.template import Context, Template

from imgnom.custody.keys import epochs, keyring
from imgnom.custody.keys.models import DataKey
from imgnom.custody.keys.public import (
    KeyDestroyed,
    KeyringMissing,
    KeyringWrong,
    KeyUnknown,
    SealBroken,
    check_keyring,
    destroy_keys,
    keys_of,
    open_key,
    turn_epoch,
)
from imgnom.custody.ledger.models import Leaf
from imgnom.custody.ledger.public import make_checkpoint, sequence, verify_ledger
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.vault.models import SealedValue
from imgnom.custody.vault.public import (
    SubjectFenced,
    ValueTaken,
    decoy_subject,
    destroy_subject,
    find_subject,
    index_value,
    new_subject,
    seal_value,
)
from imgnom.custody.vault.reveal import RevealRefused, reveal
from imgnom.policy.public import SYSTEM, Actor

pytestmark = pytest.mark.django_db(databases="__all__")
VALUE = "canary-7f3a@mail.example"


@pytest.fixture
def subject(now: datetime) -> str:
    made = new_subject(now=now)
    seal_value(made, "email", VALUE, now=now)
    return made


def _read(subject: str, now: datetime, item: str = "email") -> str:
    return reveal(subject, item, purpose="notices", by=SYSTEM, now=now).open()


@pytest.mark.clause("A2.0")
def test_a_declared_reading_gives_the_value_and_leaves_a_leaf(subject: str, now: datetime) -> None:
    before = Outbox.objects.using("vault").count()
    assert _read(subject, now) == VALUE
    assert Outbox.objects.using("vault").count() == before + 1


@pytest.mark.clause("A2.0")
def test_an_undeclared_reading_is_refused_and_leaves_a_leaf(subject: str, now: datetime) -> None:
    before = Outbox.objects.using("vault").count()
    with pytest.raises(RevealRefused):
        reveal(subject, "email", purpose="statistics", by=Actor("moderator", "x"), now=now)
    assert Outbox.objects.using("vault").count() == before + 1


def test_ones_own_page_leaves_no_leaf(subject: str, now: datetime) -> None:
    before = Outbox.objects.using("vault").count()
    reveal(subject, "email", purpose="rights", by=Actor("member", subject), now=now)
    assert Outbox.objects.using("vault").count() == before


@pytest.mark.parametrize("field", ["subject", "item", "row"])
def test_a_ciphertext_moved_elsewhere_does_not_open(subject: str, now: datetime, field: str) -> None:
    other = new_subject(now=now)
    change = {"subject": other, "item": "nickname", "row": "new-1"}[field]
    SealedValue.objects.filter(subject=subject).update(**{field: change})
    with pytest.raises(SealBroken):
        reveal(
            other if field == "subject" else subject, "nickname" if field == "item" else "email", purpose="registration", by=SYSTEM, now=now,
            row="new-1" if field == "row" else "",
        )  # fmt: skip


def test_every_flipped_byte_fails(subject: str, now: datetime) -> None:
    row = SealedValue.objects.get(subject=subject)
    whole = bytes(row.sealed)
    for place in range(len(whole)):
        SealedValue.objects.filter(pk=row.pk).update(
            sealed=whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        )
        with pytest.raises(SealBroken):
            _read(subject, now)


@pytest.mark.clause("A4.2")
def test_destroyed_is_not_unknown(subject: str, now: datetime) -> None:
    key_id = keys_of(subject)[0]
    destroy_keys([key_id], now=now, by=SYSTEM, clause="A4.2")
    with pytest.raises(KeyDestroyed):
        open_key(key_id)
    with pytest.raises(KeyUnknown):
        open_key("0" * 32)
    with pytest.raises(KeyDestroyed):
        _read(subject, now)


@pytest.mark.clause("A4.2")
def test_a_destroyed_subject_has_nothing_left_and_takes_nothing_new(subject: str, now: datetime) -> None:
    index_value(subject, "email", VALUE)
    gone = destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    assert find_subject("email", VALUE) is None
    assert not SealedValue.objects.filter(subject=subject).exists()
    with pytest.raises((SubjectFenced, KeyDestroyed)):
        seal_value(subject, "email", VALUE, now=now)
    again = destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    assert again.key_ids == gone.key_ids, "repeated after a kill it still names what the first time destroyed"
    assert again.items == ()


def test_one_confirmed_value_belongs_to_one_subject(subject: str, now: datetime) -> None:
    index_value(subject, "email", VALUE)
    with pytest.raises(ValueTaken):
        index_value(new_subject(now=now), "email", VALUE)


def test_a_decoy_stays_for_its_hour_and_looks_like_a_subject(subject: str, now: datetime) -> None:
    one = decoy_subject("email", "nobody@mail.example", now=now)
    assert one == decoy_subject("email", "nobody@mail.example", now=now)
    assert one != decoy_subject("email", "nobody@mail.example", now=now + timedelta(hours=2))
    assert len(one) == len(subject)


@pytest.mark.clause("I9")
def test_a_wrong_kek_stops_the_service(subject: str, now: datetime) -> None:
    keyring.path_of("kek-1").write_text("00" * 32, encoding="ascii")
    keyring._cache.clear()
    with pytest.raises(KeyringWrong):
        check_keyring()
    with pytest.raises(KeyringWrong):
        _read(subject, now)
    keyring.path_of("kek-1").write_text("00" * 8, encoding="ascii")
    keyring._cache.clear()
    with pytest.raises(KeyringWrong, match="cut"):
        check_keyring()
    keyring.path_of("kek-1").unlink()
    keyring._cache.clear()
    with pytest.raises(KeyringMissing):
        check_keyring()


@pytest.mark.clause("A4.2", "I9")
def test_a_turn_keeps_every_living_key_and_destroys_the_old_kek(subject: str, now: datetime) -> None:
    turn_epoch(now=now)
    assert _read(subject, now) == VALUE
    assert set(DataKey.objects.values_list("epoch", flat=True)) == {2}
    assert not keyring.path_of("kek-1").exists()


@pytest.mark.parametrize("step", ["write_key", "wrap", "destroy_key_file"])
def test_a_turn_killed_at_any_step_goes_on_and_loses_nothing(
    subject: str, now: datetime, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place = epochs.hazmat if step == "wrap" else epochs.keyring
    real = getattr(place, step)

    def killed(*_args: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(place, step, killed)
    with pytest.raises(RuntimeError):
        turn_epoch(now=now)
    assert _read(subject, now) == VALUE
    monkeypatch.setattr(place, step, real)
    turn_epoch(now=now)
    assert _read(subject, now) == VALUE
    check_keyring()


@pytest.mark.parametrize(
    "leak",
    [str, "{}".format, lambda v: f"{v}", pickle.dumps, json.dumps, copy.copy, copy.deepcopy, list, len, hash, lambda v: v == "x"],
)  # fmt: skip
def test_a_personal_value_refuses_to_be_shown(subject: str, now: datetime, leak: object) -> None:
    value = reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
    with pytest.raises(TypeError) as refused:
        leak(value)  # type: ignore[operator]
    assert VALUE not in "".join(traceback.format_exception(refused.value))
    assert repr(value) == "<Personal>"


def test_a_personal_value_reaches_neither_a_template_nor_a_log(
    subject: str, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    value = reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
    with pytest.raises(TypeError):
        Template("{{ value }}").render(Context({"value": value}))
    logging.getLogger("imgnom.test").warning("look: %r", value)
    assert VALUE not in caplog.text


@pytest.mark.clause("A0.1")
def test_the_ledger_holds_and_a_changed_entry_is_named(subject: str, now: datetime) -> None:
    _read(subject, now)
    assert sequence(now=now) >= 1
    assert sequence(now=now) == 0
    make_checkpoint(now=now)
    assert verify_ledger().ok
    first = Leaf.objects.order_by("index").first()
    assert first is not None
    with transaction.atomic(using="ledger"):
        Leaf.objects.filter(pk=first.pk).update(payload=first.payload.replace("revealed", "refused!"))
    assert "0" in verify_ledger().problem
    Leaf.objects.filter(pk=first.pk).update(payload=first.payload)
    Leaf.objects.order_by("-index").first().delete()  # type: ignore[union-attr]
    assert "cut off" in verify_ledger().problem


@pytest.mark.clause("A0.1", "A4.2")
@pytest.mark.django_db(databases="__all__")
def test_a_ledger_keeps_its_name_when_the_site_moves(now: datetime, settings: Any) -> None:
    """Certificates and checkpoints of the old address verify for ever; new ones bear the same name."""
    from dataclasses import replace

    from imgnom.custody.ledger.public import verifier_key

    make_checkpoint(now=now)
    key = verifier_key()
    settings.IMGNOM = replace(settings.IMGNOM, base_url="https://elsewhere.example")
    assert verifier_key() == key
    make_checkpoint(now=now + timedelta(days=1))
    assert verify_ledger().ok
