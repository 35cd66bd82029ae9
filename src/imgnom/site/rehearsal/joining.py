"""Scenes of joining: who confirms, who never does, who is too young, who comes twice."""

from imgnom.site.rehearsal.canaries import Person, hangul, latin, make_person
from imgnom.site.rehearsal.stage import Stage


def _form(person: Person, **other: str) -> dict[str, str]:
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
    browser = stage.visitor(person.agent)
    stage.people[name], stage.browsers[name] = person, browser
    first = browser.post("/signup", _form(person))
    stage.prove(
        "A1.1 A2.2d",
        first.status == 303 and first.location.endswith("/signup/confirm"),
        "the form leads to the code",
        f"/signup answered {first.status}",
    )
    second = browser.post("/signup/confirm", {"code": stage.code_for(person.email)})
    stage.prove("A2.2a A2.2d", second.status == 303, "the mailed code confirms the mailbox")
    stage.nothing_of("A1.1", person.sealed(), "ID, password, e-mail and device stand nowhere in plain")
    consents = browser.get("/me/consents").text
    optional = [kind.id for kind in stage.policy.consents.values() if not kind.required]
    given = [kind for kind in optional if f'name="consent_{kind}" checked' in consents]
    stage.prove("A2.0", not given, "no optional consent is given unasked")


def wanders_off(stage: Stage) -> None:
    """A sign-up whose code is never typed: it blocks nobody and ends after its days."""
    stage.say("somebody never confirms")
    person = make_person("wanderer", None, stage.policy)
    browser = stage.visitor(person.agent)
    browser.post("/signup", _form(person))
    stage.code_for(person.email)
    stage.people["wanderer"], stage.marks["wandered"] = person, stage.at
    stage.prove("A2.2d", stage.count("pending registrations") == 1, "an unconfirmed registration waits")
    stage.prove(
        "A2.2d",
        browser.post("/login", {"login": person.username, "password": person.password}).status == 422,
        "who did not confirm is no member",
    )
    stage.nothing_of("A1.1", person.sealed(), "a waiting registration stands nowhere in plain")


def is_too_young(stage: Stage) -> None:
    stage.say("somebody is under 14")
    child = make_person("child", None, stage.policy)
    browser = stage.visitor("Visitor/young")
    waiting = stage.count("pending registrations")
    answer = browser.post("/signup", _form(child, age_group="under_14"))
    kept = stage.hunt(child.sealed() | {"child:nickname": child.nickname})
    stage.prove(
        "I3",
        answer.status in (200, 303) and not kept and stage.count("pending registrations") == waiting,
        "who answers “under 14” leaves nothing behind",
    )


def comes_twice(stage: Stage) -> None:
    """The same mailbox again, and a taken ID: the answers are those of a new person; the owner gets a letter."""
    stage.say("the same mailbox comes again")
    owner = stage.people["stayer"]
    twin, fresh = make_person("twin", None, stage.policy), make_person("fresh", None, stage.policy)
    twin.email = owner.email
    answers = []
    for person in (twin, fresh):
        browser = stage.visitor("Visitor/twin")
        answer = browser.post("/signup", _form(person))
        answers.append((answer.status, answer.location, sorted(browser.cookies)))
    stage.prove("A2.2f", answers[0] == answers[1], "a taken mailbox gets the answer of a free one", f"{answers}")
    stage.prove(
        "A2.2f A2.2h",
        stage.code_for(owner.email) == "",
        "a second account for a mailbox gets no code; the owner is told",
    )
    unknown, wrong = stage.visitor("Visitor/a"), stage.visitor("Visitor/b")
    first = unknown.post("/login", {"login": "u" + latin(), "password": hangul()})
    second = wrong.post("/login", {"login": owner.username, "password": hangul()})
    stage.prove("A2.2b", first.status == second.status == 422, "an unknown ID and a wrong password get one answer")
