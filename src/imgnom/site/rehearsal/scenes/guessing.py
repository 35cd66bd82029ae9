"""Somebody guesses a password: slowed down, the owner not kept out, and what was typed is kept nowhere (A2.2c, A2.2b)."""

from imgnom.site.rehearsal.canaries import latin, network_address, secret_word
from imgnom.site.rehearsal.stage import Stage

TOO_MANY = 40


def guesses(stage: Stage) -> None:
    stage.say("guessing a password")
    owner, thief = stage.people["stayer"], network_address()
    own_browser = stage.browser_of(owner)
    before = own_browser.post("/login", {"login": owner.username, "password": owner.password})
    own_browser.post("/logout", {}, page="/")
    typed = {"a guess": secret_word(), "a password typed as an ID": secret_word(), "an unknown ID": latin()}
    known = stage.visitor("Thief/1", address=thief).post(
        "/login", {"login": owner.username, "password": typed["a guess"]}
    )
    unknown = stage.visitor("Thief/2").post("/login", {"login": typed["an unknown ID"], "password": typed["a guess"]})
    slipped = stage.visitor("Visitor/3").post("/login", {"login": typed["a password typed as an ID"], "password": "x"})
    stage.prove(
        "A2.2b",
        known.status == unknown.status == slipped.status == 422,
        "an unknown ID and a wrong password get one answer",
    )
    same = _plain(known.text, owner.username) == _plain(unknown.text, typed["an unknown ID"])
    stage.prove("A2.2b", same, "the two answers do not differ in a word")
    browser = stage.visitor("Thief/4", address=thief)
    answers: list[int] = []
    while len(answers) < TOO_MANY and 429 not in answers:
        last = browser.post("/login", {"login": owner.username, "password": typed["a guess"]})
        answers.append(last.status)
    stage.prove(
        "A2.2c",
        answers[-1] == 429 and last.headers.get("Retry-After"),
        "guessing ends after a number of tries",
        f"{len(answers)} guesses were answered",
    )
    right = own_browser.post("/login", {"login": owner.username, "password": owner.password})
    stage.prove(
        "A2.2c",
        before.status == right.status == 303,
        "a stranger's guesses do not keep the owner out of a browser that the account knows",
        f"got {before.status} and {right.status}",
    )
    stage.nothing_of(
        "A1.1 A2.2c", {**typed, "the thief's address": thief}, "nothing that was typed at the door is kept"
    )


def _plain(page: str, typed: str) -> str:
    """A page without what differs by nature: the token of the form and what was typed into it."""
    lines = [line for line in page.replace(typed, "").splitlines() if "csrfmiddlewaretoken" not in line]
    return "\n".join(lines)
