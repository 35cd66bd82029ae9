"""Every model field says whether it is personal: which item of the policy it holds, or why it is of no person.

A field that says neither fails the system check, so nobody adds a column past the inventory (A1.0, rule C1). Models of
Django's own apps are marked here; rooms mark theirs beside the fields.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db.models import Model

from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import PolicyError

# label.model -> (personal, not personal). The keys are field names, or * for all.
THIRD_PARTY: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "contenttypes.contenttype": ({}, {"*": "names of tables"}),
    "auth.permission": ({}, {"*": "names of permissions; none is used, roles stand on the member"}),
    "auth.group": ({}, {"*": "no group is ever made"}),
    "auth.group_permissions": ({}, {"*": "no group is ever made"}),
    "sessions.session": (
        {"session_key": "session", "session_data": "session"},
        {"expire_date": "when the row may be cleared"},
    ),
}


def _marks(model: type[Model]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    third = THIRD_PARTY.get(model._meta.label_lower)
    if third is not None:
        return third
    return getattr(model, "personal", {}), getattr(model, "not_personal", {})


def _fields(model: type[Model]) -> Iterator[str]:
    for field in model._meta.get_fields():
        if getattr(field, "concrete", False) or (getattr(field, "many_to_many", False) and not field.auto_created):
            yield field.name


def find_unmarked(models: list[type[Model]]) -> list[tuple[str, str, str]]:
    """(model, field, what is wrong) for every field that is unmarked, marked twice or names an unknown item."""
    items = policy_in_force().items
    wrong: list[tuple[str, str, str]] = []
    for model in models:
        personal, not_personal = _marks(model)
        for name in _fields(model):
            in_one, in_other = name in personal or "*" in personal, name in not_personal or "*" in not_personal
            if not (in_one or in_other):
                wrong.append((model._meta.label, name, "is marked neither personal nor not personal"))
            elif in_one and in_other:
                wrong.append((model._meta.label, name, "is marked both personal and not personal"))
            elif in_one and (item := personal.get(name, personal.get("*", ""))) not in items:
                wrong.append((model._meta.label, name, f"names the item {item!r}, which the policy does not know"))
            elif in_other and not not_personal.get(name, not_personal.get("*", "")).strip():
                wrong.append((model._meta.label, name, "gives no reason why it is not personal"))
        known = set(_fields(model)) | {"*"}
        wrong.extend(
            (model._meta.label, name, "is marked but is no field") for name in {*personal, *not_personal} - known
        )
    return wrong


def check_marks(app_configs: Any = None, **_kwargs: Any) -> list[CheckMessage]:
    try:
        wrong = find_unmarked(apps.get_models(include_auto_created=True))
    except PolicyError as error:
        return [Error(str(error), id="imgnom.E002")]
    return [Error(f"{model}.{field} {what}.", id="imgnom.E001") for model, field, what in wrong]


def register_check() -> None:
    register(check_marks, "imgnom")
