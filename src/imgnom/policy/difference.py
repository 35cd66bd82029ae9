"""What changed between two policies, in the terms of the file."""

from dataclasses import dataclass, fields, is_dataclass
from difflib import SequenceMatcher
from typing import Any

from imgnom.policy.types import Permanent, Policy, Text

TABLES = (
    "operator",
    "officer",
    "items",
    "purposes",
    "records",
    "recipients",
    "processors",
    "cookies",
    "roles",
    "consents",
    "settings",
    "clauses",
)


@dataclass(frozen=True)
class Change:
    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.key}: {self.after}"
        if self.after is None:
            return f"- {self.key}: {self.before}"
        return f"~ {self.key}: {self.before} → {self.after}"


def _shown(value: Any) -> str:
    if isinstance(value, Text):
        return value.en
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "permanent" if isinstance(value, Permanent) else str(value)


def _compare(key: str, old: Any, new: Any) -> list[Change]:
    if isinstance(old, Text) and isinstance(new, Text):
        lang = "en" if old.en != new.en else "ko"
        return [Change(key, old.get(lang), new.get(lang))] if old != new else []
    if is_dataclass(old) and is_dataclass(new) and type(old) is type(new):
        if not hasattr(old, "id") and not hasattr(old, "name"):
            return [Change(key, _shown(old), _shown(new))] if old != new else []
        return [c for f in fields(old) for c in _compare(f"{key}.{f.name}", getattr(old, f.name), getattr(new, f.name))]
    return [Change(key, _shown(old), _shown(new))] if old != new else []


def difference(old: Policy, new: Policy) -> tuple[Change, ...]:
    changes: list[Change] = []
    for name in ("id", "version", "effective", "zone"):
        changes.extend(_compare(name, getattr(old, name), getattr(new, name)))
    for table in TABLES:
        before, after = getattr(old, table), getattr(new, table)
        for key in dict.fromkeys([*before, *after]):
            if key not in before:
                changes.append(Change(f"{table}.{key}", None, _label(after[key])))
            elif key not in after:
                changes.append(Change(f"{table}.{key}", _label(before[key]), None))
            else:
                changes.extend(_compare(f"{table}.{key}", before[key], after[key]))
    uses_before = {(u.item, u.purpose): u.roles for u in old.uses}
    uses_after = {(u.item, u.purpose): u.roles for u in new.uses}
    for pair in dict.fromkeys([*uses_before, *uses_after]):
        a, b = uses_before.get(pair), uses_after.get(pair)
        if a != b:
            changes.append(Change(f"uses.{pair[0]}.{pair[1]}", _shown(a) if a else None, _shown(b) if b else None))
    for name in dict.fromkeys([*old.wording, *new.wording]):
        changes.extend(_words(name, old.wording.get(name, ""), new.wording.get(name, "")))
    return tuple(changes)


def _words(name: str, old: str, new: str) -> list[Change]:
    """Each sentence that went, came, or was replaced."""
    before, after = (list(filter(None, map(str.strip, text.splitlines()))) for text in (old, new))
    changes = []
    for act, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if act != "equal":
            changes.append(Change(f"wording.{name}", "\n".join(before[a:b]) or None, "\n".join(after[c:d]) or None))
    return changes


def _label(thing: Any) -> str:
    for name in ("label", "promise", "name", "value"):
        if hasattr(thing, name):
            return _shown(getattr(thing, name))
    return _shown(thing)
