"""Joining: who confirms, who never does, who is too young, who waits too long with the code (A1.1, A2.2d, I3)."""

from imgnom.site.rehearsal.canaries import Person, make_person
from imgnom.site.rehearsal.stage import Stage


def form_of(person: Person, **other: str) -> dict[str, str]:
    return {
        "age_group": "14_or_older",
        "username": person.username,
        "password1": person.password,
        "nickname": person.nickname,
        "email": person.email,
        "agree_terms": "on",
        "agree_privacy": "on",
    } | person.extras | other  # fmt: skip


def joins(stage: Stage, name: str, choice: str | None) -> None:
    stage.say(f"{name} joins")
    person = make_person(name, choice, stage.policy)
    browser = stage.browser_of(person)
    stage.people[name], stage.browsers[name] = person, browser
    first = browser.post("/signup", form_of(person))
    stage.prove(
        "A1.1 A2.2d",
        first.status == 303 and first.location.endswith("/signup/confirm"),
        "the form leads to the code",
        f"/signup answered {first.status}",
    )
    early = browser.post("/login", {"login": person.username, "password": person.password})
    stage.prove("A2.2d", early.status == 422, "nobody is a member before the code")
    code = stage.code_for(person.email)
    wrong = browser.post("/signup/confirm", {"code": f"{(int(code or 0) + 1) % 1_000_000:06}"})
    stage.prove("A2.2a", wrong.status == 422, "another number than the mailed one confirms nothing")
    second = browser.post("/signup/confirm", {"code": code})
    stage.prove("A2.2a A2.2d", second.status == 303, "the mailed code confirms the mailbox")
    stage.nothing_of("A1.1 I1", person.sealed(), "ID, password, mailbox, address and device stand nowhere in plain")
    consents = browser.get("/me/consents").text
    optional = [kind.id for kind in stage.policy.consents.values() if not kind.required]
    given = [kind for kind in optional if f'name="consent_{kind}" checked' in consents]
    stage.prove("A2.0", not given, "no optional consent is given unasked", f"{given} given unasked")


def wanders_off(stage: Stage) -> None:
    """A sign-up whose code is never typed: it blocks nobody and ends after its days."""
    stage.say("somebody never confirms")
    person = make_person("wanderer", None, stage.policy)
    stage.browser_of(person).post("/signup", form_of(person))
    stage.letters()
    stage.people["wanderer"], stage.marks["wandered"] = person, stage.at
    stage.prove("A2.2d", stage.count("pending registrations") == 1, "an unconfirmed registration waits")
    stage.prove(
        "A2.2d",
        stage.browser_of(person).post("/login", {"login": person.username, "password": person.password}).status == 422,
        "who did not confirm is no member",
    )
    stage.nothing_of("A1.1 I1", person.sealed(), "a waiting registration stands nowhere in plain")


def is_too_young(stage: Stage) -> None:
    stage.say("somebody is under 14")
    child = make_person("child", None, stage.policy)
    waiting = stage.count("pending registrations")
    browser = stage.visitor("Visitor/young")
    answer = browser.post("/signup", form_of(child, age_group="under_14"))
    kept = stage.hunt(child.everything())
    stage.prove(
        "I3",
        answer.status == 200 and not kept and stage.count("pending registrations") == waiting,
        "who answers “under 14” leaves nothing behind",
        f"answered {answer.status}, found {kept[:3]}",
    )
    older = browser.post("/signup", form_of(child))
    stage.prove("I3", older.status == 200, "changing the answer in the same browser opens no door")


def waits_with_the_code(stage: Stage) -> None:
    """Two more registrations for the calendar: one types the code a minute before it ends, one a second after."""
    for name in ("prompt", "tardy"):
        person = make_person(name, None, stage.policy)
        browser = stage.browser_of(person)
        browser.post("/signup", form_of(person))
        person.typed["code"] = stage.code_for(person.email)
        stage.people[name], stage.browsers[name] = person, browser
    stage.marks["mailed"] = stage.at
