"""What ends by itself in this room: codes, letters, enrolment links; and a member's row at the very end."""

from datetime import datetime
from pathlib import Path

from django.db import transaction

from imgnom.community.members.letters import end_letter
from imgnom.community.members.models import (
    CodeRequest,
    Enrolment,
    KnownDevice,
    Letter,
    Member,
    MemberSession,
    PendingRegistration,
    SentMessage,
)
from imgnom.community.members.sending import letters_lying
from imgnom.community.members.sessions import forget_cookies
from imgnom.custody.in_force import policy_in_force, recompute_ends
from imgnom.custody.vault.public import forget_value
from imgnom.policy.public import ends_at


def due_codes(*, now: datetime) -> int:
    return CodeRequest.objects.filter(ends_at__lte=now).count() + Enrolment.objects.filter(ends_at__lte=now).count()


def destroy_codes(*, now: datetime) -> int:
    """An address that waited for its code goes before the row that knows of it."""
    over = CodeRequest.objects.filter(ends_at__lte=now)
    rows = list(over.values_list("pk", "subject", "token", "kind"))
    for _, subject, token, kind in rows:
        if kind == "email":
            forget_value(subject, "email", row=f"new-{token}")
            if not Letter.objects.filter(address_row=f"old-{token}").exists():
                forget_value(subject, "email", row=f"old-{token}")
    gone = CodeRequest.objects.filter(pk__in=[pk for pk, *_ in rows]).delete()[0]
    return gone + Enrolment.objects.filter(ends_at__lte=now).delete()[0]


def due_letters(*, now: datetime) -> int:
    counts = SentMessage.objects.filter(ends_at__lte=now).count()
    return Letter.objects.filter(ends_at__lte=now).count() + counts + len(_left_lying(now))


def _left_lying(now: datetime) -> list[Path]:
    """Files of letters past their end: where no mail server is named they lie in the home, with an address in each."""
    policy = policy_in_force()
    record = policy.records["mail_queue"]
    ends = {file: ends_at(record, start, policy.zone) for file, start in letters_lying().items()}
    return [file for file, end in ends.items() if end is not None and end <= now]


def destroy_letters(*, now: datetime) -> int:
    letters = list(Letter.objects.filter(ends_at__lte=now))
    for letter in letters:
        end_letter(letter, now=now)
    files = _left_lying(now)
    for file in files:
        file.unlink(missing_ok=True)
    counts = SentMessage.objects.filter(ends_at__lte=now).delete()[0]
    return len(letters) + counts + len(files)


def recompute_member_ends() -> int:
    """After a change of the policy: sign-ups that wait, sessions and letters end by the periods now in force."""
    return sum(
        (
            recompute_ends(PendingRegistration.objects.all(), "pending_registration"),
            # Those of staff end sooner, and by a rule of their own at the next look.
            recompute_ends(MemberSession.objects.filter(member__role="member"), "session", start="last_seen"),
            recompute_ends(KnownDevice.objects.all(), "session"),
            recompute_ends(Letter.objects.all(), "mail_queue"),
        )
    )


def held_dates(member_id: int, subject: str, *, now: datetime) -> dict[str, tuple[datetime, ...]]:
    """When what lives shorter than the membership ends, item by item, the first end first."""
    sessions = MemberSession.objects.filter(member_id=member_id, ends_at__gt=now)
    codes_waiting = CodeRequest.objects.filter(subject=subject, ends_at__gt=now)
    letters = Letter.objects.filter(subject=subject, ends_at__gt=now)
    found = {"session": sessions, "confirmation_code": codes_waiting, "mail_queue": letters}
    ends = {item: tuple(rows.order_by("ends_at").values_list("ends_at", flat=True)) for item, rows in found.items()}
    return {item: dates for item, dates in ends.items() if dates}


def end_membership(member_id: int) -> bool:
    """Inside the caller's transaction: no sign-in and no page from now on; False when it was so already."""
    changed = Member.objects.filter(pk=member_id).exclude(state="withdrawn").update(state="withdrawn", password="!")  # noqa: S106 - no password
    _forget_sessions(member_id)
    return bool(changed)


def _forget_sessions(member_id: int) -> None:
    """The devices are not forgotten one by one: the subject's key is about to be destroyed."""
    rows = MemberSession.objects.filter(member_id=member_id)
    forget_cookies(rows.values_list("session_key", flat=True))
    rows.delete()


def remove_member(member_id: int) -> None:
    """The row goes for good; sessions, codes, letters of it before."""
    with transaction.atomic():
        member = Member.objects.filter(pk=member_id).first()
        if member is None:
            return
        _forget_sessions(member_id)
        KnownDevice.objects.filter(member=member).delete()
        Enrolment.objects.filter(member=member).delete()
        CodeRequest.objects.filter(subject=member.subject).delete()
        Letter.objects.filter(subject=member.subject).delete()
        PendingRegistration.objects.filter(subject=member.subject).delete()
        member.delete()
