"""Every due date of the policy, in calendar order: the day before, the last minute, the first second after, a day later.

Periods, zone and what is kept come from the policy file; a record of the file whose end nothing here looks at is red.
Before the end the worker's work is done and everything must still stand. After it everything must be refused although no
worker ran yet; then the work is done and nothing may be left.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from imgnom.policy.public import PERMANENT, Actor, Policy, Record, add_period, ends_at, parse_period
from imgnom.site.rehearsal.canaries import Person, make_person
from imgnom.site.rehearsal.hunt import Canary
from imgnom.site.rehearsal.sabotage import hidden_from_the_worker
from imgnom.site.rehearsal.scenes.joining import form_of
from imgnom.site.rehearsal.stage import Stage

HORIZON = "P5Y3M"
SHOWN_AT = re.compile(r'<time datetime="([^"]+)"')
# When is looked, around the instant at which a record ends.
AROUND = (timedelta(days=-1, minutes=-2), timedelta(seconds=-60), timedelta(seconds=1), timedelta(days=1, minutes=-2))


@dataclass(frozen=True)
class Moment:
    """One look: at which record, begun when, and on which side of its end. `number` counts the four around an end."""

    at: datetime
    record: Record
    began: datetime
    number: int
    over: bool
    worked: bool = False


type Look = Callable[[Stage, Moment], None]


def sign_in_to_wait(stage: Stage) -> None:
    """Browsers for later looks at the end of a session; a new address, entered before, would end them."""
    stayer = stage.people["stayer"]
    for _ in AROUND:
        browser = stage.browser_of(stayer)
        browser.post("/login", {"login": stayer.username, "password": stayer.password})
        stage.waiting.append(browser)
    stage.marks["signed in"] = stage.at


def begin(stage: Stage) -> None:
    """What must begin today to be looked at later: a letter that cannot go."""
    stayer = stage.people["stayer"]
    stage.letters()
    outbox = stage.home / "outbox"
    outbox.rename(stage.home / "outbox.away")
    outbox.write_bytes(b"")
    stage.visitor("Visitor/forgot").post("/reset", {"login": stayer.username})
    stage.work()
    stage.marks["queued"] = stage.at
    stage.prove("A2.2h", stage.count("letters") == 1, "a letter that cannot go waits")
    stage.nothing_of("A2.2h A1.1", stayer.sealed(), "a letter that waits holds no address")
    _keep_its_carrier_away()
    outbox.unlink()
    (stage.home / "outbox.away").rename(outbox)


def _keep_its_carrier_away() -> None:
    """The next try goes by the machine's own seconds, and this rehearsal is to pass five days before it comes."""
    from django.db import connections

    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE members_letter SET leased_until = 99999999999")


def due_dates(stage: Stage) -> None:
    last = stage.at
    for instant, looks in groupby(_moments(stage), key=lambda moment: moment.at):
        stage.move_to(instant)
        _look_at(stage, list(looks))
        last = stage.at
    beginning = stage.marks["first"]
    horizon = beginning + (add_period(beginning.date(), parse_period(HORIZON)) - beginning.date())
    stage.move_to(max(horizon, last + timedelta(days=1)))
    _long_after(stage)


def _moments(stage: Stage) -> list[Moment]:
    found = []
    for key, record in stage.policy.records.items():
        if record.state == "planned" or record.period in (None, PERMANENT):
            continue
        if key not in RECORDS:
            stage.prove("A3.0b", ok=False, words="", broken=f"the record {key} has an end that nothing here knows")
            continue
        for mark in RECORDS[key][0]:
            began = stage.marks[mark]
            end = ends_at(record, began, stage.policy.zone)
            if end is not None:
                found += [
                    Moment(end + shift, record, began, number, over=shift > timedelta(0))
                    for number, shift in enumerate(AROUND)
                    if end + shift > stage.at
                ]
    return sorted(found, key=lambda moment: (moment.at, moment.record.id))


def _look_at(stage: Stage, moments: list[Moment]) -> None:
    for moment in moments:
        side = "after" if moment.over else "before"
        stage.say(f"{moment.record.label.en}: {side} the last day")
        if moment.over:
            RECORDS[moment.record.id][1](stage, moment)
    stage.retention()
    for moment in moments:
        RECORDS[moment.record.id][1](stage, Moment(**{**vars(moment), "worked": True}))


# ── one look for each kind of record ─────────────────────────────────────────────────────────────────────────────────


def _pending(stage: Stage, moment: Moment) -> None:
    rows = stage.count("pending registrations of", moment.began)
    if moment.worked:
        stage.prove(
            "A2.2d",
            bool(rows) != moment.over,
            "an unconfirmed registration stands until its day and is gone after it",
            f"{rows} unconfirmed registrations; over: {moment.over}",
        )


