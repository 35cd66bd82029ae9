"""What is still found of those who left: pages, files, keys, every byte (A3.0a, A3.2①, A4.0, A4.2, A7.4)."""

import sqlite3
from contextlib import closing
from urllib.parse import quote

from imgnom.site.rehearsal.canaries import Person, latin
from imgnom.site.rehearsal.stage import Stage

SIZES = ("thumbnail", "preview", "original")


def those_who_left(stage: Stage) -> None:
    stage.say("looking for those who left")
    stage.letters()
    stage.retention()
    brought = _bring_keys_back(stage) if "destroy-keys" in stage.sabotage else []
    _keys_are_dead(stage)
    _take_away(stage, brought)
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


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bring_keys_back(stage: Stage) -> list[str]:
    """Sabotage: yesterday's key store over today's, as a careless operator might. Returns what came back."""
    with closing(sqlite3.connect(stage.old_copy / "db" / "keys.sqlite3")) as old:
        columns = ", ".join(row[1] for row in old.execute("PRAGMA table_info(keys_datakey)"))
        rows = old.execute(f"SELECT {columns} FROM keys_datakey").fetchall()  # noqa: S608 - names from the table
    with closing(sqlite3.connect(stage.home / "db" / "keys.sqlite3")) as new, new:
        before = {row[0] for row in new.execute("SELECT key_id FROM keys_datakey")}
        for row in rows:
            places = ", ".join("?" * len(row))
            new.execute(f"INSERT OR IGNORE INTO keys_datakey ({columns}) VALUES ({places})", row)  # noqa: S608 - see above
        return [row[0] for row in new.execute("SELECT key_id FROM keys_datakey") if row[0] not in before]


def _take_away(stage: Stage, brought: list[str]) -> None:
    """Mend it again, so that the rest of the rehearsal shows this clause alone."""
    if brought:
        with closing(sqlite3.connect(stage.home / "db" / "keys.sqlite3")) as store, store:
            store.executemany("DELETE FROM keys_datakey WHERE key_id = ?", [(key,) for key in brought])


def _keys_are_dead(stage: Stage) -> None:
    """No data key under which anything of a leaver was sealed before is in the key store any more."""
    with closing(sqlite3.connect(stage.old_copy / "db" / "vault.sqlite3")) as store:
        before = set(store.execute("SELECT DISTINCT key_id, subject FROM vault_sealedvalue"))
    with closing(sqlite3.connect(stage.home / "db" / "vault.sqlite3")) as vault:
        alive = {row[0] for row in vault.execute("SELECT DISTINCT subject FROM vault_sealedvalue")}
    with closing(sqlite3.connect(stage.home / "db" / "keys.sqlite3")) as keys:
        held = {row[0] for row in keys.execute("SELECT key_id FROM keys_datakey")}
    dead = {key for key, subject in before if subject not in alive}
    left = dead & held
    stage.prove(
        "A4.2",
        len(dead) >= len(stage.leavers) and not left,
        "the keys of those who left are no longer in the key store",
        f"{len(left)} of {len(dead)} keys of people who left are still there",
    )
