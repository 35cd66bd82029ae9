"""Staff need a second factor, leave a record, and cannot read what no purpose covers (I10, X4, A2.0)."""

import pyotp

from imgnom.policy.public import Actor
from imgnom.site.rehearsal.stage import Stage


def staff_look(stage: Stage) -> None:
    from imgnom.community.members.public import create_staff
    from imgnom.procedures.moderation.public import record_grant

    stage.say("the desk")
    stranger = stage.visitor("Visitor/desk").get("/desk").status
    stage.prove("I10 X4", stranger == 302, "the desk opens to nobody without an account", f"answered {stranger}")
    member = stage.browsers["stayer"].get("/desk").status
    stage.prove("A2.2c", member == 403, "a member's role is too low for the desk", f"a member got {member}")
    staff = create_staff(login="rehearsal-moderator", role="moderator", now=stage.at)
    record_grant(subject=staff.subject, role=staff.role, change="granted", by="rehearsal", now=stage.at)
    browser = stage.visitor("Staff/rehearsal")
    browser.post("/login", {"login": staff.login, "password": staff.password})
    stage.prove("I10", browser.get("/desk").status == 302, "a password alone does not open the desk")
    browser.post("/login/second-factor", {"code": pyotp.TOTP(staff.totp_secret).now()})
    before = stage.count("handler records")
    opened = browser.get("/desk").status == 200
    stage.prove("X4 A9.1", opened and stage.count("handler records") == before + 1, "a look leaves one handler record")
    stage.marks["looked"] = stage.at
    _undeclared(stage)


def _undeclared(stage: Stage) -> None:
    from imgnom.custody.vault.public import find_subject
    from imgnom.custody.vault.reveal import RevealRefused, reveal

    subject = find_subject("username", stage.people["stayer"].username)
    refused = 0
    for purpose, role in (("service", "moderator"), ("statistics", "administrator"), ("no such purpose", "officer")):
        try:
            reveal(str(subject), "email", purpose=purpose, by=Actor(role, "rehearsal"), now=stage.at)
        except RevealRefused:
            refused += 1
    stage.prove(
        "A2.0 A2.2 A2.2b",
        subject is not None and refused == 3,
        "a reading that the policy does not declare is refused",
        f"{3 - refused} undeclared readings opened an address",
    )
