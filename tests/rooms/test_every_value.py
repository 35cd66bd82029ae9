"""Whatever the stores came to hold of a member, in whichever column, is searched for after they left (A4.1①, A4.2).

No list of fields is kept here: the values are those that stand in the stores while the member lives and stood there for
nobody before, so that a new column is hunted from its first day. What somebody who stays and somebody who left before
had as well is the site's vocabulary, which other sites on the same server write too.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client

from imgnom.community.members.public import create_staff, deliver_mail
from imgnom.custody.consent.public import adopt_policy
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import clear_residue
from imgnom.policy.public import SYSTEM
from imgnom.procedures.retention.public import run_due
from imgnom.site.clock import set_clock
from imgnom.site.rehearsal.hunt import Hunt
from tests.environment import POSTGRES
from tests.rooms.test_access_matrix import enter, visitor, with_factor
from tests.rooms.test_life import FIELDS, code_for, jpeg, upload

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

MIN = 8
# What stays is of no person: tokens that lead nowhere, and what the ledger and the receipt show to everybody.
# A tally names a table, counts its rows and seals both: its seal follows the count alone.
FOR_EVER = (
    "keys_destroyedkey", "ledger_certificate", "ledger_checkpoint", "ledger_intent", "ledger_leaf", "ledger_lease", "ledger_node",
    "ledger_receipt", "ledger_tally", "retention_withdrawal", "vault_fence",
)  # fmt: skip
MUST_BE_HUNTED = (
    "archive_archivedvalue.sealed", "comments_comment.body", "images_image.title", "members_member.nickname",
    "vault_sealedvalue.sealed", "vault_blindindex.digest", "visits_accessrecord.sealed",
)  # fmt: skip


def _leaves(value: Any) -> Iterator[str | bytes]:
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            try:
                yield from _leaves(json.loads(value))
            except ValueError:
                yield value
            return
        yield value
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(name)
            yield from _leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)


def _held() -> dict[str | bytes, str]:
    """Every value of every row of every store, and where it stands. Times are no values of a person."""
    found: dict[str | bytes, str] = {}
    for alias in connections:
        for table in connections[alias].introspection.table_names():
            with connections[alias].cursor() as cursor:
                cursor.execute(f"SELECT * FROM {connections[alias].ops.quote_name(table)}")
                names = [column[0] for column in cursor.description or ()]
                for row in cursor.fetchall():
                    for name, cell in zip(names, row, strict=True):
                        for value in _leaves(cell):
                            if len(value) >= MIN and not (
                                isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)
                            ):
                                found.setdefault(value, f"{table}.{name}")
    return found


def _live(home: Path, now: datetime, name: str, officer: Client, seen: dict[str | bytes, str]) -> Client:
    """A full life; what stands in the stores after each step is added to `seen`."""
    client = Client(headers={"user-agent": f"Mozilla/5.0 {name}-agent"}, REMOTE_ADDR="203.0.113.77")

    def then(answer: Any, *expected: int) -> Any:
        assert answer.status_code in expected, (answer.status_code, answer.content[:300])
        seen.update({value: place for value, place in _held().items() if value not in seen})
        return answer

    fields = FIELDS | {
        "username": f"{name}.id",
        "nickname": f"{name}닉",
        "email": f"{name}@mail.example",
        "password1": f"kite {name[::-1]}",
    }
    then(client.post("/signup", fields), 303)
    then(client.post("/signup/confirm", {"code": code_for(home, fields["email"], now)}), 303)
    picture = then(upload(client, jpeg(), f"{name}-file.jpg", title=f"{name}-title", tags=f"{name}tag"), 201).json()[
        "files"
    ][0]["id"]
    then(upload(client, jpeg(), f"{name}-own.jpg", title=f"{name}-private", visibility="private"), 201)
    then(client.post(f"/i/{picture}/comments", {"body": f"{name}-words of a comment"}), 303)
    then(client.get("/me/privacy"), 200)
    then(client.get("/me/export"), 200)
    step = {"password": fields["password1"]}
    then(client.post("/step-up?next=/me/privacy/edit", step), 303)
    then(client.post("/me/privacy/edit", {"nickname": f"{name}새닉", "email": f"{name}new@mail.example"}), 303)
    then(client.post("/me/privacy/edit", {"code": code_for(home, f"{name}new@mail.example", now)}), 303)
    then(Client().post("/login", {"login": fields["username"], "password": "wrong wrong wrong"}), 422)
    then(Client().post("/reset", {"login": fields["username"]}), 303)
    removed = then(upload(client, jpeg(), f"{name}-bad.jpg", title=f"{name}-bad"), 201).json()["files"][0]["id"]
    token = {"X-CSRFToken": officer.cookies["imgnom_csrf"].value}
    then(officer.post(f"/desk/remove/picture/{removed}", {"reason": f"{name}-reason"}, headers=token), 303)
    return client


def _leave(client: Client, now: datetime, seen: dict[str | bytes, str]) -> None:
    assert client.post("/me/withdraw", {"content": "delete", "confirm": "yes"}).status_code == 303
    seen.update({value: place for value, place in _held().items() if value not in seen})
    assert run_due(now=now).errors == {}
    seen.update({value: place for value, place in _held().items() if value not in seen})


def _personal() -> set[str]:
    """table.column of everything that the models say is personal."""
    return {
        f"{model._meta.db_table}.{model._meta.get_field(name).column}"
        for model in apps.get_models()
        for name in getattr(model, "personal", {})
    }


def _found(home: Path, values: Mapping[str | bytes, str]) -> Iterator[tuple[str | bytes, str]]:
    """(value, where) for every byte under the home and, on PostgreSQL, in the server's own folder."""
    names = {f"{number}": value for number, value in enumerate(values)}
    for find in Hunt(names).files(home):
        yield names[find.canary], f"{values[names[find.canary]]} as {find.form} in {find.file}"
    if not POSTGRES:
        return
    with psycopg.connect(
        POSTGRES.format(store="logs").replace("imgnom_logs:", "postgres:", 1), autocommit=True
    ) as server:
        server.execute("SELECT pg_switch_wal()")
        server.execute("CHECKPOINT")
        row = server.execute("SHOW data_directory").fetchone()
    assert row is not None
    for file in Path(row[0]).rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            content = file.read_bytes() if file.is_file() else b""
            for value, place in values.items():
                if (value.encode() if isinstance(value, str) else value) in content:
                    yield value, f"{place} in {file.relative_to(row[0])}"


