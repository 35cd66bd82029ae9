"""All that is held about a member, to take along (A7.1): facts as JSON and CSV, own words, own pictures; nobody else's."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from imgnom.community.comments.public import own_comments
from imgnom.community.images.public import zip_of
from imgnom.community.visits.public import RecordRow
from imgnom.community.visits.public import records_of as visits_of
from imgnom.custody.consent.public import consent_history
from imgnom.custody.in_force import policy_in_force
from imgnom.procedures.rights.held import Held, held_of
from imgnom.web.requests import SignedIn

VISITS_AT_ONCE = 1000
README = (
    "이 꾸러미는 imgnom이 나에 대해 가진 것 전부입니다. my-data.json과 my-data.csv는 항목, 값, 까닭과 기한,\n"
    "access-records.csv는 접속 기록, comments.json은 내 댓글, pictures 폴더는 내 사진입니다.\n\n"
    "This is everything imgnom holds about you. my-data.json and my-data.csv: items, values, reasons, ends.\n"
    "access-records.csv: your access records. comments.json: your comments. pictures/: your pictures.\n"
)


def _item(held: Held) -> dict[str, Any]:
    return {
        "item": held.item.id,
        "label": {"ko": held.item.label.ko, "en": held.item.label.en},
        "value": held.value,
        "count": held.count,
        "store": held.item.store,
        "purposes": [
            {
                "purpose": last.purpose.id,
                "article": last.purpose.article,
                "last_used_at": last.at.isoformat() if last.at else None,
            }
            for last in held.purposes
        ],
        "ends_at": [end.isoformat() for end in held.ends],
        "after_leaving": [
            {"record": fate.record, "until": fate.until.isoformat() if fate.until else None, "article": fate.clause}
            for fate in held.fates
        ],
    }


def exported_facts(member: SignedIn, *, now: datetime) -> dict[str, Any]:
    """The inventory as it stands, with values and consents."""
    policy = policy_in_force()
    return {
        "as_of": now.isoformat(timespec="seconds"),
        "policy": policy.digest,
        "items": [_item(held) for held in held_of(member, now=now, with_values=True)],
        "consents": [
            {
                "consent": row.kind,
                "given": row.given,
                "at": row.at.isoformat(),
                "way": row.way,
                "text_sha256": row.text_digest,
            }
            for row in consent_history(member.subject)
        ],
        "provided_to": [],
    }


def _visits(subject: str, now: datetime) -> Iterator[RecordRow]:
    before: int | None = None
    while rows := visits_of(subject, now=now, limit=VISITS_AT_ONCE, before=before):
        yield from rows
        before = rows[-1].number


def _csv(header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> bytes:
    """With a mark in front by which a spreadsheet knows UTF-8; a cell that looks like a formula stays a text."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"'{cell}" if str(cell)[:1] in tuple("=+-@\t\r") else cell for cell in row])
    return b"\xef\xbb\xbf" + target.getvalue().encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _files(member: SignedIn, now: datetime) -> Iterator[tuple[str, bytes]]:
    facts = exported_facts(member, now=now)
    yield "README.txt", README.encode()
    yield "my-data.json", _json(facts)
    yield (
        "my-data.csv",
        _csv(
            ("item", "label", "value", "count", "store", "purposes", "ends_at"),
            (
                (
                    row["item"],
                    row["label"]["ko"],
                    row["value"],
                    "" if row["count"] is None else row["count"],
                    row["store"],
                    " ".join(purpose["purpose"] for purpose in row["purposes"]),
                    " ".join(row["ends_at"]),
                )
                for row in facts["items"]
            ),
        ),
    )
    yield (
        "access-records.csv",
        _csv(
            ("at", "kind", "page", "status", "address", "device", "agent", "until"),
            (
                (
                    row.at.isoformat(timespec="seconds"),
                    row.kind,
                    row.route,
                    row.status,
                    row.address,
                    row.device,
                    row.agent,
                    row.until or "",
                )
                for row in _visits(member.subject, now)
            ),
        ),
    )
    yield "comments.json", _json(list(own_comments(member.pk)))


def export_zip(member: SignedIn, *, now: datetime) -> Iterator[bytes]:
    """The whole of it in one plain ZIP, made while it goes out."""
    return zip_of(member.pk, beside=_files(member, now))
