"""What the pages of leaving show, worked out from the plan and from the receipt: words and places, no decisions."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import rfc8785

from imgnom.custody.consent.public import policy_versions
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import LeafUnknown, proof_of
from imgnom.policy.public import Choice, Fate, LeavingFacts, Policy, Text, WithdrawalPlan
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.receipts import receipt_facts

# What one record is called where people read it in a row with others; all others are called by their items.
BY_RECORD = ("access_records_member", "consent_records", "freed_names")
NAMES = {
    "session": Text("로그인한 곳", "Signed-in sessions"),
    "private_pictures": Text("나만 보는 사진", "Pictures only you see"),
    "mail_queue": Text("영수증을 보낼 이메일 주소", "The address for the receipt's letter"),
    "posts": Text("사진과 댓글", "Pictures and comments"),
}
# The calendar of the plan, in units of its drawing.
LEFT, RIGHT = 16, 600


@dataclass(frozen=True)
class Line:
    """One thing and what becomes of it."""

    name: Text
    count: int | None
    why: Text
    until: date | None
    clause: str


@dataclass(frozen=True)
class Knot:
    """A day on the calendar on which something is gone."""

    x: int
    anchor: str
    day: date
    names: Text
    is_last: bool


def joined(policy: Policy, items: tuple[str, ...] | list[str]) -> Text:
    labels = [policy.items[item].label for item in items if item in policy.items]
    return Text("·".join(label.ko for label in labels), ", ".join(label.en for label in labels))


def name_of(policy: Policy, record: str, items: tuple[str, ...] | list[str]) -> Text:
    if record in NAMES:
        return NAMES[record]
    if record in BY_RECORD and record in policy.records:
        return policy.records[record].label
    found = joined(policy, items)
    return found if found.ko else Text(record, record)


def _line(policy: Policy, fate: Fate) -> Line:
    return Line(name_of(policy, fate.record, fate.items), fate.count, fate.reason, fate.until, fate.clause)


def _calendar(policy: Policy, plan: WithdrawalPlan) -> tuple[Knot, ...]:
    """Days in their order, evenly apart: the drawing tells what comes after what, the dates say when."""
    days: dict[date, list[Text]] = {}
    for fate in plan.fates:
        if fate.until is not None and fate.outcome in ("archived", "kept_until") and fate.record != "mail_queue":
            short = NAMES.get(fate.record) or policy.records[fate.record].label
            days.setdefault(fate.until, []).append(short)
    step = (RIGHT - LEFT) / max(1, len(days))
    knots = []
    for place, day in enumerate(sorted(days), 1):
        names = days[day]
        more = len(names) - 1
        words = Text(names[0].ko + (f" 외 {more}" if more else ""), names[0].en + (f" and {more} more" if more else ""))
        last = place == len(days)
        knots.append(Knot(round(LEFT + step * place), "end" if last else "middle", day, words, last))
    return tuple(knots)


def shown_plan(plans: Mapping[Choice, WithdrawalPlan], facts: LeavingFacts) -> dict[str, Any]:
    """What stands on the page before a choice: what is the same under each, and what keeping adds."""
    policy, plan = policy_in_force(), plans["keep"]
    always = [f for f in plan.of("destroyed_now") if f.count != 0]
    later = sorted(
        (f for f in plan.fates if f.outcome in ("archived", "kept_until") and f.until),
        key=lambda f: (f.until, f.record),
    )
    for_ever = [f for f in plan.fates if f.outcome == "kept" and f.record != "posts"]
    return {
        "facts": facts,
        "now_lines": [_line(policy, f) for f in always],
        "later_lines": [_line(policy, f) for f in later],
        "for_ever_lines": [_line(policy, f) for f in for_ever],
        "knots": _calendar(policy, plan),
        "last_day": max((f.until for f in later if f.until), default=None),
        "has_posts": bool(facts.pictures or facts.comments),
    }


# ── the receipt ────────────────────────────────────────────────────────────────────────────────────────────────────


def _receipt_line(policy: Policy, line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name_of(policy, line["record"], line["items"]),
        "count": line["count"],
        "why": Text(line["reason"]["ko"], line["reason"]["en"]),
        "until": date.fromisoformat(line["until"]) if line["until"] else None,
        "at": datetime.fromisoformat(line["destroyed_at"]) if line.get("destroyed_at") else None,
        "certificate": line.get("certificate", ""),
        "clause": line["clause"],
        "state": line["state"],
        "is_early": line["record"] == "mail_queue",
    }


def _certificate(found: Mapping[str, Any]) -> dict[str, Any]:
    content = found["certificate"]
    try:
        proof = proof_of(found["leaf_id"])
        place, size = proof["index"] + 1, proof["size"]
    except LeafUnknown:
        place, size = None, None
    return {
        "number": content["certificate"],
        "grade": found["grade"],
        "at": datetime.fromisoformat(content["time"]),
        "digest": hashlib.sha256(rfc8785.dumps(content)).hexdigest(),
        "keys": content["keys_destroyed"],
        "holder": content["holder"],
        "place": place,
        "size": size,
        "what": name_of(
            policy_in_force(), str(content["what"]), content["items"] if isinstance(content["items"], list) else []
        ),
    }


def shown_receipt(row: Withdrawal, now: datetime) -> dict[str, Any]:
    policy = policy_in_force()
    facts = receipt_facts(row, now=now)
    lines = [_receipt_line(policy, line) for line in facts["lines"] if line["count"] != 0]

    def of(*states: str) -> list[dict[str, Any]]:
        return [line for line in lines if line["state"] in states]

    certificates = [_certificate(found) for found in facts["certificates"]]
    version = next((v for v in policy_versions() if v.digest == row.policy_digest), None)
    return {
        "number": row.number,
        "left_at": row.starts_at,
        "choice": row.choice,
        "gone": of("destroyed"),
        "going": of("going"),
        "held": sorted(of("held", "refused"), key=lambda line: line["until"] or date.max),
        "stays": of("stays"),
        "going_by": row.starts_at + timedelta(days=int(policy.setting("without_delay_days"))),
        "certificates": certificates,
        "is_final": bool(certificates) and all(c["grade"] == "final" for c in certificates),
        "is_over": not of("going", "held", "refused"),
        "version": version,
        "policy_digest": row.policy_digest,
        "today": now,
        "backup_days": policy.setting("backup_days"),
    }
