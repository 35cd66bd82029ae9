"""The same mailbox again, and a taken ID: the answers are those of a new person; the owner gets a letter (A2.2f)."""

from imgnom.site.rehearsal.canaries import make_person
from imgnom.site.rehearsal.scenes.joining import form_of
from imgnom.site.rehearsal.stage import Stage


def come(stage: Stage) -> None:
    stage.say("the same mailbox comes again")
    owner = stage.people["stayer"]
    twin, taken, fresh = (make_person(name, None, stage.policy) for name in ("twin", "taken", "fresh"))
    twin.mailbox, twin.domain = owner.mailbox, owner.domain
    taken.username = owner.username
    answers, letters = [], {}
    for person in (twin, taken, fresh):
        browser = stage.browser_of(person)
        answer = browser.post("/signup", form_of(person))
        answers.append((answer.status, answer.location, sorted(browser.cookies)))
        letters[person.name] = stage.letters_to(person.email)
    stage.prove(
        "A2.2f",
        answers[0] == answers[1] == answers[2] and answers[0][0] == 303,
        "a taken mailbox and a taken ID get the answer of a free one",
        f"{answers}",
    )
    told = letters["twin"]
    stage.prove(
        "A2.2f A2.2h",
        len(told) == 1 and len(letters["fresh"]) == 1 and told != letters["fresh"],
        "the owner of a taken mailbox is told by mail; nobody gets a code for it",
        f"the owner got {len(told)} letters",
    )
    back = _comes_back(stage)
    stage.prove("A2.2f A7.4", back, "who left without a case may join again at once")


def _comes_back(stage: Stage) -> bool:
    """Somebody who left joins with the same mailbox, as a new person."""
    again = make_person("again", None, stage.policy)
    left = stage.people["nameless"]
    again.mailbox, again.domain = left.mailbox, left.domain
    browser = stage.browser_of(again)
    browser.post("/signup", form_of(again))
    return browser.post("/signup/confirm", {"code": stage.code_for(again.email)}).status == 303
