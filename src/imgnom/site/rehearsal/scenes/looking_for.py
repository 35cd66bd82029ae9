"""What is still found of those who left: pages, files, keys, every byte (A3.0a, A3.2①, A4.0, A4.2, A7.4)."""

from urllib.parse import quote

from imgnom.site.rehearsal.canaries import Person, latin
from imgnom.site.rehearsal.scenes import destroyed
from imgnom.site.rehearsal.stage import Stage

SIZES = ("thumbnail", "preview", "original")


def those_who_left(stage: Stage) -> None:
    stage.say("looking for those who left")
    stage.letters()
    stage.retention()
    destroyed.step_by_step(stage)
    for person in stage.leavers:
        _signs_in_no_more(stage, person)
        _posts_are_as_chosen(stage, person)
        _no_byte_is_left(stage, person)
        _receipt_tells_nobody(stage, person)


def _signs_in_no_more(stage: Stage, person: Person) -> None:
    stranger = stage.visitor("Visitor/later")
    login = stranger.post("/login", {"login": person.username, "password": person.password})
    mail = stranger.post("/login", {"login": person.email, "password": person.password})
    unknown = stranger.post("/login", {"login": latin(), "password": person.password})
    stage.prove(
        "A7.2b A7.4",
        login.status == mail.status == unknown.status == 422,
        "signing in again gets the answer of an unknown ID",
    )
    stage.prove("A7.4", stranger.get(f"/@{quote(person.nickname)}").status == 404, "who left has no page")
    found = stranger.get(f"/search?q={quote(person.nickname)}").text
    stage.prove("A7.4", f"/@{quote(person.nickname)}" not in found, "a search does not lead to who left")


def _posts_are_as_chosen(stage: Stage, person: Person) -> None:
    stranger = stage.visitor("Visitor/later")
    for kind, picture in person.pictures.items():
        page = stranger.get(f"/i/{picture}")
        named = person.nickname in page.text
        if person.choice == "keep":
            right = page.status == 200 and named and person.title in page.text
            stage.prove("A3.2①", right, "kept posts stand under their name", f"{kind}: {page.status}, named: {named}")
        elif person.choice == "anonymise":
            right = page.status == 200 and not named and person.title in page.text
            stage.prove("A3.2①", right, "nameless posts stand without a name", f"{kind}: {page.status}, named: {named}")
        else:
            files = [stranger.get(f"/media/{picture}/{size}").status for size in SIZES]
            right = page.status == 404 and files == [404] * 3
            stage.prove("A3.2①", right, "deleted posts and their files are gone", f"{kind}: {page.status}, {files}")
    if person.private_picture:
        paths = [f"/i/{person.private_picture}", *(f"/media/{person.private_picture}/{size}" for size in SIZES)]
        closed = [stranger.get(path).status for path in paths]
        stage.prove("A4.0", closed == [404] * 4, "private pictures went under every choice", f"answers {closed}")


def _no_byte_is_left(stage: Stage, person: Person) -> None:
    gone = person.sealed() | person.hidden() | person.private()
    if person.choice == "delete":
        gone |= person.everything()
    elif person.choice == "anonymise":
        gone[f"{person.name}:nickname"] = person.nickname
    stage.nothing_of("A3.0a A4.0 A4.2", gone, "no byte of what was destroyed is left")


def _receipt_tells_nobody(stage: Stage, person: Person) -> None:
    stranger = stage.visitor("Visitor/receipt")
    page, facts = stranger.get(f"/receipt/{person.receipt}"), stranger.get(f"/receipt/{person.receipt}.json")
    stage.prove("I6", page.status == facts.status == 200, "the receipt answers without an account")
    text = page.text + facts.text
    told = [name for name, value in person.everything().items() if isinstance(value, str) and value in text]
    stage.prove("I6", not told, "nothing on the receipt says who", f"the receipt tells {told}")
