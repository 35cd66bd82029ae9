"""Scenes of the calendar: the day before, of and after each due date, up to five years and three months."""

from collections.abc import Callable
from datetime import datetime, timedelta

from imgnom.policy.public import Actor, add_period, ends_at, parse_period
from imgnom.site.rehearsal.stage import Stage

# When is looked, around the instant at which a record ends; True: it must be gone by then.
AROUND = (
    (timedelta(days=-1), False),
    (timedelta(seconds=-60), False),
    (timedelta(seconds=1), True),
    (timedelta(days=1), True),
)
HORIZON = "P5Y3M"
type Look = Callable[[Stage, str, bool], None]


def due_dates(stage: Stage) -> None:
    """Every date in calendar order, whatever the policy file says they are."""
    started = stage.at
    moments: list[tuple[datetime, bool, str, Look]] = []
    ends: tuple[tuple[str, datetime, Look, str], ...] = (
        ("pending_registration", stage.marks["wandered"], _pending, "the unconfirmed registration"),
        ("identity_after_leaving", stage.marks["left"], _archive, "what is kept after leaving"),
        ("access_records_visitor", started, _records, "visitors' access records"),
        ("access_records_member", started, _records, "members' access records"),
    )
    for record_id, began, look, words in ends:
        record = stage.policy.records.get(record_id)
        end = ends_at(record, began, stage.policy.zone) if record else None
        if end is not None:
            moments.extend((end + shift, gone, f"{record_id}|{words}", look) for shift, gone in AROUND)
    said = set()
    for instant, gone, name, look in sorted(moments, key=lambda moment: moment[0]):
        record_id, words = name.split("|")
        stage.move_to(instant)
        line = f"{words}: {'after' if gone else 'before'} the last day"
        if line not in said:
            said.add(line)
            stage.say(line)
        look(stage, record_id, gone)
    stage.move_to(started + (add_period(started.date(), parse_period(HORIZON)) - started.date()))
    stage.say("five years and three months on")
    stage.retention()
    stage.empty_letterbox()
    left: dict[str, str] = {}
    for person in (*stage.leavers, stage.people["wanderer"]):
        left |= person.sealed() | person.hidden()
    stage.nothing_of(
        "A3.1 A3.2② A4.1① A4.2", left, "after five years and three months nothing of those who left is found"
    )


def _pending(stage: Stage, record: str, gone: bool) -> None:
    if gone:
        stage.retention()
    rows = stage.count("pending registrations")
    stage.prove(
        "A2.2d",
        (rows == 0) == gone,
        "an unconfirmed registration stands until its day and is gone after it",
        f"{rows} unconfirmed registrations; gone expected: {gone}",
    )


def _archive(stage: Stage, record: str, gone: bool) -> None:
    kept = stage.policy.records[record]
    expected = kept.scope == "everyone" and bool(kept.items)
    rows = stage.count("archived values")
    if not gone:
        stage.prove(
            "A3.1 A4.1①",
            (rows > 0) == expected,
            "the separate store holds what the policy keeps, and nothing else",
            f"the separate store holds {rows} values; some expected: {expected}",
        )
        return
    past = f"{record} is past"
    if past not in stage.marks:
        stage.marks[past] = stage.at
        _archive_is_shut(stage, expected=expected)
    if stage.sabotage != "archive-deadline":
        stage.retention()
    rows = stage.count("archived values")
    stage.prove(
        "A3.1 A4.1① A4.2",
        rows == 0,
        "the separate store is empty after the last day",
        f"{rows} values stayed in the separate store",
    )
    stranger = stage.visitor("Visitor/archive")
    for person in stage.leavers:
        answer = stranger.get(f"/receipt/{person.receipt}.json")
        stage.prove("I6", answer.status == 200, "the receipt answers after destruction")


def _archive_is_shut(stage: Stage, *, expected: bool) -> None:
    """Past its day and with no worker run: an officer with a docket gets nothing (A4.0, A4.1②)."""
    from imgnom.custody.archive.public import open_archive
    from imgnom.custody.vault.reveal import RevealRefused

    rows = stage.archived()
    refused = 0
    for ref, item in rows:
        try:
            open_archive(ref, item, docket="rehearsal", by=Actor("officer", "rehearsal"), now=stage.at)
        except RevealRefused:
            refused += 1
    stage.prove(
        "A4.1② I2",
        refused == len(rows) and bool(rows) == expected,
        "past its day nobody opens what was kept, though no worker ran",
        f"{len(rows) - refused} of {len(rows)} kept values opened past their day",
    )


def _records(stage: Stage, record: str, gone: bool) -> None:
    from imgnom.community.visits.public import due_records

    member = record == "access_records_member"
    clauses = "A3.2②" if member else "A1.2"
    if not gone:
        stage.prove(clauses, stage.count("access records") > 0, "access records stand until their day")
        return
    if member:
        page = stage.browsers["stayer"].get("/me/records")
        stage.prove("A4.0", page.status in (200, 302), "one's records page answers past their day, worker or not")
    if stage.sabotage != "access-records":
        stage.retention()
    waiting = due_records(now=stage.at)
    stage.prove(
        clauses, waiting == 0, "access records end with their day", f"{waiting} access records stayed past their day"
    )
