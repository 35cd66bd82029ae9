"""May this role read this item for this purpose now? The one place where that is decided (A2.0).

Order: declared at all, declared for this use, consent where the purpose needs it, restriction, archive, deadline.
CannotTell behaves as Deny for the caller and is reported: it means the file is silent where it should speak.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from imgnom.policy.types import Policy, Text


@dataclass(frozen=True)
class Allow:
    reason: Text
    clause: str


@dataclass(frozen=True)
class Deny:
    reason: Text
    clause: str


@dataclass(frozen=True)
class CannotTell:
    reason: Text
    clause: str


type Decision = Allow | Deny | CannotTell

# Purposes for which the separate store may be opened at all (A4.1②); own access is the person's right.
DOORS_OF_THE_ARCHIVE = ("investigation", "rights", "retention")
# What a correction request never stops: seeing one's own value, signing in, and carrying out the law.
FREE_OF_RESTRICTION = ("rights", "identity", "retention", "investigation")


def decide(
    policy: Policy,
    *,
    item: str,
    purpose: str,
    role: str,
    consents: AbstractSet[str] = frozenset(),
    restricted: bool = False,
    archived: bool = False,
    deadline: datetime | None = None,
    now: datetime,
) -> Decision:
    known = policy.items.get(item)
    aim = policy.purposes.get(purpose)
    if known is None or aim is None:
        return CannotTell(Text("방침에 없는 항목이나 목적입니다.", "The policy knows no such item or purpose."), "A2.0")
    if known.collected in ("planned", "never"):
        return CannotTell(Text("아직 아무도 모으지 않는 항목입니다.", "Nothing collects this item yet."), "C1")
    use = next((use for use in policy.uses if use.item == item and use.purpose == purpose), None)
    if use is None:
        return Deny(
            Text("이 목적으로는 쓰지 않기로 한 항목입니다.", "This item is not used for this purpose."), aim.article
        )
    if role not in use.roles:
        return Deny(Text("이 역할은 볼 수 없습니다.", "This role may not see it."), aim.article)
    if aim.consent is not None and aim.consent not in consents:
        return Deny(Text("동의하지 않은 목적입니다.", "There is no consent to this purpose."), aim.article)
    if archived and purpose not in DOORS_OF_THE_ARCHIVE:
        return Deny(
            Text(
                "분리 보관된 값은 보관 목적 말고는 쓰지 않습니다.",
                "What is kept apart serves only what it is kept for.",
            ),
            "A4.1②",
        )
    if restricted and purpose not in FREE_OF_RESTRICTION:
        return Deny(Text("정정이 끝날 때까지 쓰지 않습니다.", "It is not used until the correction is done."), "A7.3a")
    if archived and deadline is None:
        return CannotTell(Text("보관 기한을 알 수 없습니다.", "The deadline of the kept value is unknown."), "A4.1①")
    if deadline is not None and now >= deadline:
        return Deny(Text("보관 기한이 지났습니다.", "Its period is over."), "A4.0")
    return Allow(Text("방침에 적힌 쓰임입니다.", "The policy declares this use."), aim.article)
