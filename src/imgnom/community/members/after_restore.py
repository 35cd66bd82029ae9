"""What of a copy must not live on: nobody stays signed in, no code works, no letter goes a second time (A4.2)."""

from collections.abc import Collection
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import transaction

from imgnom.community.members.letters import end_letter
from imgnom.community.members.models import (
    CodeRequest,
    Enrolment,
    Letter,
    Member,
    MemberSession,
    PendingRegistration,
    SentMessage,
)
from imgnom.custody.store_copies import Withheld
from imgnom.custody.vault.public import NAME, SUBJECT, destroy_subject, forget_value
from imgnom.policy.public import SYSTEM

# Names may stay with posts, passwords never do. Of whoever is on the way out the steps that are left need the name.
WITHHELD = (
    Withheld(
        "members_member", NAME, ("nickname", "nickname_key"), "SELECT subject, id, nickname, nickname_key FROM members_member WHERE state <> 'withdrawn'",
        {"nickname": "' '", "nickname_key": "' ' || id"}, held=("nickname", "nickname_key"),
    ),
    Withheld(
        "members_member", SUBJECT, ("nickname", "nickname_key"), "SELECT subject, id, nickname, nickname_key FROM members_member WHERE state = 'withdrawn'",
        {}, held=("nickname", "nickname_key"),
    ),
    Withheld("members_member", SUBJECT, ("password",), "SELECT subject, id, password FROM members_member WHERE state <> 'withdrawn'", {"password": "'!'"}),
    Withheld("members_pendingregistration", SUBJECT, ("password",), "SELECT subject, id, password FROM members_pendingregistration", {"password": "'!'"}),
)  # fmt: skip
# Nobody stays signed in on a restored site, so nobody's session is of use to whoever finds a copy.
EMPTIED = ("django_session", "members_membersession", "members_sentmessage")


def drop_entries(*, now: datetime) -> int:
    """Sessions, mailed codes, enrolment links and letters of the copy are gone; how many."""
    letters = list(Letter.objects.all())
    for letter in letters:
        end_letter(letter, now=now)
    for request in CodeRequest.objects.filter(kind="email"):
        forget_value(request.subject, "email", row=f"new-{request.token}")
    with transaction.atomic():
        Session.objects.all().delete()
        gone = sum(model.objects.all().delete()[0] for model in (MemberSession, CodeRequest, Enrolment, SentMessage))
    return gone + len(letters)


def drop_dead_registrations(alive: Collection[str], *, now: datetime) -> int:
    """Sign-ups whose key is gone are over; how many."""
    dead = [row for row in PendingRegistration.objects.all() if row.subject not in alive]
    for row in dead:
        destroy_subject(row.subject, now=now, by=SYSTEM, clause="A4.2")
        row.delete()
    return len(dead)


def subjects_of_members() -> dict[str, int]:
    """Subject → member, for everybody who has a row."""
    return dict(Member.objects.values_list("subject", "pk"))


def subjects_of_registrations() -> set[str]:
    return set(PendingRegistration.objects.values_list("subject", flat=True))
