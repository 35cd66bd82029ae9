"""Opening values, turning the epoch of the keys, writing access records and ledger entries.

Records are held against bare SQLite writing rows of the same size with two indexes, a thousand a commit, in this run.
"""

import os
import secrets
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure, Section, Size, quantile, timed
from benchmarks.home import CACHE, NOW, copy_of, say, start_django
from benchmarks.pages import seeded_home

ROWS = 50_000
BATCH = 1_000
REVEALS = 300


def _bare_rows_per_second(count: int) -> float:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder, "limit.sqlite3"), isolation_level=None)) as store,
    ):
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("PRAGMA synchronous=NORMAL")
        store.execute(
            "CREATE TABLE r (id INTEGER PRIMARY KEY, day INTEGER, at TEXT, kind TEXT, subject TEXT, route TEXT, status INTEGER, sealed BLOB)"
        )
        store.execute("CREATE INDEX r_day ON r (day)")
        store.execute("CREATE INDEX r_subject ON r (subject, id DESC)")
        sealed = os.urandom(230)
        rows = [(1, NOW.isoformat(), "visit", "s" * 26, "i/<str:public_id>", 200, sealed)] * BATCH
        began = time.perf_counter()
        for _ in range(count // BATCH):
            store.execute("BEGIN")
            store.executemany(
                "INSERT INTO r (day, at, kind, subject, route, status, sealed) VALUES (?,?,?,?,?,?,?)", rows
            )
            store.execute("COMMIT")
        return count / (time.perf_counter() - began)  # fmt: skip


def _records(count: int) -> tuple[Figure, ...]:
    from imgnom.community.visits.public import Visit, destroy_due_records, record_visits

    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    visits = [
        Visit(NOW + timedelta(milliseconds=n), "visit", "s" * 26 if n % 3 else None, "i/<str:public_id>", 200, "203.0.113.9", agent)
        for n in range(BATCH)
    ]  # fmt: skip
    record_visits(visits)
    with timed() as spent:
        for _ in range(count // BATCH):
            record_visits(visits)
    bare = _bare_rows_per_second(count)
    rate = count / spent.wall
    each = 1000 * spent.cpu / count
    with timed() as sweep:
        destroyed, _ = destroy_due_records(now=NOW + timedelta(days=6 * 366))
    return (
        Figure("access records sealed and written", rate, "rows/s", "bare SQLite, plain rows", rate / bare, "≥ 50,000 rows/s", rate >= 50_000),
        Figure("an access record", each, "CPU ms", target="≤ 0.05 ms", met=each <= 0.05),
        Figure("access records destroyed at their end", destroyed / sweep.wall, "rows/s"),
    )  # fmt: skip


def _reveals() -> tuple[Figure, ...]:
    from imgnom.community.members.models import Member
    from imgnom.custody.vault.reveal import reveal
    from imgnom.policy.public import SYSTEM, Actor

    subjects = list(Member.objects.order_by("pk").values_list("subject", flat=True)[:50])
    found = []
    for what, actor in (("by the system, with its ledger entry", SYSTEM), ("on one's own page", None)):
        spent = []
        for number in range(REVEALS + 20):
            subject = subjects[number % len(subjects)]
            by, purpose = (actor, "notices") if actor else (Actor("member", subject), "rights")
            began = time.perf_counter()
            reveal(subject, "email", purpose=purpose, by=by, now=NOW)
            spent.append(1000 * (time.perf_counter() - began))
        warm = spent[20:]
        p95 = quantile(warm, 0.95)
        found += [
            Figure(f"one value opened {what}, median", quantile(warm, 0.5), "ms"),
            Figure(f"one value opened {what}, 95th of 100", p95, "ms", target="≤ 1 ms", met=p95 <= 1),
        ]
    return tuple(found)


def _turns(counts: tuple[int, ...]) -> tuple[Figure, ...]:
    from imgnom.custody.keys import hazmat
    from imgnom.custody.keys.epochs import current_epoch, kek_of, turn_epoch, wrap_for_row
    from imgnom.custody.keys.models import DataKey

    found = []
    for count in counts:
        say(f"a turn of {count} keys")
        DataKey.objects.all().delete()
        epoch = current_epoch()
        kek = kek_of(epoch)
        rows = [
            DataKey(
                key_id=secrets.token_hex(16), owner=secrets.token_hex(13), klass="subject", epoch=epoch, made_at=NOW
            )
            for _ in range(count)
        ]
        for row in rows:
            row.wrapped = wrap_for_row(
                hazmat.new_key(), key_id=row.key_id, owner=row.owner, klass=row.klass, epoch=epoch
            )
        DataKey.objects.bulk_create(rows, batch_size=2_000)
        with timed() as spent:
            turn_epoch(now=NOW)
        with timed() as limit:
            new = hazmat.new_key()
            for row in rows:
                use = hazmat.use_of_key(row.key_id, row.owner, row.klass, epoch)
                hazmat.wrap(new, hazmat.unwrap(kek, bytes(row.wrapped), use, unbound=False), use)
        most = 5 * count / 100_000
        found.append(
            Figure(
                f"the epoch turned over {count} keys", spent.wall, "s", "the cryptography alone", spent.wall / limit.wall, f"≤ {most:g} s",
                spent.wall <= most,
            )
        )  # fmt: skip
    return tuple(found)


def _ledger() -> tuple[Figure, ...]:
    from django.db import transaction

    from imgnom.custody.ledger.public import make_checkpoint, sequence
    from imgnom.custody.outbox.public import record_act
    from imgnom.policy.public import SYSTEM

    sequence(now=NOW)
    with transaction.atomic():
        for _ in range(5_000):
            record_act(store="default", act="bench", clause="A0.1", by=SYSTEM, now=NOW)
    with timed() as spent:
        added = sequence(now=NOW)
        make_checkpoint(now=NOW)
    return (Figure("entries appended to the ledger and signed for", added / spent.wall, "entries/s"),)


def measure(size: Size) -> Section:
    home = copy_of(seeded_home(size, comments=size.comments, popular=size.popular_comments), CACHE / "scratch-custody")
    start_django(home)
    rows = ROWS if size.requests > 100 else ROWS // 5
    figures = (*_reveals(), *_records(rows), *_ledger(), *_turns(size.turns))
    return Section("custody", "Keeping", " ".join((__doc__ or "").split()), figures)
