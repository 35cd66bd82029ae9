"""Everything held about a member, item by item: what, why, until when, where, used for what and when last (A7.1, A2.0).

The list is worked out from the policy file and from what is really there, so that an item added to the file stands
here like the others. Values are opened one by one, as the member's own reading, and only when asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from imgnom.community.comments.public import count_comments
from imgnom.community.images.public import count_for, count_lookalikes
from imgnom.community.members.public import held_dates
from imgnom.community.visits.public import record_span
from imgnom.custody.consent.public import consent_history
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeysError
from imgnom.custody.vault.public import ValueMissing, corrections_of, held_items, uses_of
from imgnom.custody.vault.reveal import RevealRefused, reveal
from imgnom.policy.public import (
    Actor,
    Fate,
    Item,
    LeavingFacts,
    Policy,
    Purpose,
    Record,
    plan_withdrawal,
)
from imgnom.web.requests import SignedIn

VISITS = ("access_log", "ip_address", "device_information", "service_use_records")
# What the very request on which this page is read was recognised by.
RIGHT_NOW = {"session": ("misuse_prevention",), "necessary_cookies": ("identity",)}
# Nobody is shown these, not even their owner: who read them over a shoulder could sign in.
NEVER_SHOWN = ("password", "second_factor", "confirmation_code")
ONE_WAY = ("password", "email_index", "former_value")


@dataclass(frozen=True)
class LastTime:
    """A purpose of an item, and when it last served it; `always` where it stands on pages that anybody opens."""

    purpose: Purpose
    at: datetime | None
    always: bool = False


@dataclass(frozen=True)
class Held:
    item: Item
    value: str
    count: int | None
    sealed: bool
    purposes: tuple[LastTime, ...]
    ends: tuple[datetime, ...] = ()
    fates: tuple[Fate, ...] = field(default=())

    @property
    def served(self) -> tuple[LastTime, ...]:
        return tuple(last for last in self.purposes if last.at or last.always)

    @property
    def not_yet(self) -> tuple[Purpose, ...]:
        return tuple(last.purpose for last in self.purposes if not (last.at or last.always))

    @property
    def is_secret(self) -> bool:
        return self.item.id in NEVER_SHOWN or self.item.id in ONE_WAY


def read_own(member: SignedIn, item: str, *, now: datetime) -> str:
    """One's own value, or nothing where there is none."""
    try:
        return reveal(member.subject, item, purpose="rights", by=Actor("member", member.subject), now=now).open()
    except (ValueMissing, RevealRefused, KeysError):
        return ""


def _counts(member: SignedIn, now: datetime) -> Mapping[str, int]:
    pictures, _ = count_for(member.pk)
    visits = record_span(member.subject, now=now)
    counts = {
        "image_file": pictures, "image_text": pictures, "image_lookalike": count_lookalikes(member.pk), "comment_text": count_comments(member.pk), "consent_record": len(consent_history(member.subject)),
        "use_record": len(uses_of(member.subject)), "former_value": len(corrections_of(member.subject)), "email_index": 2,
    }  # fmt: skip
    counts |= dict.fromkeys(VISITS, visits.count if visits else 0)
    return counts | {item: len(ends) for item, ends in held_dates(member.pk, member.subject, now=now).items()}


def _ends(member: SignedIn, now: datetime) -> Mapping[str, tuple[datetime, ...]]:
    visits = record_span(member.subject, now=now)
    ends = dict(held_dates(member.pk, member.subject, now=now))
    if visits is not None:
        dates = tuple(dict.fromkeys(end for end in (visits.first_end, visits.last_end) if end is not None))
        ends |= dict.fromkeys(VISITS, dates)
    return ends


def _last_times(policy: Policy, member: SignedIn, item: str, now: datetime) -> tuple[LastTime, ...]:
    used: dict[str, datetime] = {}
    for row in uses_of(member.subject):
        if row.item == item:
            used.setdefault(row.purpose, row.at)
    if item in VISITS and (visits := record_span(member.subject, now=now)):
        used["misuse_prevention"] = visits.last_at
    used |= dict.fromkeys(RIGHT_NOW.get(item, ()), now)
    shown = {use.purpose for use in policy.uses if use.item == item and "visitor" in use.roles}
    return tuple(LastTime(p, used.get(p.id), p.id in shown) for p in policy.purposes_of(item))


def held_of(member: SignedIn, *, now: datetime, with_values: bool) -> tuple[Held, ...]:
    """In the order of the policy file; nothing is listed that is not there, and nothing that is there is left out."""
    policy = policy_in_force()
    sealed, counts, ends = set(held_items(member.subject)), _counts(member, now), _ends(member, now)
    always = {"password", "membership", "necessary_cookies"} & policy.items.keys()
    plan = plan_withdrawal(policy, LeavingFacts(extra_items=tuple(sorted(sealed - always))), choice="keep", now=now)
    rows = []
    for key, item in policy.items.items():
        if not (key in sealed or key in always or counts.get(key)):
            continue
        value = ""
        if key == "membership":
            value = member.joined_at.isoformat(timespec="seconds")
        elif key in sealed and key not in NEVER_SHOWN and with_values:
            value = read_own(member, key, now=now)
        fates = tuple(f for f in plan.fates if key in f.items and f.outcome in ("archived", "kept_until"))
        rows.append(
            Held(
                item,
                value,
                counts.get(key),
                key in sealed and key not in NEVER_SHOWN,
                _last_times(policy, member, key, now),
                ends.get(key, ()),
                fates,
            )
        )
    return tuple(rows)


def records_of(policy: Policy, item: str) -> tuple[Record, ...]:
    """What says how long it is kept, without what is over once somebody is a member."""
    return tuple(
        record for record in policy.records_of(item) if record.state == "built" and record.id != "pending_registration"
    )
