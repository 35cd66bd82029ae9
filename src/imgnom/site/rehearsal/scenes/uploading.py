"""Pictures with canaries in every corner, in four formats; texts, tags, comments; what is private (A2.1)."""

import re
from pathlib import Path

from imgnom.site.rehearsal.canaries import Person
from imgnom.site.rehearsal.hunt import Canary, Hunt
from imgnom.site.rehearsal.pictures import photograph, photographs
from imgnom.site.rehearsal.stage import Stage
from imgnom.site.rehearsal.visitor import Visitor

HOST = re.compile(r"^https?://[^/]+")
SIZES = ("thumbnail", "preview", "original")


def uploads_and_comments(stage: Stage, person: Person, *, with_private: bool) -> None:
    stage.say(f"{person.name} uploads and comments")
    browser = stage.browsers[person.name]
    for kind, content, canaries in photographs():
        found = {find.canary for find in Hunt(canaries).bytes_of(content, kind)}
        missing = sorted(set(canaries) - found)
        stage.prove("I12", not missing, "the uploaded files do carry hidden canaries", f"{kind} lacks {missing}")
        person.in_pictures |= canaries
        _one_picture(stage, browser, person, kind, content)
    if with_private:
        content, canaries = photograph("jpg", "private")
        person.in_pictures |= canaries
        fields = {"title": person.private_title, "visibility": "private"}
        hidden = browser.upload(fields, [(f"{person.file_name}.jpg", content)])
        person.private_picture = hidden.json()["files"][0]["id"] if hidden.status == 201 else ""
    said = browser.post(f"/i/{person.picture}/comments", {"body": person.comment}, page=f"/i/{person.picture}")
    stage.prove("A2.1", said.status == 303, "a comment stands", f"the comment answered {said.status}")


def _one_picture(stage: Stage, browser: Visitor, person: Person, kind: str, content: bytes) -> None:
    fields = {
        "title": person.title,
        "description": person.description,
        "alt": person.alt,
        "tags": person.tag,
        "visibility": "public",
    }
    answer = browser.upload(fields, [(f"{person.file_name}.{kind}", content)])
    listed = answer.json()["files"][0] if answer.status == 201 else {}
    person.pictures[kind] = listed.get("id", "")
    stage.prove(
        "A2.1",
        answer.status == 201 and listed.get("removed"),
        "a picture of each format is taken and the uploader told what was removed",
        f"/upload of {kind} answered {answer.status}: {listed.get('error') or listed.get('removed')}",
    )
    for size, url in (listed.get("urls") or {}).items():
        served = browser.get(HOST.sub("", url))
        found = [find.canary for find in Hunt(person.hidden()).bytes_of(served.content, size)]
        stage.prove(
            "A2.1",
            served.status == 200 and not found,
            "no served byte carries a hidden value",
            f"{size} of {kind} answered {served.status} and carries {found}",
        )


def stays_hidden(stage: Stage) -> None:
    stage.say("searching every byte for what came inside the pictures")
    spoiled = _spoil(stage)
    hidden: dict[str, Canary] = {}
    sealed: dict[str, Canary] = {}
    published: dict[str, Canary] = {}
    for person in stage.people.values():
        hidden |= person.hidden()
        sealed |= person.sealed()
        published |= person.published()
    stage.nothing_of("A2.1", hidden, f"none of {len(hidden)} values hidden in pictures stands under the home")
    stage.nothing_of("A1.1", sealed, f"none of {len(sealed)} sealed values stands under the home")
    for file in spoiled:
        file.unlink()
    present = {find.canary for find in stage.hunt(published)}
    shown = [name for name in stage.browsers if stage.people[name].pictures]
    wanted = {f"{name}:{what}" for name in shown for what in ("comment", "title", "nickname", "tag", "alt")}
    stage.prove(
        "I12",
        wanted <= present,
        "what was published is found, so the search works",
        f"not found: {sorted(wanted - present)[:4]}",
    )
    for name in shown:
        if stage.people[name].private_picture:
            _is_closed(stage, stage.people[name])


def _spoil(stage: Stage) -> list[Path]:
    """Sabotage: what must not stand anywhere is written once."""
    stayer = stage.people["stayer"]
    places = {
        "strip": ("media", str(stayer.in_pictures["jpg EXIF artist"])),
        "log": ("logs", f"GET /login {stayer.address} 200"),
    }
    written = []
    for folder, words in (places[step] for step in stage.sabotage if step in places):
        file = stage.home / folder / "left-behind"
        file.write_text(words, encoding="ascii")
        written.append(file)
    return written


def _is_closed(stage: Stage, person: Person) -> None:
    stranger = stage.visitor("Visitor/stranger")
    paths = [f"/i/{person.private_picture}", *(f"/media/{person.private_picture}/{size}" for size in SIZES)]
    answers = [stranger.get(path).status for path in paths]
    stage.prove("A2.1", answers == [404] * 4, "a private picture is nobody else's", f"a stranger got {answers}")
    own = [stage.browsers[person.name].get(path).status for path in paths]
    stage.prove("A2.1", own == [200] * 4, "a private picture opens for its owner", f"the owner got {own}")
