"""What a wording file can name: the value of a hole in words, and whether the condition of a turn holds.

A condition is `KEY`, `not KEY`, `KEY is WORD|WORD` or `KEY is not WORD`, several joined by ` and `. A key that may be
absent (`items.phone`, `records.x`, `purposes.y`) asks whether it is declared; `list.…` whether anything is in it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from imgnom.policy.errors import PolicyError
from imgnom.policy.periods import words_for_fate, words_for_period, words_for_start
from imgnom.policy.types import Policy, Purpose, Text

_AND = re.compile(r"\s+and\s+")
_IS = re.compile(r"(\S+)\s+is\s+(not\s+)?(.+)")
_TABLES = (
    "items",
    "purposes",
    "records",
    "cookies",
    "consents",
    "settings",
    "recipients",
    "processors",
    "roles",
    "clauses",
)
_OTHER_ARTICLES = ("A2.", "A1.")


def _joined(texts: list[Text], lang: str) -> str:
    return ", ".join(dict.fromkeys(text.get(lang) for text in texts))


def _list(policy: Policy, kind: str, name: str) -> list[Text]:
    match kind:
        case "items":
            return [item.label for item in policy.items.values() if item.collected == name]
        case "public":
            return [item.label for item in policy.items.values() if item.collected == name and item.public]
        case "records":
            return [policy.items[item].label for item in policy.records[name].items]
        case "purposes" if name == "elsewhere":
            return [p.label for p in policy.purposes.values() if not p.article.startswith(_OTHER_ARTICLES)]
        case "purposes":
            return [p.label for p in policy.purposes.values() if p.article.startswith(name)]
        case "based":
            return [p.label for p in policy.purposes.values() if p.basis == name]
        case "cookies" if name == "optional":
            return [c.label for c in policy.cookies.values() if c.category not in ("necessary", "preference")]
        case "cookies":
            return [c.label for c in policy.cookies.values() if c.category == name]
        case "parties":
            return [party.name for party in _table(policy, name).values()]
    raise KeyError(
        "list.items.registration, list.records.posts, list.purposes.A2.3, list.based.consent, list.cookies.optional, list.parties.processors"
    )


def _table(policy: Policy, name: str) -> Mapping[str, Any]:
    if name not in _TABLES:
        raise KeyError(
            ", ".join((*_TABLES, "operator", "officer", "list", "count", "effective", "version", "id", "zone"))
        )
    table: Mapping[str, Any] = getattr(policy, name)
    return table


def _sentence(policy: Policy, purpose: Purpose, lang: str) -> str:
    """What a purpose promises: its words, and that it is asked for where it rests on a consent of its own."""
    words = purpose.label.get(lang)
    if purpose.consent is None:
        return words
    asked = policy.consents[purpose.consent].label.get(lang)
    return (
        f"{words} (‘{asked}’에 동의한 분에게만)"
        if lang == "ko"
        else f"{words} (only for those who agreed to “{asked}”)"
    )


def _cookie_list(policy: Policy, lang: str) -> str:
    return ", ".join(f"{c.name} ({c.label.get(lang)})" for c in policy.cookies.values())


def value_of(policy: Policy, key: str, lang: str) -> str:
    """The words for a hole. Raises KeyError with what could be named instead."""
    match key.split("."):
        case ["effective"]:
            return policy.effective.isoformat()
        case ["version"]:
            return policy.version
        case ["id"]:
            return policy.id
        case ["zone"]:
            return policy.zone
        case ["operator" | "officer" as who, name]:
            people = policy.operator if who == "operator" else policy.officer
            return _named(people, name).get(lang)  # type: ignore[no-any-return]
        case ["list", "cookies", "all"]:
            return _cookie_list(policy, lang)
        case ["list", kind, *name] if name:
            return _joined(_found_list(policy, kind, ".".join(name)), lang) or ("없음" if lang == "ko" else "none")
        case ["count", kind, *name] if name:
            return str(len(_found_list(policy, kind, ".".join(name))))
        case ["settings", name]:
            return _setting_words(_named(policy.settings, name).value, lang)
        case ["clauses", *name, "promise"]:
            return _named(policy.clauses, ".".join(name)).promise.get(lang)  # type: ignore[no-any-return]
        case ["purposes", name, "sentence"]:
            return _sentence(policy, _named(policy.purposes, name), lang)
        case [table, name, attribute]:
            return _attribute(_named(_table(policy, table), name), attribute, lang)
    raise KeyError(
        "such as records.posts.period, items.email.label, list.items.registration, settings.without_delay_days"
    )


def _found_list(policy: Policy, kind: str, name: str) -> list[Text]:
    try:
        return _list(policy, kind, name)
    except KeyError as error:
        known = ", ".join(policy.records) if kind == "records" else str(error.args[0])
        raise KeyError(known) from None


def _setting_words(value: str | int | bool, lang: str) -> str:
    if isinstance(value, bool):
        return ("예" if value else "아니요") if lang == "ko" else ("yes" if value else "no")
    return str(value)


def _named(table: Mapping[str, Any], name: str) -> Any:
    if name not in table:
        raise KeyError(", ".join(table))
    return table[name]


def _attribute(thing: Any, attribute: str, lang: str) -> str:
    match attribute:
        case "label" | "text" | "refusal" | "hint" | "name" if isinstance(getattr(thing, attribute, None), Text):
            return getattr(thing, attribute).get(lang)  # type: ignore[no-any-return]
        case "period" if hasattr(thing, "period"):
            return thing.period if isinstance(thing.period, str) else words_for_period(thing.period, lang)
        case "fate" if hasattr(thing, "destroy"):
            return words_for_fate(thing.period, thing.starts, lang)
        case "start" if hasattr(thing, "starts"):
            return words_for_start(thing.starts, lang)
    raise KeyError("label, text, refusal, hint, name, period, fate, start")


def _raw(policy: Policy, key: str) -> Any:
    """What a condition compares: True or False for something declared or not, else the value as the file writes it."""
    match key.split("."):
        case ["list", kind, *name] if name:
            return bool(_found_list(policy, kind, ".".join(name)))
        case ["settings", name]:
            return _named(policy.settings, name).value
        case [table, name]:
            return name in _table(policy, table)
        case [
            table,
            name,
            "scope"
            | "starts"
            | "store"
            | "state"
            | "destroy"
            | "basis"
            | "category"
            | "collected"
            | "period"
            | "required" as what,
        ]:
            thing = _named(_table(policy, table), name)
            if not hasattr(thing, what):
                raise KeyError("scope, starts, store, state, destroy, basis, category, collected, period, required")
            return getattr(thing, what)
    raise KeyError("records.NAME.scope, purposes.NAME.basis, settings.NAME, items.NAME, list.items.registration")


def _as_written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "none" if value is None else str(value)


type Unknown = Callable[[str, str, str], PolicyError]


def _one_holds(policy: Policy, words: str, whole: str, unknown: Unknown) -> bool:
    compared = _IS.fullmatch(words)
    key = compared[1] if compared else words.removeprefix("not ").strip()
    try:
        value = _raw(policy, key)
    except KeyError as error:
        raise unknown(whole, f"{key!r} names nothing in the policy file", str(error.args[0])) from None
    if compared is None:
        if not isinstance(value, bool):
            raise unknown(whole, f"{key!r} has a value", f"{key} is …")
        return value != words.startswith("not ")
    wanted = {word.strip() for word in compared[3].split("|")}
    return (_as_written(value) in wanted) != bool(compared[2])


def holds(policy: Policy, words: str, unknown: Unknown) -> bool:
    """Whether all parts of a condition are true of the facts. Raises what `unknown` makes of a part that names nothing."""
    if not words.strip():
        raise unknown(words, "asks nothing", "{{if KEY is WORD}}")
    # Every part is asked, so that one that names nothing is found whatever the others say.
    parts = [_one_holds(policy, part.strip(), words, unknown) for part in _AND.split(words.strip())]
    return all(parts)
