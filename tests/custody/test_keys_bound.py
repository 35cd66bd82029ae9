"""Wraps and keyring files are bound to their use: whatever row or file changes places is told, and opens nothing."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from django.db import transaction
from django.db.models import F

from imgnom.custody.keyring_file import render
from imgnom.custody.keys import epochs, hazmat, keyring
from imgnom.custody.keys.models import DataKey, Epoch, KeyringMark
from imgnom.custody.keys.public import (
    KeyringMissing,
    KeyringWrong,
    KeyRowChanged,
    check_keyring,
    copy_keys,
    create_key,
    create_keys,
    ensure_all_open,
    ensure_copy_usable,
    ensure_keyring,
    keys_status,
    open_key,
    read_copy,
    set_keys_free,
    turn_epoch,
    unnamed_files,
    upgrade_keyring,
)
from imgnom.custody.ledger.models import Checkpoint
from imgnom.custody.ledger.public import SigningKeyMissing, make_checkpoint, verify_ledger
from imgnom.custody.ledger.signing import origin
from imgnom.custody.vault.public import seal_value
from imgnom.custody.vault.reveal import reveal
from imgnom.custody.vault.values import new_subject
from imgnom.policy.public import SYSTEM
from imgnom.site.cli import main
from imgnom.site.doctor import examine
from imgnom.site.invariants import check_invariants

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

# Every class of key there is: a person's, a file's, a day's, an entry's of the archive, words and names of a backup.
CLASSES = ("subject", "file", "day-member", "day-visitor", "archive", "words", "name")
# What a row says without being bound to it: which of two keys of one owner is the newer one.
UNBOUND = {"made_at"}


@pytest.fixture
def _rows(now: datetime) -> None:
    for klass in CLASSES:
        create_key(owner=f"owner of {klass}", klass=klass, now=now)
    create_keys(["one", "other"], klass="words", now=now)
    create_key(owner="one", klass="file", now=now)
    assert ensure_all_open() == len(CLASSES) + 3


def _is_told(*key_ids: str) -> None:
    """`check`, `keys status` and `doctor` say so; nothing of the named keys opens."""
    for key_id in key_ids:
        with pytest.raises(KeyRowChanged):
            open_key(key_id)
    with pytest.raises(KeyRowChanged):
        ensure_all_open()


def _undone(harm: Callable[[], object], look: Callable[[], object]) -> None:
    with transaction.atomic(using="keys"):
        harm()
        look()
        transaction.set_rollback(True, using="keys")


def _exchange(one: DataKey, other: DataKey, columns: tuple[str, ...]) -> None:
    mine = {name: getattr(one, name) for name in columns}
    theirs = {name: getattr(other, name) for name in columns}
    DataKey.objects.filter(pk=one.pk).update(**theirs)
    DataKey.objects.filter(pk=other.pk).update(**mine)


@pytest.mark.usefixtures("_rows")
@pytest.mark.clause("A4.2", "I9")
def test_no_two_rows_of_keys_can_change_places() -> None:
    rows = list(DataKey.objects.order_by("pk"))
    for one, other in permutations(rows, 2):
        for columns in (
            ("wrapped",),
            ("owner",),
            ("klass",),
            ("owner", "klass"),
            ("wrapped", "owner"),
            ("wrapped", "klass"),
        ):
            if all(getattr(one, name) == getattr(other, name) for name in columns):
                continue
            _undone(lambda: _exchange(one, other, columns), lambda: _is_told(one.key_id, other.key_id))  # noqa: B023


@pytest.mark.usefixtures("_rows")
@pytest.mark.clause("A4.2", "I9")
def test_a_copied_moved_or_edited_key_row_opens_nothing(now: datetime) -> None:
    one, other = DataKey.objects.order_by("pk")[:2]
    facts = {field.attname: getattr(one, field.attname) for field in DataKey._meta.concrete_fields}
    for changes in ({"key_id": "0" * 32}, {"key_id": "0" * 32, "owner": other.owner, "klass": other.klass}):
        _undone(lambda: DataKey.objects.create(**facts | changes), lambda: _is_told("0" * 32))  # noqa: B023
    edits: dict[str, Any] = {
        "owner": other.owner, "klass": "x", "wrapped": bytes(one.wrapped)[:-1] + b"\x00", "epoch": F("epoch"), "key_id": "1" * 32,
    }  # fmt: skip
    assert set(edits) | UNBOUND == set(facts), "a new column is bound too, or named here with its reason"
    for column in ("owner", "klass", "wrapped", "key_id"):
        named = "1" * 32 if column == "key_id" else one.key_id
        _undone(
            lambda: DataKey.objects.filter(pk=one.pk).update(**{column: edits[column]}),  # noqa: B023
            lambda: _is_told(named),  # noqa: B023
        )
    for form in (b"", b"\x02", bytes(one.wrapped)[1:], b"\x03" + bytes(one.wrapped)[1:], bytes(one.wrapped) + b"\x00"):
        _undone(lambda: DataKey.objects.filter(pk=one.pk).update(wrapped=form), lambda: _is_told(one.key_id))  # noqa: B023


@pytest.mark.usefixtures("_rows")
def test_a_row_under_another_epoch_opens_nothing(now: datetime) -> None:
    old = {row.key_id: bytes(row.wrapped) for row in DataKey.objects.all()}
    turn_epoch(now=now)
    row = DataKey.objects.order_by("pk").first()
    assert row is not None
    DataKey.objects.filter(pk=row.pk).update(wrapped=old[row.key_id])
    _is_told(row.key_id)
    DataKey.objects.filter(pk=row.pk).update(wrapped=row.wrapped, epoch=1)
    with pytest.raises(KeyringMissing):
        open_key(row.key_id)
    assert keys_status()["not_opening"] == 1


@pytest.mark.clause("A4.2", "I9")
def test_exchanged_keys_release_no_value_and_are_told(now: datetime) -> None:
    people = [new_subject(now=now) for _ in range(2)]
    for number, subject in enumerate(people):
        seal_value(subject, "email", f"{number}@mail.example", now=now)
    one, other = (DataKey.objects.get(owner=subject) for subject in people)
    _exchange(one, other, ("owner",))
    for subject in people:
        with pytest.raises(KeyringWrong):
            reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
        with pytest.raises(KeyringWrong):
            seal_value(subject, "nickname", "somebody", now=now)
    told = {line["id"]: line["words"] for line in check_invariants()["invariants"] if not line["ok"]}
    assert "does not open where it stands" in told["I5"]
    assert keys_status()["not_opening"] == 2
    assert [
        line for line in examine()["findings"] if not line["ok"] and "does not open where it stands" in line["words"]
    ]
    with pytest.raises(KeyRowChanged):
        turn_epoch(now=now)
    assert keyring.path_of("kek-1").exists(), "nothing is lost while it is looked into"


def test_a_key_that_is_left_behind_opens_under_its_new_owner(now: datetime) -> None:
    key_id = create_key(owner="leaver", klass="words", now=now)
    sealed = open_key(key_id).seal(b"kept", bound_to=b"x")
    set_keys_free("leaver", "words")
    row = DataKey.objects.get(pk=key_id)
    assert row.owner != "leaver"
    assert open_key(key_id).open(sealed, bound_to=b"x") == b"kept"
    DataKey.objects.filter(pk=key_id).update(owner="leaver", klass="words")
    _is_told(key_id)


# ── files of the keyring ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def _ring_as_it_was(tmp_path: Path) -> object:
    shutil.copytree(keyring.folder(), tmp_path / "ring")
    yield
    shutil.rmtree(keyring.folder())
    shutil.copytree(tmp_path / "ring", keyring.folder())


@pytest.mark.usefixtures("_ring_as_it_was")
@pytest.mark.clause("I9")
def test_no_two_files_of_the_keyring_can_change_places(now: datetime) -> None:
    turn_epoch(now=now)
    names = [*keyring.LASTING, "kek-2"]
    contents = {name: keyring.path_of(name).read_bytes() for name in names}
    for one, other in permutations(names, 2):
        for name, other_name in ((one, other), (other, one)):
            keyring.path_of(name).write_bytes(contents[other_name])
        for name in (one, other):
            with pytest.raises(KeyringWrong, match=f"{name}.key of the keyring was swapped"):
                keyring.read_key(name)
        with pytest.raises(KeyringWrong):
            check_keyring()
        if "ledger-signing" in (one, other):
            with pytest.raises(SigningKeyMissing):
                make_checkpoint(now=now)
        for name in names:
            keyring.path_of(name).write_bytes(contents[name])
    check_keyring()


def test_a_deleted_fingerprint_of_a_keyring_file_is_named() -> None:
    for name in keyring.LASTING:
        kept = KeyringMark.objects.get(name=name)
        kept.delete()
        with pytest.raises(KeyringWrong, match=f"fingerprint of {name}.key"):
            check_keyring()
        KeyringMark.objects.create(name=name, fingerprint=kept.fingerprint)
    check_keyring()


def test_keys_status_fails_and_names_a_moved_row(now: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    key_id = create_key(owner="one", klass="file", now=now)
    assert main(["keys", "status"]) == 0
    DataKey.objects.filter(pk=key_id).update(owner="other")
    assert main(["keys", "status"]) == 1
    assert key_id in capsys.readouterr().err


@pytest.mark.usefixtures("_ring_as_it_was")
def test_a_keyring_file_with_one_changed_character_is_refused() -> None:
    for name in (*keyring.LASTING, "kek-1"):
        text = keyring.path_of(name).read_text(encoding="ascii")
        assert "imgnom-key-2" in text
        for place in range(0, len(text) - 1, 3):
            changed = text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]
            keyring.path_of(name).write_text(changed, encoding="ascii")
            with pytest.raises(KeyringWrong):
                keyring.read_key(name)
        keyring.path_of(name).write_text(text, encoding="ascii")


@pytest.mark.clause("A0.1")
def test_an_edited_checkpoint_does_not_choose_the_ledgers_name(now: datetime) -> None:
    name = origin()
    make_checkpoint(now=now)
    row = Checkpoint.objects.get()
    Checkpoint.objects.update(note=row.note.replace(name, "somebody.else/ledger"))
    assert origin() == name
    assert not verify_ledger().ok


# ── a home of the version before ─────────────────────────────────────────────────────────────────────────────────────


def _as_before() -> None:
    """The keyring and the rows as the version before wrote them: bare keys, wraps bound to nothing."""
    for row in DataKey.objects.all():
        raw = epochs.unwrap_row(
            bytes(row.wrapped), key_id=row.key_id, owner=row.owner, klass=row.klass, epoch=row.epoch
        )
        DataKey.objects.filter(pk=row.pk).update(wrapped=aes_key_wrap(epochs.kek_of(row.epoch), raw))
    for path in keyring.folder().glob("*.key"):
        if path.stem != "secret":
            raw = keyring.read_key(path.stem)
            path.write_text(raw.hex(), encoding="ascii")


@pytest.mark.usefixtures("_ring_as_it_was")
@pytest.mark.clause("A4.2", "I9")
def test_a_home_of_the_version_before_is_bound_at_its_start(now: datetime) -> None:
    subject = new_subject(now=now)
    seal_value(subject, "email", "one@mail.example", now=now)
    _as_before()
    old = {row.key_id: bytes(row.wrapped) for row in DataKey.objects.all()}
    assert len(next(iter(old.values()))) == 40
    assert reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open() == "one@mail.example"
    assert unnamed_files() == ["pepper-1.key", "index.key", "ledger-signing.key", "kek-1.key"]
    ensure_keyring(now=now)
    for _ in range(2):
        upgrade_keyring(now=now)
        assert unnamed_files() == []
        assert Epoch.objects.get().number == 2
    assert {len(bytes(row.wrapped)) for row in DataKey.objects.all()} == {41}
    assert reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open() == "one@mail.example"
    key_id = next(iter(old))
    DataKey.objects.filter(pk=key_id).update(wrapped=old[key_id])
    _is_told(key_id)
    DataKey.objects.filter(pk=key_id).update(wrapped=aes_key_wrap(epochs.kek_of(2), hazmat.new_key()))
    _is_told(key_id)  # also under the KEK of today: only a KEK of before may have wrapped so
    for name in KeyringMark.objects.values_list("name", flat=True):
        assert keyring.path_of(name).stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("_ring_as_it_was")
@pytest.mark.parametrize("step", ["name_key_file", "write_key", "destroy_key_file"])
def test_an_upgrade_killed_anywhere_goes_on(now: datetime, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    key_id = create_key(owner="o", klass="file", now=now)
    _as_before()

    def killed(*_args: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(keyring, step, killed)
        with pytest.raises(RuntimeError):
            upgrade_keyring(now=now)
    assert open_key(key_id)
    upgrade_keyring(now=now)
    check_keyring()
    assert open_key(key_id)
    assert unnamed_files() == []


@pytest.mark.usefixtures("_ring_as_it_was")
def test_a_keyring_that_cannot_be_written_is_told_and_goes_on(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    _as_before()

    def refused(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        assert not keyring.name_key_file("index")
    assert "index.key" in unnamed_files()
    assert any("of an earlier version" in line["words"] for line in examine()["findings"])


@pytest.mark.usefixtures("_ring_as_it_was")
def test_a_copy_of_the_keys_of_the_version_before_is_usable_until_the_turn(now: datetime, tmp_path: Path) -> None:
    create_key(owner="o", klass="file", now=now)
    _as_before()
    copy_keys(tmp_path / "copy", now=now)
    assert ensure_copy_usable(read_copy(tmp_path / "copy")).exists()
    upgrade_keyring(now=now)
    facts = read_copy(tmp_path / "copy")
    assert facts.epoch == 2
    assert ensure_copy_usable(facts).exists()
    assert json.loads((tmp_path / "copy" / "keys.json").read_text())["format"] == "imgnom keys 1"


def test_render_names_what_a_key_is_for() -> None:
    assert render("index", bytes(32)).split()[:3] == ["imgnom-key-2", "index", "00" * 32]
