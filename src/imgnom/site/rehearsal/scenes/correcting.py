"""Who stays reads everything held, corrects it, gives a consent and takes it back (A7.1, A7.2a, A3.0a)."""

from urllib.parse import quote

from imgnom.site.rehearsal.canaries import hangul, latin
from imgnom.site.rehearsal.hunt import Canary
from imgnom.site.rehearsal.stage import Stage


def reads_and_corrects(stage: Stage) -> None:
    stage.say("reading what is held")
    _proves_who_it_is(stage)
    _reads(stage)
    stage.say("correcting what is held")
    _corrects(stage)
    _consents(stage)


def _proves_who_it_is(stage: Stage) -> None:
    """The sign-in counts for ten minutes; after that values open only for the password."""
    person, browser = stage.people["stayer"], stage.browsers["stayer"]
    stage.wait(minutes=11)
    asked = browser.get("/me/privacy/edit")
    door = "/login" if asked.location.startswith("/login") else "/step-up"  # a policy may end sessions sooner than that
    closed = asked.status == 302 and asked.location.startswith(door)
    stage.prove("A2.2a A7.2c", closed, "a sensitive page asks who it is after ten minutes", f"answered {asked.status}")
    unseen = browser.get("/me/privacy").text
    stage.prove("A2.2a", person.email not in unseen, "no value is shown before that")
    wrong = browser.post(door, {"login": person.username, "password": "wrong", "next": "/me/privacy"})
    right = browser.post(door, {"login": person.username, "password": person.password, "next": "/me/privacy"})
    stage.prove("A2.2a", (wrong.status, right.status) == (422, 303), "only the password opens it")


def _reads(stage: Stage) -> None:
    person, browser = stage.people["stayer"], stage.browsers["stayer"]
    page = browser.get("/me/privacy")
    held = (person.email, person.username, person.nickname, *person.extras.values())
    stage.prove(
        "A7.1 A7.2a I1", page.status == 200 and all(v in page.text for v in held), "one's own page shows every value"
    )
    records = browser.get("/me/records")
    stage.prove(
        "A1.2", records.status == 200 and person.address in records.text, "one's own access records are there to read"
    )
    for path in ("/", f"/i/{person.picture}", "/privacy"):
        text = browser.get(path).text
        stage.prove(
            "A7.2a A7.2b",
            "/me/privacy/edit" in text and "/me/withdraw" in text,
            "change and withdraw are one click away",
        )


def _corrects(stage: Stage) -> None:
    person, browser = stage.people["stayer"], stage.browsers["stayer"]
    old: dict[str, Canary] = {
        "old mailbox": person.mailbox,
        "old domain": person.domain,
        "old nickname": person.nickname,
    }
    before = person.email
    person.mailbox, person.domain, person.nickname = latin(), latin(), hangul()
    for item in person.extras:
        old[f"old {item}"] = person.extras[item]
        person.extras[item] = latin()
    fields = {"nickname": person.nickname, "email": person.email} | person.extras
    first = browser.post("/me/privacy/edit", fields)
    code = stage.code_for(person.email)
    second = browser.post("/me/privacy/edit", {"code": code}, page="/me/privacy/edit?confirm=email")
    text = browser.get("/me/privacy").text
    stage.prove(
        "A7.1 A7.2a",
        first.status == second.status == 303 and all(v in text for v in (person.email, *person.extras.values())),
        "everything asked at sign-up can be corrected, the address after a new code",
        f"the edit answered {first.status}, its code {second.status}",
    )
    stranger = stage.visitor("Visitor/old")
    gone = stranger.post("/login", {"login": before, "password": person.password})
    stage.prove("A7.1 A2.2b", gone.status == 422, "the old address signs nobody in")
    renamed = stranger.get(f"/@{quote(person.nickname)}").status
    stage.prove("A7.1", renamed == 200, "the new name has its page", f"answered {renamed}")
    stage.nothing_of("A7.1 A7.4", old, "the values before the correction stand nowhere in plain")


def _consents(stage: Stage) -> None:
    """One optional consent is given and withdrawn; the record of both stays, the purpose does not."""
    from imgnom.custody.consent.public import consents_of
    from imgnom.custody.vault.public import find_subject

    optional = [kind.id for kind in stage.policy.consents.values() if not kind.required]
    if not optional:
        return
    subject = str(find_subject("username", stage.people["stayer"].username))
    browser, kind = stage.browsers["stayer"], optional[0]
    browser.post("/me/consents", {f"consent_{kind}": "on"})
    given = kind in consents_of(subject)
    browser.post("/me/consents", {})
    taken = kind not in consents_of(subject)
    stage.prove("A3.0a A2.0", given and taken, "a consent is given by its owner and withdrawn as easily")
