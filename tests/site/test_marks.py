"""No column past the inventory: planted models of every kind, and the system check that refuses them (rule C1)."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.db import models
from django.db.models import Model
from django.test.utils import isolate_apps

from imgnom.custody.in_force import policy_in_force
from imgnom.policy.engine import ITEMS
from imgnom.site.marks import THIRD_PARTY, _marks, find_unmarked

pytestmark = pytest.mark.clause("A1.0")
ID = {"id": "a number of the row"}


def _plain() -> list[type[Model]]:
    class Plain(models.Model):
        words = models.TextField()
        not_personal = ID

        class Meta:
            app_label = "site"

    return [Plain]


def _json() -> list[type[Model]]:
    class WithJson(models.Model):
        words = models.JSONField()
        not_personal = ID

        class Meta:
            app_label = "site"

    return [WithJson]


def _key() -> list[type[Model]]:
    class Owned(models.Model):
        words = models.ForeignKey("members.Member", on_delete=models.PROTECT)
        not_personal = ID

        class Meta:
            app_label = "site"

    return [Owned]


def _many() -> list[type[Model]]:
    class Group(models.Model):
        words = models.ManyToManyField("self")
        not_personal = ID

        class Meta:
            app_label = "site"

    return [Group]


def _through() -> list[type[Model]]:
    class Gathered(models.Model):
        friends = models.ManyToManyField("self")
        not_personal = ID | {"friends": "the table between is marked by itself"}

        class Meta:
            app_label = "site"

    through = Gathered.friends.through
    assert through._meta.auto_created
    return [through]


def _generated() -> list[type[Model]]:
    class Made(models.Model):
        words = models.GeneratedField(expression=models.F("id"), output_field=models.IntegerField(), db_persist=True)
        not_personal = ID

        class Meta:
            app_label = "site"

    return [Made]


def _inherited() -> list[type[Model]]:
    class Base(models.Model):
        title = models.TextField()
        not_personal = ID | {"title": "a word of ours"}

        class Meta:
            app_label = "site"
            abstract = True

    class Heir(Base):
        words = models.TextField()

        class Meta:
            app_label = "site"

    return [Heir]


def _from_elsewhere() -> list[type[Model]]:
    class Stranger(models.Model):
        words = models.TextField()

        class Meta:
            app_label = "third_party"

    return [Stranger]


@pytest.mark.parametrize(
    "plant",
    [_plain, _json, _key, _many, _through, _generated, _inherited, _from_elsewhere],
    ids=lambda one: one.__name__,
)
def test_an_unmarked_field_of_any_kind_is_found(plant: Callable[[], list[type[Model]]]) -> None:
    with isolate_apps("imgnom.site"):
        found = find_unmarked(plant())
    assert found
    assert {what for _, _, what in found} == {"is marked neither personal nor not personal"}


@pytest.mark.parametrize(
    ("personal", "not_personal", "what"),
    [
        ({"words": "shoe_size"}, ID, "names the item 'shoe_size', which the policy does not know"),
        ({"words": "nickname"}, ID | {"words": "both"}, "is marked both personal and not personal"),
        ({}, ID | {"words": "  "}, "gives no reason why it is not personal"),
        ({"words": "nickname", "shoes": "nickname"}, ID, "is marked but is no field"),
    ],
)
def test_a_mark_that_says_nothing_true_is_found(
    personal: dict[str, str], not_personal: dict[str, str], what: str
) -> None:
    with isolate_apps("imgnom.site"):
        planted = type(
            "Planted",
            (models.Model,),
            {
                "__module__": __name__,
                "words": models.TextField(),
                "personal": personal,
                "not_personal": not_personal,
                "Meta": type("Meta", (), {"app_label": "site"}),
            },
        )
        assert [reason for _, _, reason in find_unmarked([planted])] == [what]


def test_every_model_of_this_site_is_marked_with_items_the_policy_knows() -> None:
    known = apps.get_models(include_auto_created=True)
    assert find_unmarked(known) == []
    ours = [model for model in known if model.__module__.startswith("imgnom.")]
    assert len(ours) > 20
    items = policy_in_force().items
    named = {item for model in ours for item in getattr(model, "personal", {}).values()}
    assert named
    assert named <= set(items)
    foreign = {model._meta.label_lower for model in known if model not in ours}
    assert foreign <= set(THIRD_PARTY)


def test_the_system_check_refuses_a_site_with_an_unmarked_field(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [error for error in run_checks(tags=["imgnom"]) if error.id == "imgnom.E001"] == []
    with isolate_apps("imgnom.site"):
        planted = _plain()
    monkeypatch.setattr(apps, "get_models", lambda **_which: planted)
    errors = [error for error in run_checks(tags=["imgnom"]) if error.id == "imgnom.E001"]
    assert [error.msg for error in errors] == ["site.Plain.words is marked neither personal nor not personal."]
    assert errors[0].is_serious()


def test_what_code_keeps_no_policy_may_leave_out() -> None:
    """What columns are marked with stands in the policy's core, which refuses a file that is silent about it."""
    marked = {item for model in apps.get_models(include_auto_created=True) for item in _marks(model)[0].values()}
    assert marked <= set(ITEMS)
    lies_elsewhere = {
        "username",
        "receipt",
        "device_information",
        "second_factor",
        "staff_account",
        "necessary_cookies",
    }
    assert set(ITEMS) - marked == lies_elsewhere
