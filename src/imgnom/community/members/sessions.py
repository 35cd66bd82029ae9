"""Signed-in sessions: listed, ended one by one or all, over on their day (A2.2c, threat N2).

Our own row decides whether a session lives; Django's row goes with it. The device is sealed in the vault and goes
first, so that a kill in between leaves a session without a device and never a device without a session.

A session is renewed whenever its rights grow or its secrets change: a new key (the cookie), a new id. The row, its
beginning and its device stay. The cookie from before opens nothing from then on, whoever holds a copy of it. Neither
row holds a key: both hold its digest.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from imgnom.community.members.codes import record_end
from imgnom.community.members.errors import SessionOver
from imgnom.community.members.models import KnownDevice, Member, MemberSession
from imgnom.custody.keys.public import KeysError, derive, keyed_digest
from imgnom.custody.vault.public import VaultError, forget_value, seal_value
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import Actor
from imgnom.web.devices import describe, device_words
from imgnom.web.requests import MemberRequest, Request, SignedIn
from imgnom.web.session_keys import stored_session_key
from imgnom.web.words import current_language

DEVICE = "device_information"
# Whoever can open the desk signs in anew each day, however busy the session is.
STAFF_LONGEST = timedelta(hours=12)


@dataclass(frozen=True)
class LiveSession:
    id: str
    starts_at: datetime
    last_seen: datetime
    ends_at: datetime
    device: str
    is_here: bool


def _row(session_id: int) -> str:
    return f"session-{session_id}"


def session_end(member: Member, *, starts_at: datetime, now: datetime) -> datetime:
    """When a session that is used now ends: by the policy, and for staff not later than `STAFF_LONGEST`."""
    end = record_end("session", now)
    return end if member.role == "member" else min(end, starts_at + STAFF_LONGEST)


def note_session(member: Member, *, sid: str, session_key: str, agent: str, now: datetime) -> None:
    row = MemberSession.objects.create(
        sid=sid,
        session_key=stored_session_key(session_key),
        member=member,
        epoch=member.session_epoch,
        starts_at=now,
        last_seen=now,
        ends_at=session_end(member, starts_at=now, now=now),
    )
    seal_value(member.subject, DEVICE, describe(agent), row=_row(row.pk), now=now)


def renew_session(request: MemberRequest, *, now: datetime) -> None:
    """A new key and id for this session, in one transaction; the cookie from before is dead when it commits.

    Raises SessionOver where another request ended or renewed it first: of two at once, one gets through.
    """
    session, sid = request.session, secrets.token_hex(24)
    with transaction.atomic():
        row = (
            MemberSession.objects.select_for_update()
            .filter(sid=session.get("sid", ""), member_id=request.member.pk)
            .first()
        )
        if row is None:
            raise SessionOver
        member = Member.objects.get(pk=row.member_id)
        session["sid"] = sid
        session[HASH_SESSION_KEY] = member.get_session_auth_hash()
        session.cycle_key()
        MemberSession.objects.filter(pk=row.pk).update(
            sid=sid,
            session_key=stored_session_key(session.session_key or ""),
            epoch=member.session_epoch,
            last_seen=now,
        )


def forget_session(request: Request) -> None:
    """Nobody is signed in for this request. Its cookie stays: the browser may hold a newer one already."""
    request.session.delete()
    request.session = type(request.session)()
    request.session.accessed = True  # the page depends on the cookie all the same


def listed_id(sid: str) -> str:
    """What a session is called on the page of sessions: another name after each renewal, and of use to nobody else."""
    return keyed_digest(derive(settings.SECRET_KEY.encode(), "listed session"), sid.encode())[:16].hex()


def sessions_of(member: SignedIn, *, here: str, now: datetime) -> list[LiveSession]:
    """The member's live sessions, the last used first. `here` is the session id of who asks."""
    rows = MemberSession.objects.filter(member_id=member.pk, ends_at__gt=now).order_by("-last_seen", "-id")
    return [
        LiveSession(
            listed_id(row.sid),
            row.starts_at,
            row.last_seen,
            row.ends_at,
            _device(member, row.pk, now=now),
            row.sid == here,
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
    """Takes what our rows hold: digests of keys."""
    Session.objects.filter(session_key__in=[key for key in session_keys if key]).delete()


def end_session(request: Request) -> None:
    """Signing out: the cookie that is left opens nothing."""
    end_session_of(request.session.get("sid", ""))
    request.session.flush()


def end_session_of(sid: str) -> int:
    return _end(MemberSession.objects.filter(sid=sid))


def end_listed_session(member_id: int, listed: str) -> int:
    """Only one's own; what names none of them ends nothing."""
    own = MemberSession.objects.filter(member_id=member_id).values_list("pk", "sid")
    chosen = [pk for pk, sid in own if hmac.compare_digest(listed_id(sid).encode(), listed.encode())]
    return _end(MemberSession.objects.filter(pk__in=chosen))


def end_all_sessions(member_id: int, *, but: str = "") -> int:
    return _end(MemberSession.objects.filter(member_id=member_id).exclude(sid=but))


def due_sessions(*, now: datetime) -> int:
    return MemberSession.objects.filter(ends_at__lte=now).count() + KnownDevice.objects.filter(ends_at__lte=now).count()


def destroy_sessions(*, now: datetime) -> int:
    gone = _end(MemberSession.objects.filter(ends_at__lte=now))
    gone += KnownDevice.objects.filter(ends_at__lte=now).delete()[0]
    SessionStore.clear_expired()  # visitors' own: a form under way, for thirty days of real time
    return gone
