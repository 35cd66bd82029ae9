"""Leaving in each way, late in the evening of one day and early in the next (A7.2, A3.0a, I6)."""

import re
from datetime import datetime, time, timedelta

from imgnom.site.rehearsal.canaries import Person
from imgnom.site.rehearsal.stage import Stage

CHOICE = re.compile(r'<input[^>]*name="content"[^>]*>')
EVENING, MORNING = time(23, 30), time(0, 10)


def in_the_evening(stage: Stage) -> None:
    """Half of them on the last evening of the month, half when it has just ended: the zone of the policy decides."""
    half = len(stage.leavers) // 2
    _leave_at(stage, "evening", 2, EVENING, stage.leavers[:half])


def in_the_morning(stage: Stage) -> None:
    half = len(stage.leavers) // 2
    _leave_at(stage, "morning", 1, MORNING, stage.leavers[half:])


def _leave_at(stage: Stage, mark: str, days: int, hour: time, people: list[Person]) -> None:
    today = stage.at.astimezone(stage.zone).date()
    stage.move_to(datetime.combine(today + timedelta(days=days), hour, stage.zone))
    stage.marks[mark] = stage.at
    stage.visitor(f"Visitor/{mark}").get("/")
    for person in people:
        stage.marks[f"{person.name} left"] = stage.at
        _leaves(stage, person)


def _leaves(stage: Stage, person: Person) -> None:
    stage.say(f"{person.name} leaves: {person.choice}")
    browser = stage.browsers[person.name]
    asked = browser.get("/me/withdraw")
    closed = asked.status == 302 and asked.location.startswith(("/step-up", "/login"))
    if asked.location.startswith("/login"):  # a policy of short sessions has ended this one meanwhile
        proven = browser.post("/login", {"login": person.username, "password": person.password})
    else:
        proven = browser.post("/step-up", {"password": person.password, "next": "/me/withdraw"})
    stage.prove("A7.2b A7.2c A2.2a", closed and proven.status == 303, "who leaves proves first who it is")
    page = browser.get("/me/withdraw")
    offered = CHOICE.findall(page.text)
    stage.prove(
        "A7.2b A3.0a",
        page.status == 200 and len(offered) == 3 and not any("checked" in one for one in offered),
        "the plan is shown and nothing is preselected",
    )
    _takes_pictures_along(stage, person)
    no_choice = browser.post("/me/withdraw", {"confirm": "yes"})
    no_yes = browser.post("/me/withdraw", {"content": str(person.choice)})
    stage.prove("A7.2b", no_choice.status == no_yes.status == 422, "without a choice or a confirmation nothing happens")
    answer = browser.post("/me/withdraw", {"content": str(person.choice), "confirm": "yes"})
    person.receipt = answer.location.rsplit("/receipt/", 1)[-1]
    stage.prove(
        "A7.2b A7.2c I6",
        answer.status == 303 and person.receipt,
        "leaving takes one confirmation and gives a receipt",
        f"leaving answered {answer.status}",
    )
    again = browser.post("/me/withdraw", {"content": str(person.choice), "confirm": "yes"}, page="/login")
    stage.prove("A7.2b", again.status in (302, 401, 403, 409), "a second click has no second effect")
    stage.prove("A7.2b", browser.get("/me/privacy").status == 302, "the session ended with the membership")
    told = [text for text in stage.letters_to(person.email) if person.receipt and person.receipt in text]
    stage.prove("A2.2h I6", told, "the receipt goes out by mail before the address is sealed away")


def _takes_pictures_along(stage: Stage, person: Person) -> None:
    answer = stage.browsers[person.name].get("/me/withdraw/pictures.zip")
    whole = answer.status == 200 and answer.content[:2] == b"PK"
    stage.prove("A7.1", whole, "one's own pictures can be taken along", f"answered {answer.status}")
