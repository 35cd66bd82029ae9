"""Who looked (A2.0, X4): each look and act of the staff, and what the system last used a value for; newest first."""

from dataclasses import dataclass
from datetime import datetime

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.vault.public import uses_of
from imgnom.policy.public import Text
from imgnom.procedures.moderation.public import looks_at

SHOWN = 12
# Signing in is the member's own doing, though the system compares.
OWN_DOING = ("identity",)
ACTS = {
    "look": Text("열어 보았습니다", "looked at"),
    "remove": Text("가렸습니다", "removed"),
    "restore": Text("되돌렸습니다", "restored"),
    "delete": Text("없앴습니다", "destroyed"),
}


@dataclass(frozen=True)
class Look:
    """By which role, what, why, when; never which account."""

    who: Text
    what: Text
    did: Text
    why: Text
    at: datetime
    by_staff: bool


def looks_of(subject: str, *, now: datetime) -> tuple[Look, ...]:
    policy = policy_in_force()
    found = []
    for use in uses_of(subject):
        role, item, purpose = policy.roles.get(use.role), policy.items.get(use.item), policy.purposes.get(use.purpose)
        if role and item and purpose and use.role != "member" and (use.by_staff or use.purpose not in OWN_DOING):
            did = Text("보았습니다", "looked at") if use.by_staff else Text("썼습니다", "used")
            found.append(Look(role.label, item.label, did, purpose.label, use.at, use.by_staff))
    for look in looks_at(subject, now=now):
        role = policy.roles.get(look.role)
        if role is not None:
            kind = "comment_text" if look.what.split(" ")[0] == "comment" else "image_file"
            what = policy.items[kind].label if kind in policy.items else Text("", "")
            why = Text(look.reason, look.reason)
            found.append(Look(role.label, what, ACTS.get(look.act, ACTS["look"]), why, look.at, by_staff=True))
    return tuple(sorted(found, key=lambda look: look.at, reverse=True)[:SHOWN])
