"""Scenes of membership: pictures with hidden canaries, comments, one's own data, the desk."""

import re
from urllib.parse import quote

import pyotp

from imgnom.policy.public import Actor
from imgnom.site.rehearsal.canaries import Person, hangul, latin, photograph
from imgnom.site.rehearsal.hunt import Hunt
from imgnom.site.rehearsal.stage import Stage

HOST = re.compile(r"^https?://[^/]+")


def uploads_and_comments(stage: Stage, person: Person) -> None:
    stage.say(f"{person.name} uploads and comments")
    browser = stage.browsers[person.name]
    content = photograph(person)
    found = {find.canary.split(":")[1] for find in Hunt(person.hidden()).bytes_of(content, "upload")}
    stage.prove("I12", found >= {"artist", "serial", "xmp"}, "the uploaded file does carry hidden canaries")
    fields = {
        "title": person.title,
        "description": person.description,
        "alt": person.alt,
        "tags": person.tag,
        "visibility": "public",
    }
    answer = browser.upload(fields, [(f"{person.file_name}.jpg", content)])
    listed = answer.json()["files"][0] if answer.status == 201 else {}
    person.picture = listed.get("id", "")
    stage.prove(
        "A2.1",
        answer.status == 201 and listed.get("removed"),
        "the picture is taken and the uploader told what was removed",
        f"/upload answered {answer.status}",
    )
    hidden = browser.upload(
        {"title": person.private_title, "visibility": "private"}, [(f"{person.file_name}.jpg", photograph(person))]
    )
    person.private_picture = hidden.json()["files"][0]["id"] if hidden.status == 201 else ""
    for url in (listed.get("urls") or {}).values():
        served = browser.get(HOST.sub("", url))
        clean = not list(Hunt(person.hidden()).bytes_of(served.content, url))
        stage.prove("A2.1", served.status == 200 and clean, "no served byte carries a hidden value")
    said = browser.post(f"/i/{person.picture}/comments", {"body": person.comment}, page=f"/i/{person.picture}")
    stage.prove("A2.1", said.status == 303, "a comment stands", f"the comment answered {said.status}")


def hidden_values_stay_hidden(stage: Stage) -> None:
    stage.say("searching every byte for what came inside the pictures")
    if stage.sabotage == "strip":
        (stage.home / "media" / "left.bin").write_text(stage.people["stayer"].artist, encoding="ascii")
    everyone: dict[str, str] = {}
    published: dict[str, str] = {}
    for person in stage.people.values():
        everyone |= person.hidden() | person.sealed()
        published |= person.published()
    stage.nothing_of("A2.1 A1.1 I1", everyone, "no hidden or sealed value stands under the home")
    present = {find.canary for find in stage.hunt(published)}
    wanted = {f"{name}:{what}" for name in stage.browsers for what in ("comment", "title", "nickname")}
    stage.prove("I12", wanted <= present, "what was published is found, so the search works")
    stranger = stage.visitor("Visitor/stranger")
    for name in stage.browsers:
        person = stage.people[name]
        closed = [stranger.get(f"/i/{person.private_picture}").status]
        closed += [
            stranger.get(f"/media/{person.private_picture}/{size}").status
            for size in ("thumbnail", "preview", "original")
        ]
        stage.prove("A2.1", closed == [404] * 4, "a private picture is nobody else's", f"a stranger got {closed}")


def reads_and_corrects(stage: Stage) -> None:
    """The one who stays reads everything held, and changes nickname and address."""
    stage.say("reading and correcting what is held")
    person, browser = stage.people["stayer"], stage.browsers["stayer"]
    page = browser.get("/me/privacy")
    held = (person.email, person.username, person.nickname, *person.extras.values())
    stage.prove(
        "A7.1 A7.2a I1", page.status == 200 and all(v in page.text for v in held), "one's own page shows every value"
    )
    records = browser.get("/me/records")
    stage.prove(
        "A1.2", records.status == 200 and "127.0.0.1" in records.text, "one's own access records are there to read"
    )
    for path in ("/", f"/i/{person.picture}", "/privacy"):
        text = browser.get(path).text
        stage.prove(
            "A7.2a A7.2b",
            "/me/privacy/edit" in text and "/me/withdraw" in text,
            "change and withdraw are one click away",
        )
    old = {"stayer:old e-mail": person.email, "stayer:old nickname": person.nickname}
    before, person.email, person.nickname = person.email, f"{latin()}@{latin(10)}.example", hangul()
    fields = {"nickname": person.nickname, "email": person.email} | person.extras
    first = browser.post("/me/privacy/edit", fields)
    code = stage.code_for(person.email)
    second = browser.post("/me/privacy/edit", {"code": code}, page="/me/privacy/edit?confirm=email")
    stage.prove(
        "A7.1 A7.2a",
        first.status == second.status == 303 and person.email in browser.get("/me/privacy").text,
        "nickname and address are corrected, the address after a new code",
        f"the edit answered {first.status}, its code {second.status}",
    )
    gone = stage.visitor("Visitor/old").post("/login", {"login": before, "password": person.password})
    stage.prove("A7.1 A2.2b", gone.status == 422, "the old address signs nobody in")
    page_of = stage.visitor("Visitor/names")
    stage.prove("A7.1", page_of.get(f"/@{quote(person.nickname)}").status == 200, "the new name has its page")
    stage.nothing_of("A7.1 A7.4", old, "the values before the correction stand nowhere in plain")


def the_desk(stage: Stage) -> None:
    """Staff need a second factor, leave a record, and cannot read what no purpose covers."""
    from imgnom.community.members.public import create_staff
    from imgnom.custody.vault.public import find_subject
    from imgnom.custody.vault.reveal import RevealRefused, reveal

    stage.say("the desk")
    person = stage.people["stayer"]
    staff = create_staff(login="rehearsal-moderator", role="moderator", now=stage.at)
    browser = stage.visitor("Staff/rehearsal")
    browser.post("/login", {"login": staff.login, "password": staff.password})
    stage.prove("I10", browser.get("/desk").status == 302, "a password alone does not open the desk")
    browser.post("/login/second-factor", {"code": pyotp.TOTP(staff.totp_secret).now()})
    before = stage.count("handler records")
    opened = browser.get("/desk").status == 200
    stage.prove(
        "X4", opened and stage.count("handler records") == before + 1, "a look leaves exactly one handler record"
    )
    member = stage.browsers["stayer"].get("/desk").status
    stage.prove("A2.2c", member == 403, "a member's role is too low for the desk", f"a member got {member}")
    subject = find_subject("username", person.username)
    try:
        reveal(str(subject), "email", purpose="service", by=Actor("moderator", "rehearsal"), now=stage.at)
        refused = False
    except RevealRefused:
        refused = True
    stage.prove(
        "A2.0 A2.2 A2.2b", subject is not None and refused, "a reading that the policy does not declare is refused"
    )
