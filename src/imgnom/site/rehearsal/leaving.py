"""Scenes of leaving: the plan, the choice, and what is still found of who left."""

import re
import sqlite3
from urllib.parse import quote

from imgnom.site.rehearsal.canaries import Person, latin
from imgnom.site.rehearsal.stage import Stage

CHOICE = re.compile(r'<input[^>]*name="content"[^>]*>')


def leaves(stage: Stage, person: Person) -> None:
    stage.say(f"{person.name} leaves: {person.choice}")
    browser = stage.browsers[person.name]
    page = browser.get("/me/withdraw")
    offered = CHOICE.findall(page.text)
    stage.prove(
        "A7.2b A3.0a",
        page.status == 200 and len(offered) == 3 and not any("checked" in one for one in offered),
        "the plan is shown and nothing is preselected",
    )
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
    stage.marks["left"] = stage.at


def is_looked_for(stage: Stage) -> None:
    stage.say("looking for those who left")
    stage.work()
    stage.work()
    stage.empty_letterbox()
    stage.retention()
    stage.empty_letterbox()
    if stage.sabotage == "destroy-keys":
        _bring_keys_back(stage)
    for person in stage.leavers:
        _looks_gone(stage, person)
    _keys_are_dead(stage)


def _looks_gone(stage: Stage, person: Person) -> None:
    stranger = stage.visitor("Visitor/later")
    login = stranger.post("/login", {"login": person.username, "password": person.password})
    mail = stranger.post("/login", {"login": person.email, "password": person.password})
    unknown = stranger.post("/login", {"login": "u" + latin(), "password": person.password})
    stage.prove(
        "A7.2b A7.4",
        login.status == mail.status == unknown.status == 422,
        "signing in again gets the answer of an unknown ID",
    )
    stage.prove("A7.4", stranger.get(f"/@{quote(person.nickname)}").status == 404, "no page of a person who left")
    found = stranger.get(f"/search?q={quote(person.nickname)}").text
    stage.prove("A7.4", f"/@{quote(person.nickname)}" not in found, "a search does not lead to who left")
    picture = stranger.get(f"/i/{person.picture}")
    if person.choice == "keep":
        stage.prove(
            "A3.2①",
            picture.status == 200 and person.nickname in picture.text and person.title in picture.text,
            "kept posts stand under their name",
        )
    elif person.choice == "anonymise":
        stage.prove(
            "A3.2①",
            picture.status == 200 and person.title in picture.text and person.nickname not in picture.text,
            "nameless posts stand without a name",
        )
    else:
        files = [
            stranger.get(f"/media/{person.picture}/{size}").status for size in ("thumbnail", "preview", "original")
        ]
        stage.prove(
            "A3.2① A4.2", picture.status == 404 and files == [404] * 3, "deleted posts and their files are gone"
        )
    private = stranger.get(f"/i/{person.private_picture}").status
    stage.prove("A4.0", private == 404, "private pictures went under every choice")
    gone = person.sealed() | person.hidden() | {f"{person.name}:private_title": person.private_title}
    if person.choice == "delete":
        gone |= person.everything()
    elif person.choice == "anonymise":
        gone |= {f"{person.name}:nickname": person.nickname}
    stage.nothing_of("A3.0a A4.0 A4.2", gone, "no byte of what was destroyed is left")
    receipt = stranger.get(f"/receipt/{person.receipt}.json")
    stage.prove("I6", receipt.status == 200, "the receipt answers without an account")
    text = stranger.get(f"/receipt/{person.receipt}").text + receipt.text
    told = [name for name, value in person.everything().items() if value in text]
    stage.prove("I6", not told, "nothing on the receipt says who", f"the receipt tells {told}")


def _bring_keys_back(stage: Stage) -> None:
    """Sabotage: yesterday's key store over today's, as a careless operator might."""
    old = sqlite3.connect(stage.old_copy / "db" / "keys.sqlite3")
    new = sqlite3.connect(stage.home / "db" / "keys.sqlite3")
    with new:
        columns = [row[1] for row in new.execute("PRAGMA table_info(keys_datakey)")]
        rows = old.execute(f"SELECT {', '.join(columns)} FROM keys_datakey").fetchall()  # noqa: S608 - names from the table
        new.executemany(f"INSERT OR IGNORE INTO keys_datakey VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608
    old.close()
    new.close()


def _keys_are_dead(stage: Stage) -> None:
    """No data key under which anything of a leaver was sealed before is in the key store any more."""
    with sqlite3.connect(stage.old_copy / "db" / "vault.sqlite3") as store:
        before = {
            (str(key), str(subject))
            for key, subject in store.execute("SELECT DISTINCT key_id, subject FROM vault_sealedvalue")
        }
    store.close()
    with sqlite3.connect(stage.home / "db" / "vault.sqlite3") as vault:
        alive = {str(row[0]) for row in vault.execute("SELECT DISTINCT subject FROM vault_sealedvalue")}
    vault.close()
    with sqlite3.connect(stage.home / "db" / "keys.sqlite3") as keys:
        held = {str(row[0]) for row in keys.execute("SELECT key_id FROM keys_datakey")}
    keys.close()
    dead = {key for key, subject in before if subject not in alive}
    left = dead & held
    stage.prove(
        "A4.2 I9",
        len(dead) >= len(stage.leavers) and not left,
        "the keys of those who left are no longer in the key store",
        f"{len(left)} of {len(dead)} keys of people who left are still there",
    )
