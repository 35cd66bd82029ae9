"""Every edited, deleted, inserted, copied or swapped row of the ledger store is found, whichever table it is in."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models, router, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import IntegrityError

from imgnom.custody.ledger.models import Certificate, Checkpoint, Intent, Leaf, Receipt, Tally
from imgnom.custody.ledger.public import (
    KeptReceipt,
    close_intent,
    finalise_certificates,
    intend_destruction,
    issue_certificate,
    keep_receipt,
    make_checkpoint,
    receipt_mark,
    sequence,
    verify_ledger,
)
from imgnom.custody.ledger.sealed_rows import update_sealed
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import SYSTEM
from imgnom.site.invariants import check_invariants

pytestmark = pytest.mark.django_db(databases="__all__")

# Columns that no check has to notice, each with its reason. Everything else does, also what a later version adds.
OPERATIONAL = {
    ("ledger_lease", "name"): "a lease that nobody knows is made anew",
    ("ledger_lease", "token"): "counts holders; says nothing of the past",
    ("ledger_lease", "until"): "real time; a wrong one is waited for or taken",
    ("outbox_outbox", "payload"): "waits for a moment to become a leaf, which is covered from then on",
    ("outbox_outbox", "created_at"): "when it was written, for the alarm about acts that wait",
}
ROW_NUMBER = "id"  # of any table: nothing refers to it


def _tables() -> Iterator[type[models.Model]]:
    for model in apps.get_models():
        if model is Outbox or router.db_for_read(model) == "ledger":
            yield model


def _receipt(number: str, leaf: str, certificate: str, now: datetime) -> None:
    keep_receipt(
        KeptReceipt(
            number, "delete", "ko", "done", [{"record": "account", "state": "destroyed", "ends_at": None}], "d" * 64, "a" * 26, "b" * 26,
            [leaf], [certificate], now,
        )
    )  # fmt: skip


@pytest.fixture
def _full(now: datetime) -> None:
    """Two rows of every table that holds evidence, and an act that waits."""
    for name in "ab":
        intent = intend_destruction(
            what="account", key_ids=[name * 32], clause="A4.2", by=SYSTEM, now=now, reference=f"r:{name}"
        )
        number = issue_certificate(
            items={"email": 2}, what="account", method="keys destroyed", key_ids=[name * 32], clause="A4.2", policy_digest="d" * 64, by=SYSTEM, now=now,
            reference=f"c:{name}",
        ).number  # fmt: skip
        assert intent
        close_intent(f"r:{name}", now=now)
        mark = {"choice": "delete", "receipt": receipt_mark(f"R-{name}")}
        leaf = record_act(
            store="default", act="withdraw", clause="A7.2b", by=SYSTEM, now=now, policy="d" * 64, detail=mark
        )
        _receipt(f"R-{name}", leaf, number, now)
        sequence(now=now)
        make_checkpoint(now=now)
    assert finalise_certificates(now=now + timedelta(days=90), horizon_days=30, turned_at=now + timedelta(days=1)) == 2
    sequence(now=now)
    make_checkpoint(now=now)
    record_act(store="ledger", act="try", clause="A0.1", by=SYSTEM, now=now)
    assert verify_ledger().problem == ""


def _other(field: Any, value: Any) -> Any:
    """Another value of the column's kind."""
    if isinstance(value, bytes | memoryview):
        return bytes([bytes(value)[0] ^ 1]) + bytes(value)[1:]
    if isinstance(value, datetime):
        return value + timedelta(seconds=1)
    if isinstance(value, list):
        return [*value, "x"]
    if isinstance(value, int | float):
        return value + 1000
    if value is None:
        return datetime(2020, 1, 1, tzinfo=UTC) if isinstance(field, models.DateTimeField) else "x"
    return ("1" if value[:1] != "1" else "2") + value[1:]


def _columns() -> list[Any]:
    return [
        pytest.param(model, field.attname, id=f"{model._meta.db_table}.{field.attname}")
        for model in _tables()
        for field in model._meta.concrete_fields
        if field.attname != ROW_NUMBER and (model._meta.db_table, field.attname) not in OPERATIONAL
    ]


def _is_found(table: str, harm: Callable[[], object]) -> None:
    """The harm is named with its table; afterwards the store is as it was."""
    with transaction.atomic(using="ledger"):
        try:
            with transaction.atomic(using="ledger"):
                harm()
        except IntegrityError:
            pass  # the database itself refuses it
        else:
            result = verify_ledger()
            assert not result.ok, table
            names: dict[str, tuple[str, ...]] = {
                "ledger_leaf": ("entry", "entries"),
                "ledger_node": ("hash", "entry"),
                "ledger_checkpoint": ("checkpoint",),
            }
            assert any(name in result.problem for name in (table, *names.get(table, ()))), result.problem
        transaction.set_rollback(True, using="ledger")


@pytest.mark.usefixtures("_full")
@pytest.mark.clause("A0.1", "A4.2")
def test_every_edited_column_of_the_ledger_store_is_found() -> None:
    for case in _columns():
        model, column = case.values
        manager = model._default_manager.using("ledger")
        row = manager.order_by("pk").first()
        assert row is not None, f"the test has no row of {model}"
        changed = {column: _other(model._meta.get_field(column), getattr(row, column))}
        _is_found(model._meta.db_table, partial(manager.filter(pk=row.pk).update, **changed))


