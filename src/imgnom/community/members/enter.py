"""Signing in and out (A2.2a, A2.2c; threats N1, N2, N4).

An ID, an address and what is nobody's take the same way: the same look-ups, one password check, one answer. Failures
are counted by network, by network and typed name, and by typed name alone; a success takes back its own count and no
other. All of it is counted by what was typed, in the form that is looked up: known and unknown names then wait alike at
any hour, and the ID and the address of one account do not share a counter by which they could be joined.

The count by name alone bounds guessing from any number of networks. A stranger can use it up, so it only delays, a
browser known to the account is not subject to it, and a mailed number makes any browser a known one.
Whoever has a second factor is signed in after it and not a moment before.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import check_password, make_password
from django.middleware.csrf import rotate_token

from imgnom.community.members.codes import DAY_SECONDS
from imgnom.community.members.devices import is_new_device
from imgnom.community.members.errors import LoginWrong
from imgnom.community.members.guess_limits import return_try, take_try
from imgnom.community.members.known_browsers import known_browser, remember_browser
from imgnom.community.members.letters import queue_letter
from imgnom.community.members.mail_limits import lane_of
from imgnom.community.members.models import Member
from imgnom.community.members.rules import canonical_username
from imgnom.community.members.sessions import end_session_of, note_session, renew_session
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.vault.public import decoy_subject, find_subject, held_items, note_use
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.address import client_address
from imgnom.web.guards import HALF_LOGIN, mark_step_up
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.throttle import (
    count,
    give_back,
    give_back_network,
    hit,
    hit_network,
    return_turn,
    take_turn,
)

# Compared with when nobody is found, so that the answer takes the same time.
_DUMMY = make_password("imgnom: nobody has this password")
BACKEND = "imgnom.community.members.backend.MemberBackend"
HALF_LOGIN_FOR = timedelta(minutes=10)
TELL_OWNER_AFTER = 15
GUESSERS = "guessers"


# Wrong passwords for one typed name from one network; wider networks have a multiple.
NETWORK_TRIES, NETWORK_TRIES_A_DAY = 20, 30
# Those of a day from all unknown browsers together, before each one waits for the last: more than one network has.
FREE_TRIES, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 40, 30, 1800


@dataclass(frozen=True)
class Located:
    """The living account behind what was typed, if there is one.

    `subject` is that of a decoy for nobody's name. `typed` is the canonical form that was looked up: the only thing that
    a limit may be counted by.
    """

    member: Member | None
    subject: str
    typed: str


def locate(login: str, *, now: datetime) -> Located:
    """The same look-ups for a known and an unknown name."""
    text = canonical_username(login)
    item = "email" if "@" in text else "username"
    try:
        canonical = canonical_email(text) if item == "email" else text
    except ValueError:
        canonical = text
    decoy = decoy_subject(item, canonical, now=now)
    member = Member.objects.filter(subject=find_subject(item, canonical) or decoy).exclude(state="withdrawn").first()
    return Located(member, member.subject if member else decoy, f"{item}\0{canonical}")


class _Tries:
    """The counters of one try at a typed name: those of a browser known to the account, or those of everybody else."""

    def __init__(self, found: Located, *, address: str, browser: str) -> None:
        self._typed, self._address = found.typed, address
        self._own = f"{found.subject}\0{browser}" if browser else ""

    def take(self) -> None:
        """Raises TooMany."""
        if self._own:
            hit("login known browser", self._own, limit=20, per_seconds=600)
            hit("login known browser of a day", self._own, limit=60, per_seconds=DAY_SECONDS)
            return
        hit_network("login", self._address, limit=300, per_seconds=600)
        hit_network("login account", self._address, about=self._typed, limit=NETWORK_TRIES, per_seconds=600)
        hit_network(
            "login account of a day", self._address, about=self._typed,
            limit=NETWORK_TRIES_A_DAY, per_seconds=DAY_SECONDS,
        )  # fmt: skip
        take_turn(
            "login account", self._typed,
            free=FREE_TRIES, first_seconds=FIRST_WAIT_SECONDS, longest_seconds=LONGEST_WAIT_SECONDS,
        )  # fmt: skip

    def give_back(self) -> None:
        if self._own:
            give_back("login known browser", self._own)
            give_back("login known browser of a day", self._own)
            return
        give_back_network("login", self._address)
        give_back_network("login account", self._address, about=self._typed)
        give_back_network("login account of a day", self._address, about=self._typed)
        return_turn("login account", self._typed)


def prove_login(request: Request, *, login: str, password: str) -> Member:
    """The member whose ID or address and password these are. Raises LoginWrong, TooMany; tells nothing else."""
    now = request.now
    found = locate(login, now=now)
    member = found.member
    tries = _Tries(found, address=client_address(request), browser=known_browser(request, found.subject))
    tries.take()
    right = check_password(password, member.password if member else _DUMMY)
    if member is None or not right:
        if count("wrong passwords", found.typed, per_seconds=DAY_SECONDS) == TELL_OWNER_AFTER:
            # For a decoy too; that one is dropped when it would be sent.
            queue_letter(found.subject, "guessing", now=now, lane=lane_of(found.typed), source=GUESSERS)
        raise LoginWrong(found.subject)
    tries.give_back()
    note_use(member.subject, "email" if "@" in login else "username", purpose="identity", by=SYSTEM, now=now)
    note_use(member.subject, "password", purpose="identity", by=SYSTEM, now=now)
    return member


def prove_password(request: MemberRequest, *, password: str) -> None:
    """Who sits there knows the member's password. Raises LoginWrong, TooMany: one counter for every form that asks."""
    member = request.member
    take_try(request, "step-up", member.subject)
    if not member.check_password(password):
        raise LoginWrong(member.subject)
    return_try(request, "step-up", member.subject)
    note_use(member.subject, "password", purpose="identity", by=SYSTEM, now=request.now)


def step_up(request: MemberRequest, *, password: str) -> None:
    """The session is proven for ten minutes, under a new key. Raises LoginWrong, TooMany, SessionOver."""
    prove_password(request, password=password)
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
    remember_browser(request, member.subject)
    request.member = member
    request.actor = Actor(member.role, member.subject)
    request.access_note = ("login", member.subject)


def sign_in(request: Request, member: Member) -> None:
    """The session begins, and a device not seen lately is told to the owner (but for the very first one)."""
    if is_new_device(member, request.headers.get("User-Agent", ""), now=request.now) and member.last_login is not None:
        queue_letter(member.subject, "new_device", now=request.now)
    start_session(request, member)


def begin_second_factor(request: Request, member: Member, *, target: str) -> None:
    """The password was right; nobody is signed in yet. Also here the session gets a new id, and one from before ends."""
    before = request.session.get("sid", "")
    request.session.flush()
    if before:
        end_session_of(before)
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
