"""Signed-in sessions: listed, ended one by one or all, over on their day (A2.2c, threat N2).

Our own row decides whether a session lives; Django's row goes with it. The device is sealed in the vault and goes
first, so that a kill in between leaves a session without a device and never a device without a session.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from imgnom.community.members.codes import record_end
from imgnom.community.members.models import KnownDevice, Member, MemberSession
from imgnom.custody.keys.public import KeysError
from imgnom.custody.vault.public import VaultError, forget_value, seal_value
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import Actor
from imgnom.web.devices import describe, device_words
from imgnom.web.requests import Request, SignedIn
from imgnom.web.words import current_language

DEVICE = "device_information"


@dataclass(frozen=True)
class LiveSession:
    id: int
    starts_at: datetime
    last_seen: datetime
    ends_at: datetime
    device: str
    is_here: bool


def _row(session_id: int) -> str:
    return f"session-{session_id}"


def note_session(member: Member, *, sid: str, session_key: str, agent: str, now: datetime) -> None:
    row = MemberSession.objects.create(
        sid=sid,
        session_key=session_key,
        member=member,
        epoch=member.session_epoch,
        starts_at=now,
        last_seen=now,
        ends_at=record_end("session", now),
    )
    seal_value(member.subject, DEVICE, describe(agent), row=_row(row.pk), now=now)


def sessions_of(member: SignedIn, *, here: str, now: datetime) -> list[LiveSession]:
    """The member's live sessions, the last used first. `here` is the session id of who asks."""
    rows = MemberSession.objects.filter(member_id=member.pk, ends_at__gt=now).order_by("-last_seen", "-id")
    return [
        LiveSession(
            row.pk, row.starts_at, row.last_seen, row.ends_at, _device(member, row.pk, now=now), row.sid == here
        )
        for row in rows
    ]


def _device(member: SignedIn, session_id: int, *, now: datetime) -> str:
    """The member's own look; nothing where the policy in force does not let them."""
    by = Actor("member", member.subject)
    try:
        label = reveal(member.subject, DEVICE, purpose="misuse_prevention", by=by, now=now, row=_row(session_id)).open()
    except (VaultError, KeysError):
        return ""
    return device_words(label, current_language())


def _end(rows: QuerySet[MemberSession]) -> int:
    found = list(rows.values_list("pk", "session_key", "member__subject"))
    for session_id, _, subject in found:
        forget_value(subject, DEVICE, row=_row(session_id))
    forget_cookies(key for _, key, _ in found)
    return MemberSession.objects.filter(pk__in=[session_id for session_id, _, _ in found]).delete()[0]


def forget_cookies(session_keys: Iterable[str]) -> None:
    Session.objects.filter(session_key__in=[key for key in session_keys if key]).delete()


def end_session(request: Request) -> None:
    """Signing out: the cookie that is left opens nothing."""
    _end(MemberSession.objects.filter(sid=request.session.get("sid", "")))
    request.session.flush()


def end_one_session(member_id: int, session_id: int) -> int:
    """Only one's own; somebody else's number ends nothing."""
    return _end(MemberSession.objects.filter(member_id=member_id, pk=session_id))


def end_all_sessions(member_id: int, *, but: str = "") -> int:
    return _end(MemberSession.objects.filter(member_id=member_id).exclude(sid=but))


def due_sessions(*, now: datetime) -> int:
    return MemberSession.objects.filter(ends_at__lte=now).count() + KnownDevice.objects.filter(ends_at__lte=now).count()


def destroy_sessions(*, now: datetime) -> int:
    gone = _end(MemberSession.objects.filter(ends_at__lte=now))
    gone += KnownDevice.objects.filter(ends_at__lte=now).delete()[0]
    SessionStore.clear_expired()  # visitors' own: a form under way, for thirty days of real time
    return gone
