"""The policy as JSON, for programs (`/privacy.json`, `policy show --json`)."""

from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from imgnom.policy.types import Period, Permanent, Policy, Text


def _plain(value: Any) -> Any:
    if isinstance(value, Text):
        return {"ko": value.ko, "en": value.en}
    if isinstance(value, Period | Permanent):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if hasattr(value, "items"):
        return {k: _plain(v) for k, v in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def public_facts(policy: Policy) -> dict[str, Any]:
    """All that the policy declares; everything in it is public."""
    return {f.name: _plain(getattr(policy, f.name)) for f in fields(policy) if f.name not in ("wording", "source")}