@pytest.mark.usefixtures("_full")
@pytest.mark.clause("A0.1", "A4.2")
def test_every_deleted_copied_or_swapped_row_is_found() -> None:
    for model in _tables():
        if model._meta.db_table in ("ledger_lease", "outbox_outbox"):
            continue
        table, manager = model._meta.db_table, model._default_manager.using("ledger")
        rows = list(manager.order_by("pk"))
        for row in rows:
            _is_found(table, manager.filter(pk=row.pk).delete)
            _is_found(table, partial(_copy, model, row))
        columns = [f.attname for f in model._meta.concrete_fields if f.attname != ROW_NUMBER]
        one, other = rows[0], rows[1]
        for column in columns:
            if getattr(one, column) != getattr(other, column):
                _is_found(table, partial(_swap, manager, one, other, column))


def _copy(model: type[models.Model], row: models.Model) -> None:
    """A copy under new values where the database wants them."""
    facts = {}
    for field in model._meta.concrete_fields:
        value = getattr(row, field.attname)
        if field.attname != ROW_NUMBER:
            facts[field.attname] = _other(field, value) if field.unique and value is not None else value
    if model._meta.db_table == "ledger_node":
        facts["index"] += 1000
    model._default_manager.using("ledger").create(**facts)


def _swap(manager: Any, one: models.Model, other: models.Model, column: str) -> None:
    mine, theirs = getattr(one, column), getattr(other, column)
    field: Any = one._meta.get_field(column)
    if field.unique:
        manager.filter(pk=one.pk).update(**{column: _other(field, mine)})
    manager.filter(pk=other.pk).update(**{column: mine})
    manager.filter(pk=one.pk).update(**{column: theirs})


@pytest.mark.usefixtures("_full")
def test_an_unsealed_row_is_found_in_each_table(now: datetime) -> None:
    """As whoever writes to the database and has no keyring would add it."""
    leaf = Leaf.objects.get(index=0).leaf_id
    for harm in (
        lambda: Intent.objects.create(intent_id="0" * 32, what="x", key_ids="[]", clause="A4.2", made_at=now, seal=""),
        lambda: Checkpoint.objects.create(size=2, note=Checkpoint.objects.get(size=3).note, made_at=now, seal=""),
        lambda: Certificate.objects.create(
            number="C-2222-2222-2222-2222",
            content="{}",
            signature="",
            grade="final",
            leaf_id=leaf,
            key_ids="[]",
            made_at=now,
            seal="",
        ),
        lambda: Tally.objects.create(table="x", rows=1, seal=""),
    ):
        with transaction.atomic(using="ledger"):
            harm()
            assert not verify_ledger().ok
            transaction.set_rollback(True, using="ledger")


@pytest.mark.usefixtures("_full")
@pytest.mark.clause("A4.2")
def test_check_names_an_edited_certificate() -> None:
    row = Certificate.objects.order_by("pk").first()
    assert row is not None
    Certificate.objects.filter(pk=row.pk).update(content=row.content.replace("keys destroyed", "keys kept"))
    said = {line["id"]: line["words"] for line in check_invariants()["invariants"] if not line["ok"]}
    assert f"ledger_certificate, row {row.number}" in said["I6"]


@pytest.mark.usefixtures("_full")
def test_text_that_is_no_time_does_not_hide_an_open_intent() -> None:
    if connections["ledger"].vendor != "sqlite":
        pytest.skip("only SQLite keeps text in a column of times")
    open_row = Intent.objects.first()
    assert open_row is not None
    update_sealed(open_row, done_at=None)
    assert verify_ledger().ok
    for text in ("", "x"):
        with connections["ledger"].cursor() as cursor:
            cursor.execute("UPDATE ledger_intent SET done_at = %s WHERE id = %s", [text, open_row.pk])
        problem = verify_ledger().problem
        assert "ledger_intent" in problem
        assert open_row.intent_id in problem


def test_rows_of_an_earlier_version_are_sealed_once(now: datetime) -> None:
    """What 0002 does to rows that are there; a row without a seal that comes later is nobody's."""
    issue_certificate(
        items=["email"],
        what="account",
        method="m",
        key_ids=["a" * 32],
        clause="A4.2",
        policy_digest="d",
        by=SYSTEM,
        now=now,
    )
    intend_destruction(what="account", key_ids=["a" * 32], clause="A4.2", by=SYSTEM, now=now)
    _receipt("R-1", "0" * 32, Certificate.objects.get().number, now)
    sequence(now=now)
    make_checkpoint(now=now)
    Tally.objects.all().delete()
    for model in (Checkpoint, Certificate, Intent, Receipt):
        model._default_manager.update(seal="")
    assert "ledger_checkpoint" in verify_ledger().problem
    executor = MigrationExecutor(connections["ledger"])
    state = executor.loader.project_state([("ledger", "0002_sealed_rows")]).apps
    migration = import_module("imgnom.custody.ledger.migrations.0002_sealed_rows")
    migration.seal_rows(state, SimpleNamespace(connection=connections["ledger"]))
    assert verify_ledger().problem == ""
    assert json.loads(Certificate.objects.get().content)["format"]


def test_a_certificate_called_final_before_gets_its_entry(now: datetime) -> None:
    number = issue_certificate(
        items=["email"],
        what="account",
        method="m",
        key_ids=["a" * 32],
        clause="A4.2",
        policy_digest="d",
        by=SYSTEM,
        now=now,
    ).number
    update_sealed(Certificate.objects.get(number=number), grade="final")
    assert finalise_certificates(now=now, horizon_days=30, turned_at=now) == 1
    assert finalise_certificates(now=now, horizon_days=30, turned_at=now) == 0
    sequence(now=now)
    make_checkpoint(now=now)
    assert verify_ledger().problem == ""
