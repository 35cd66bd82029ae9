"""Signing in and out (A2.2a, A2.2c; threats N1, N2, N4).

An ID, an address and what is nobody's take the same way: the same look-ups, one password check, one answer. Failures
are counted by who asks (the network) and by network and account together, so that a stranger elsewhere can neither
lock the owner out nor go on by writing the name differently; a success takes back its own count and no other.
Whoever has a second factor is signed in after it and not a moment before.
"""

import secrets
from datetime import datetime, timedelta

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import check_password, make_password
from django.middleware.csrf import rotate_token

from imgnom.community.members.codes import DAY_SECONDS
from imgnom.community.members.devices import is_new_device
from imgnom.community.members.errors import LoginWrong
from imgnom.community.members.letters import queue_letter
from imgnom.community.members.models import Member
from imgnom.community.members.rules import canonical_username
from imgnom.community.members.sessions import end_session_of, note_session, renew_session
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.vault.public import decoy_subject, find_subject, held_items, note_use
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.address import limit_key
from imgnom.web.guards import HALF_LOGIN, mark_step_up
from imgnom.web.requests import MemberRequest, Request, SignedIn
from imgnom.web.throttle import count, give_back, hit

# Compared with when nobody is found, so that the answer takes the same time.
_DUMMY = make_password("imgnom: nobody has this password")
BACKEND = "imgnom.community.members.backend.MemberBackend"
HALF_LOGIN_FOR = timedelta(minutes=10)
TELL_OWNER_AFTER = 15


def locate(login: str, *, now: datetime) -> tuple[Member | None, str]:
    """The living account behind an ID or address, and its subject; for nobody's a decoy, after the same look-ups."""
    text = canonical_username(login)
    item = "email" if "@" in text else "username"
    try:
        canonical = canonical_email(text) if item == "email" else text
    except ValueError:
        canonical = text
    decoy = decoy_subject(item, canonical, now=now)
    member = Member.objects.filter(subject=find_subject(item, canonical) or decoy).exclude(state="withdrawn").first()
    return member, member.subject if member else decoy


def prove_login(*, login: str, password: str, address: str, now: datetime) -> Member:
    """The member whose ID or address and password these are. Raises LoginWrong, TooMany; tells nothing else."""
    here = limit_key(address)
    hit("login address", here, limit=300, per_seconds=600)
    member, subject = locate(login, now=now)
    here_for_it = f"{subject}\0{here}"
    hit("login account", here_for_it, limit=20, per_seconds=600)
    right = check_password(password, member.password if member else _DUMMY)
    if member is None or not right:
        if count("wrong passwords", subject, per_seconds=DAY_SECONDS) == TELL_OWNER_AFTER:
            queue_letter(subject, "guessing", now=now)  # for a decoy too; that one is dropped when it would be sent
        raise LoginWrong(subject)
    give_back("login account", here_for_it)
    give_back("login address", here)
    note_use(member.subject, "email" if "@" in login else "username", purpose="identity", by=SYSTEM, now=now)
    note_use(member.subject, "password", purpose="identity", by=SYSTEM, now=now)
    return member


def prove_password(member: SignedIn, *, password: str, now: datetime) -> None:
    """Who sits there knows the member's password. Raises LoginWrong, TooMany: one counter for every form that asks."""
    hit("step-up", member.subject, limit=10, per_seconds=600)
    if not member.check_password(password):
        raise LoginWrong(member.subject)
    give_back("step-up", member.subject)
    note_use(member.subject, "password", purpose="identity", by=SYSTEM, now=now)


def step_up(request: MemberRequest, *, password: str) -> None:
    """The session is proven for ten minutes, under a new key. Raises LoginWrong, TooMany, SessionOver."""
    prove_password(request.member, password=password, now=request.now)
    mark_step_up(request)
    renew_session(request, now=request.now)


def has_second_factor(member: Member) -> bool:
    return "second_factor" in held_items(member.subject)


def start_session(request: Request, member: Member) -> None:
    """A new session id and a new token for forms; the session holds numbers only."""
    rotate_token(request)
    now, agent = request.now, request.headers.get("User-Agent", "")
    before = request.session.get("sid", "")
    request.session.flush()
    sid = secrets.token_hex(24)
    request.session[SESSION_KEY] = str(member.pk)
    request.session[BACKEND_SESSION_KEY] = BACKEND
    request.session[HASH_SESSION_KEY] = member.get_session_auth_hash()
    request.session["sid"] = sid
    mark_step_up(request)
    request.session.save()
    if before:
        end_session_of(before)
    Member.objects.filter(pk=member.pk).update(last_login=now)
    note_session(member, sid=sid, session_key=request.session.session_key or "", agent=agent, now=now)
    request.member = member
    request.actor = Actor(member.role, member.subject)
    request.access_note = ("login", member.subject)


def sign_in(request: Request, member: Member) -> None:
    """The session begins, and a device not seen lately is told to the owner (but for the very first one)."""
    if is_new_device(member, request.headers.get("User-Agent", ""), now=request.now) and member.last_login is not None:
        queue_letter(member.subject, "new_device", now=request.now)
    start_session(request, member)


def begin_second_factor(request: Request, member: Member, *, target: str) -> None:
    """The password was right; nobody is signed in yet. Also here the session gets a new id."""
    request.session.flush()
    request.session[HALF_LOGIN] = {
        "member": member.pk,
        "epoch": member.session_epoch,
        "at": request.now.isoformat(),
        "target": target,
    }


def half_signed_in(request: Request) -> tuple[Member, str] | None:
    """Who has given the password and owes the second factor, and where they wanted to go."""
    half = request.session.get(HALF_LOGIN)
    if not half or not timedelta(0) <= request.now - datetime.fromisoformat(half["at"]) < HALF_LOGIN_FOR:
        return None
    member = Member.objects.filter(pk=half["member"], session_epoch=half["epoch"]).exclude(state="withdrawn").first()
    return (member, half["target"]) if member else None