def _code(stage: Stage, moment: Moment) -> None:
    """In the last minute the code works; a second after its end it does not."""
    name = "tardy" if moment.over else "prompt"
    person, browser = stage.people[name], stage.browsers[name]
    if moment.number == 1 and moment.worked:
        right = browser.post("/signup/confirm", {"code": person.typed["code"]})
        stage.prove("A2.2a", right.status == 303, "a code works until its last minute", f"answered {right.status}")
    elif moment.number == 2 and not moment.worked:
        late = browser.post("/signup/confirm", {"code": person.typed["code"]})
        stage.prove("A2.2a", late.status == 422, "a code is refused a second after its end", f"answered {late.status}")
    elif moment.over and moment.worked:
        codes = stage.count("codes past their end", stage.at)
        stage.prove("A2.2a", not codes, "codes end with their minutes", f"{codes} codes stayed")


def _session(stage: Stage, moment: Moment) -> None:
    """Each look has a browser of its own, because looking is use and use begins the period anew."""
    if moment.worked != moment.over:
        page = stage.waiting[moment.number].get("/upload")
        if moment.over:
            shut = page.status == 302 and page.location.startswith("/login")
            stage.prove("A2.2c", shut, "a session ends with its day", f"answered {page.status}")
        else:
            stage.prove("A2.2c", page.status == 200, "a session lasts as long as told", f"answered {page.status}")
    if moment.worked and moment.over:
        rows = stage.count("sessions past their end", stage.at)
        stage.prove("A2.2c", not rows, "ended sessions are cleared", f"{rows} ended sessions stayed")


def _letter(stage: Stage, moment: Moment) -> None:
    rows = stage.count("letters of", moment.began)
    if moment.worked:
        stage.prove(
            "A2.2h",
            bool(rows) != moment.over,
            "a letter that cannot go waits until its day and is gone after it",
            f"{rows} letters; over: {moment.over}",
        )


def _archive(stage: Stage, moment: Moment) -> None:
    """Of everybody whose day has not come the separate store holds what the policy keeps; of nobody else anything."""
    kept = moment.record.scope == "everyone" and bool(moment.record.items)
    alive = {ref for ref, _, end in stage.archived() if end is None or end > stage.at}
    due = [person for person in stage.leavers if _end_of(stage, moment.record, person) > stage.at]
    if not moment.worked:
        _archive_is_shut(stage, expected=kept)
        return
    stage.prove(
        "A3.1 A4.1①",
        len(alive) == (len(due) if kept else 0),
        "the separate store holds what the policy keeps, until its day",
        f"the separate store holds something of {len(alive)} people, {len(due)} are within their days",
    )
    past = sum(1 for _, _, end in stage.archived() if end is not None and end <= stage.at)
    stage.prove(
        "A3.1 A4.1①",
        not past,
        "the separate store holds nothing past its day",
        f"{past} values stayed in the separate store",
    )
    for person in stage.leavers:
        answer = stage.visitor("Visitor/receipt").get(f"/receipt/{person.receipt}.json").json()
        states = {line["state"] for line in answer["lines"] if line["record"] == moment.record.id}
        over = _end_of(stage, moment.record, person) <= stage.at
        if kept and not past:
            right = states == {"destroyed"} if over else states == {"held"}
            stage.prove("I6", right, "the receipt says held until the day and destroyed after it", f"it says {states}")


def _end_of(stage: Stage, record: Record, person: Person) -> datetime:
    end = ends_at(record, stage.marks[f"{person.name} left"], stage.policy.zone)
    return end or datetime.max.replace(tzinfo=stage.zone)


def _archive_is_shut(stage: Stage, *, expected: bool) -> None:
    """Past its day and with no worker run: an officer with a docket gets nothing (A4.0, A4.1②)."""
    from imgnom.custody.archive.public import open_archive
    from imgnom.custody.vault.reveal import RevealRefused

    rows = [(ref, item) for ref, item, end in stage.archived() if end is not None and end <= stage.at]
    refused = 0
    with hidden_from_the_worker(("identity_after_leaving",) if "archive-refusal" in stage.sabotage else ()):
        for ref, item in rows:
            try:
                open_archive(ref, item, docket="rehearsal", by=Actor("officer", "rehearsal"), now=stage.at)
            except RevealRefused:
                refused += 1
    stage.prove(
        "A4.1② I2",
        refused == len(rows) and (bool(rows) or not expected or "shut" in stage.marks),
        "past its day nobody opens what was kept, though no worker ran",
        f"{len(rows) - refused} of {len(rows)} kept values opened past their day",
    )
    stage.marks["shut"] = stage.at