@pytest.mark.clause("A4.1①", "A4.2")
def test_nothing_that_any_column_held_of_a_member_is_anywhere_after_their_last_end(home: Path, now: datetime) -> None:
    set_clock(now)
    adopt_policy(policy_in_force(), now=now, by=SYSTEM)
    made = create_staff(login="the-officer", role="officer", now=now)
    officer = enter(visitor(), made.login, made.password)
    with_factor(officer, made.totp_secret)
    vocabulary: dict[str | bytes, str] = {}
    _live(home, now, "qotherqx", officer, vocabulary)
    _leave(_live(home, now, "jearlierj", officer, vocabulary), now, vocabulary)
    seen: dict[str | bytes, str] = {}
    client = _live(home, now, "kleaverk", officer, seen)
    assert list((home / "outbox").glob("*.eml")), "letters lie there, as on a site without a mail server"
    assert list(_found(home, {"kleaverk-words of a comment": "a comment"})), "nor is the search"

    _leave(client, now, seen)
    new = {value: place for value, place in seen.items() if value not in vocabulary}
    assert {*MUST_BE_HUNTED} <= set(new.values()), "the test is not blind"

    later = now + timedelta(days=6 * 366)
    set_clock(later)
    deliver_mail(now=later)
    Session.objects.update(expire_date=now - timedelta(days=1))  # a visitor's form ends by real time
    assert run_due(now=later).errors == {}
    # Ending the server's log is `_found`'s: the roles of these tests may not.
    assert [place for place in clear_residue().left if not place.startswith("log of")] == []

    stays = "\n".join(str(value) for value, place in _held().items() if place.partition(".")[0] in FOR_EVER)
    personal = _personal()
    wanted = {value: place for value, place in new.items() if place in personal or str(value) not in stays}
    assert [where for _, where in _found(home, wanted)] == []
