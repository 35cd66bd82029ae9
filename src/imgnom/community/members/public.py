"""The door of the members."""

from datetime import datetime

from imgnom.community.members.after_restore import (
    EMPTIED,
    WITHHELD,
    drop_dead_registrations,
    drop_entries,
    subjects_of_members,
    subjects_of_registrations,
)
from imgnom.community.members.asked import registration_fields
from imgnom.community.members.details import begin_email_change, change_nickname, confirm_email_change
from imgnom.community.members.devices import is_new_device
from imgnom.community.members.endings import (
    destroy_codes,
    destroy_letters,
    due_codes,
    due_letters,
    end_membership,
    held_dates,
    recompute_member_ends,
    remove_member,
)
from imgnom.community.members.enter import start_session
from imgnom.community.members.errors import (
    CodeWrong,
    LoginWrong,
    MailboxTaken,
    MemberError,
    NicknameTaken,
    UsernameTaken,
)
from imgnom.community.members.forms import check_email
from imgnom.community.members.join import (
    MemberCard,
    card_of,
    create_confirmed_member,
    destroy_registrations,
    due_registrations,
    fence_registrations,
)
from imgnom.community.members.letters import deliver_mail, queue_letter, queue_parting_letter
from imgnom.community.members.middleware import STAFF_IDLE
from imgnom.community.members.models import Member, MemberSession
from imgnom.community.members.rules import canonical_username, check_nickname, nickname_key
from imgnom.community.members.second_factor import STAFF_ROLES, create_staff
from imgnom.community.members.sending import MailRefused, MailServerAway, mail_server_trouble, send
from imgnom.community.members.sessions import (
    STAFF_LONGEST,
    destroy_sessions,
    due_sessions,
    end_all_sessions,
    end_session,
)
from imgnom.custody.prepared import Prepared, as_row, columns_of
from imgnom.custody.vault.public import find_subject
from imgnom.web.requests import Request

__all__ = [
    "EMPTIED", "STAFF_IDLE", "STAFF_LONGEST", "STAFF_ROLES", "WITHHELD", "CodeWrong", "LoginWrong", "MailRefused", "MailServerAway", "MailboxTaken", "MemberCard", "MemberError", "NicknameTaken", "UsernameTaken",
    "begin_email_change", "canonical_username", "change_nickname", "check_email", "check_nickname", "confirm_email_change", "create_confirmed_member",
    "create_staff", "deliver_mail", "destroy_codes", "destroy_letters", "destroy_registrations", "destroy_sessions", "drop_dead_registrations",
    "drop_entries", "due_codes", "due_letters", "due_registrations", "due_sessions", "end_all_sessions", "end_session", "fence_registrations", "held_dates",
    "mail_server_trouble", "mark_withdrawn", "member_by_id", "member_by_nickname", "member_by_subject", "nickname_key", "queue_letter", "queue_parting_letter",
    "recompute_member_ends", "registration_fields", "remove_member", "role_of", "send", "session_count", "sign_in_as_demo", "subjects_of_members",
    "subjects_of_registrations",
]  # fmt: skip


_BY_ID = Prepared(lambda number: Member.objects.filter(pk=number).values_list(*columns_of(Member)), int)


def member_by_id(member_id: int) -> MemberCard | None:
    found = _BY_ID.first(member_id)
    return card_of(as_row(Member, found)) if found else None


def member_by_subject(subject: str) -> MemberCard | None:
    member = Member.objects.filter(subject=subject).first()
    return card_of(member) if member else None


def member_by_nickname(nickname: str) -> MemberCard | None:
    member = Member.objects.filter(
        nickname_key=nickname_key(nickname), state__in=("active", "restricted", "suspended")
    ).first()
    return card_of(member) if member else None


def role_of(subject: str) -> str | None:
    """`member` or a role of the staff; None for nobody."""
    return Member.objects.filter(subject=subject).values_list("role", flat=True).first()


def session_count(member_id: int, *, now: datetime) -> int:
    return MemberSession.objects.filter(member_id=member_id, ends_at__gt=now).count()


def mark_withdrawn(member_id: int) -> bool:
    """Inside the caller's transaction: no sign-in and no page from now on; False when it was so already."""
    return end_membership(member_id)


def sign_in_as_demo(request: Request, *, login: str) -> None:
    """One-click sign-in of the demo's invented cast; staff come with their second factor done."""
    member = Member.objects.get(subject=find_subject("username", canonical_username(login)))
    is_new_device(member, request.headers.get("User-Agent", ""), now=request.now)
    start_session(request, member)
    if member.role != "member":
        request.session["second_factor"] = True