def _names(stage: Stage, moment: Moment) -> None:
    """Nobody appears under a name that was just left; under one that stands below kept posts, nobody ever."""
    if not moment.worked or moment.number not in (1, 3):
        return
    for person in stage.leavers:
        over = _end_of(stage, moment.record, person) <= stage.at
        free = over and person.choice != "keep"
        squatter = make_person("squatter", None, stage.policy)
        squatter.nickname = person.nickname
        answer = stage.browser_of(squatter).post("/signup", form_of(squatter))
        stage.prove(
            "A2.2c",
            answer.status == (303 if free else 422),
            "a name that was left is nobody's until its day, and for ever where it stands below kept posts",
            f"{person.choice}, over: {over}: answered {answer.status}",
        )
    stage.letters()


def _visits(stage: Stage, moment: Moment) -> None:
    member = moment.record.id == "access_records_member"
    clause, whose = ("A3.2②", "members'") if member else ("A1.2", "visitors'")
    rows = stage.count(f"{whose} access records of", moment.began)
    if not moment.over:
        stage.prove(
            clause, rows, "access records stand until their day", f"those of {moment.began} were gone too early"
        )
    elif moment.worked:
        stage.prove(
            clause, not rows, "access records end with their day", f"{rows} access records stayed past their day"
        )
    elif member and moment.number == 2:
        _own_records_are_over(stage, moment)


def _own_records_are_over(stage: Stage, moment: Moment) -> None:
    """One's own page shows nothing past its day, though no worker ran."""
    stayer = stage.people["stayer"]
    browser = stage.browser_of(stayer)
    browser.post("/login", {"login": stayer.username, "password": stayer.password})
    page = browser.get("/me/records")
    days = {datetime.fromisoformat(at).astimezone(stage.zone).date() for at in SHOWN_AT.findall(page.text)}
    shown = moment.began.astimezone(stage.zone).date() in days
    stage.prove("A4.0", page.status == 200 and not shown, "one's own page shows no record past its day")


def _consents(stage: Stage, moment: Moment) -> None:
    rows = stage.count("proofs of consent of", moment.began)
    if moment.worked:
        stage.prove(
            "A3.0b",
            bool(rows) != moment.over,
            "proofs of consent stand until their day, without a name, and are gone after it",
            f"{rows} rows; over: {moment.over}",
        )


def _handlers(stage: Stage, moment: Moment) -> None:
    rows = stage.count("handler records of", moment.began)
    if moment.worked:
        stage.prove(
            "X4",
            bool(rows) != moment.over,
            "records of who looked stand until their day and are gone after it",
            f"{rows} rows; over: {moment.over}",
        )


def _grants(stage: Stage, moment: Moment) -> None:
    rows = stage.count("rights granted at", moment.began)
    if moment.worked:
        stage.prove(
            "X4 I10",
            bool(rows) != moment.over,
            "records of rights granted stand until their day and are gone after it",
            f"{rows} rows; over: {moment.over}",
        )


LEFT = ("evening", "morning")
# record -> from when on it is looked at (marks of the stage), and the look
RECORDS: dict[str, tuple[tuple[str, ...], Look]] = {
    "pending_registration": (("wandered",), _pending),
    "confirmation_code": (("mailed",), _code),
    "session": (("signed in",), _session),
    "mail_queue": (("queued",), _letter),
    "identity_after_leaving": (LEFT, _archive),
    "freed_names": (LEFT, _names),
    "access_records_visitor": (("first", *LEFT), _visits),
    "access_records_member": (("first", *LEFT), _visits),
    "consent_records": (LEFT, _consents),
    "handler_records": (("looked",), _handlers),
    "right_grants": (("looked",), _grants),
}


def count_looks(policy: Policy) -> int:
    """How many dates there will be, for the progress bar."""
    return len(AROUND) * sum(len(marks) for key, (marks, _) in RECORDS.items() if key in policy.records)


# ── long after ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _gone(stage: Stage) -> Iterator[tuple[str, Canary]]:
    for person in (*stage.leavers, stage.people["wanderer"], stage.people["tardy"]):
        yield from (person.sealed() | person.hidden() | person.private()).items()
        if person.choice == "delete":
            yield from person.everything().items()


def _long_after(stage: Stage) -> None:
    stage.say("five years and three months on")
    stage.retention()
    stage.letters()
    stage.nothing_of("A3.1 A3.2② A4.1① A4.2", dict(_gone(stage)), "at the end no byte of those who left is found")
    stranger = stage.visitor("Visitor/late")
    for person in stage.leavers:
        answer = stranger.get(f"/receipt/{person.receipt}.json")
        stage.prove("I6", answer.status == 200, "the receipt still answers")
        if person.choice == "keep":
            page = stranger.get(f"/i/{person.picture}")
            still = page.status == 200 and person.nickname in page.text
            stage.prove("A3.2①", still, "kept posts still stand under their name", f"answered {page.status}")
