"""Every rule of `rules.py`, shown the smallest house that breaks it: a rule that cannot fail proves nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.house import House

ROOT = Path(__file__).resolve().parents[2]
type Rule = Callable[[House], list[str]]

BAD: list[tuple[Rule, str, str]] = [
    (rules.rooms_without_a_card, "community/images/__init__.py", ""),
    (rules.rooms_without_a_card, "community/images/__init__.py", '"""Pictures."""\n'),
    (rules.rooms_without_a_card, "community/images/__init__.py", '"""Pictures (A2.1)."""\nfrom os import path\n'),
    (rules.rooms_without_a_card, "custody/cellar/jars.py", '"""A room without a card."""\n'),
    (rules.doors_passed_by, "community/images/a.py", "from imgnom.community.members.models import Member\n"),
    (rules.doors_passed_by, "community/images/a.py", "from imgnom.community.members import models\n"),
    (rules.doors_passed_by, "community/images/a.py", "import imgnom.community.members.enter\n"),
    (rules.doors_passed_by, "site/a.py", "from imgnom.community.members.reveal import x\n"),
    (rules.doors_passed_by, "site/a.py", "def late():\n    from imgnom.custody.vault import values\n"),
    (rules.impure_policy, "policy/a.py", "import os\n"),
    (rules.impure_policy, "policy/a.py", "from imgnom.custody.keys import public\n"),
    (rules.impure_policy, "policy/a.py", "from datetime import date\nTODAY = date.today()\n"),
    (rules.loading_by_string, "site/a.py", "from importlib import import_module\nimport_module('x')\n"),
    (rules.loading_by_string, "site/a.py", "import importlib\nimportlib.import_module('x')\n"),
    (rules.loading_by_string, "web/a.py", "__import__('x')\n"),
    (rules.loading_by_string, "web/a.py", "from django.utils.module_loading import import_string\nimport_string('x')\n"),
    (rules.loading_by_string, "web/a.py", "from django.apps import apps\napps.get_model('members', 'Member')\n"),
    (rules.loading_by_string, "web/a.py", "import sys\nsys.modules['imgnom.site.clock'].now()\n"),
    (rules.loading_by_string, "web/a.py", "exec('import imgnom.site')\n"),
    (rules.names_of_modules_in_strings, "web/a.py", "WHERE = 'imgnom.community.members.public'\n"),
    (rules.names_of_modules_in_strings, "web/a.py", "WHERE = 'imgnom.community.members.public.member_by_id'\n"),
    (rules.foreign_keys_pointing_up, "community/members/a.py", "x = models.ForeignKey('images.Image', on_delete=P)\n"),
    (rules.foreign_keys_pointing_up, "community/members/a.py", "x = models.OneToOneField(to='images.Image')\n"),
    (rules.foreign_keys_pointing_up, "custody/vault/a.py", "x = models.ForeignKey(settings.AUTH_USER_MODEL)\n"),
    (rules.foreign_keys_pointing_up, "community/images/a.py", "x = models.ManyToManyField('moderation.Case')\n"),
    (rules.foreign_keys_pointing_up, "community/images/a.py", "x = ForeignKey('elsewhere.Thing', PROTECT)\n"),
    (rules.cascades_across_rooms, "community/images/a.py", "x = ForeignKey('members.Member', on_delete=models.CASCADE)\n"),
    (rules.cascades_across_rooms, "community/images/a.py", "x = ForeignKey('members.Member', models.SET_NULL)\n"),
    (rules.cascades_across_rooms, "community/images/a.py", "x = ManyToManyField('members.Member')\n"),
    (rules.migrations_pointing_up, "community/members/migrations/0009_a.py", "dependencies = [('images', '0001_initial')]\n"),
    (
        rules.migrations_pointing_up,
        "custody/vault/migrations/0009_a.py",
        "dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]\n",
    ),
    (rules.templates_of_others, "community/images/templates/images/a.html", '{% extends "comments/picture.html" %}'),
    (rules.templates_of_others, "community/images/templates/images/a.html", "{% include 'members/form.html' %}"),
    (rules.templates_of_others, "web/templates/web/a.html", '{%- include "members/form.html" with x=1 only -%}'),
    (rules.templates_of_others, "community/images/templates/images/a.html", "{% include some_name %}"),
    (rules.templates_of_others, "community/images/templates/members/a.html", "In another room's name."),
    (rules.templates_of_others, "web/templates/web/a.html", "{% load pictures %}"),
    (rules.templates_of_others, "web/templates/web/a.html", "{% load face from pictures %}"),
    (rules.templates_of_others, "community/images/a.py", "render(request, 'comments/picture.html')\n"),
    (rules.names_of_pages_pointing_up, "community/images/templates/images/a.html", "{% url 'comments:picture' 1 %}"),
    (rules.names_of_pages_pointing_up, "community/images/templates/images/a.html", "{% url 'picture' 1 %}"),
    (rules.names_of_pages_pointing_up, "web/a.py", "reverse('members:login')\n"),
    (rules.names_of_pages_pointing_up, "web/a.py", "redirect('members:login')\n"),
    (rules.names_of_pages_pointing_up, "web/a.py", "urls.reverse_lazy(name)\n"),
    (rules.signals, "community/members/a.py", "from django.db.models.signals import post_save\n"),
    (rules.signals, "community/members/a.py", "from django.dispatch import receiver\n"),
    (rules.switches, "procedures/rights/a.py", "def leave(*, skip_check): ...\n"),
    (rules.switches, "procedures/rights/a.py", "def leave(member, force=False): ...\n"),
    (rules.switches, "custody/keys/a.py", "async def destroy(*, log=True): ...\n"),
    (rules.silent_defaults, "community/members/a.py", "def join(*, now=None): ...\n"),
    (rules.silent_defaults, "custody/vault/a.py", "def look(subject, by=None): ...\n"),
    (rules.use_cases_out_of_form, "community/members/a.py", "def join(*, name):\n    with transaction.atomic(): ...\n"),
    (
        rules.use_cases_out_of_form,
        "community/members/a.py",
        "@transaction.atomic(durable=True)\ndef join(member, name, *, now): ...\n",
    ),
    (rules.unbounded_text, "web/a.py", "import unicodedata\nunicodedata.normalize('NFC', text)\n"),
    (rules.unbounded_text, "web/a.py", "from unicodedata import normalize as tidy\n"),
    (rules.unbounded_text, "web/a.py", "import unicodedata as u\n"),
    (rules.unbounded_text, "web/a.py", "import unicodedata\ngetattr(unicodedata, 'normalize')('NFC', text)\n"),
    (rules.unbounded_text, "site/a.py", "from unicodedata import ucd_3_2_0\n"),
    (rules.unbounded_text, "site/a.py", "domain.encode('idna')\n"),
    (rules.unbounded_text, "community/images/a.py", "from django.utils.text import slugify\n"),
    (rules.unbounded_fields, "community/images/a.py", "from django import forms\nx = forms.CharField()\n"),
    (rules.unbounded_fields, "procedures/rights/a.py", "from django.forms import EmailField\n"),
    (rules.dangerous_words, "community/images/a.py", "mark_safe(words)\n"),
    (rules.dangerous_words, "community/images/a.py", "Image.objects.raw('select')\n"),
    (rules.dangerous_words, "site/a.py", "subprocess.run(line, shell=True)\n"),
    (rules.dangerous_words, "community/images/templates/images/a.html", "{{ words|safe }}"),
]  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = tmp_path / "src" / "imgnom"
    for path in (ROOT / "src" / "imgnom").rglob("*"):
        if path.is_dir() and not path.name.startswith(("__", "static")):
            (source / path.relative_to(ROOT / "src" / "imgnom")).mkdir(parents=True)
    # The rooms and their cards are real; what stands in them is only the sample.
    for floor in ("custody", "community", "procedures"):
        for card in (ROOT / "src" / "imgnom" / floor).glob("*/__init__.py"):
            shutil.copy(card, source / floor / card.parent.name)
    library = "community/images/templatetags/pictures.py"
    (source / library).write_text("", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("rule", "path", "text"), BAD, ids=[f"{rule.__name__}-{n}" for n, (rule, _, _) in enumerate(BAD)]
)
def test_a_bad_sample_fails_its_rule(house: Path, rule: Rule, path: str, text: str) -> None:
    assert rule(House(house)) == []
    file = house / "src" / "imgnom" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    found = rule(House(house))
    assert len(found) == 1
    assert found[0].startswith(path.removesuffix("/jars.py") if "jars" in path else path.removesuffix("/__init__.py"))


GOOD = (
    ("community/images/a.py", "x = models.ForeignKey('members.Member', on_delete=models.PROTECT, null=True)\n"),
    ("community/images/b.py", "from imgnom.community.members.public import member_by_id\n"),
    ("community/images/c.py", "def rename(image, *, title, by, now):\n    with transaction.atomic(): ...\n"),
    ("community/images/d.py", "reverse('members:login'); reverse('images:edit')\n"),
    ("community/images/templates/images/a.html", '{% extends "web/base.html" %}{% load static pictures %}'),
    ("community/images/migrations/0009_a.py", "dependencies = [('members', '0001_initial'), ('auth', '0012')]\n"),
    ("community/members/e.py", "from imgnom.custody.vault.reveal import reveal\n"),
)


@pytest.mark.parametrize("rule", rules.RULES[:-1], ids=lambda rule: rule.__name__)
def test_what_points_down_is_free(house: Path, rule: Rule) -> None:
    for path, text in GOOD:
        file = house / "src" / "imgnom" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert rule(House(house)) == []


def test_every_rule_has_a_bad_sample() -> None:
    assert {rule for rule, _, _ in BAD} == set(rules.RULES) - {rules.idle_exceptions}


@pytest.mark.parametrize(
    ("rule", "entry"),
    [
        ("signals", '"web/views.py" = "it listens to nothing"'),
        ("loads-by-name", '"site/attic.py" = "it is gone"'),
        ("behind-walls", '"site/invariants.py" = " "'),
        ("behind-fences", '"site/invariants.py" = "there is no such rule"'),
    ],
)
def test_an_exception_that_excuses_nothing_fails(tmp_path: Path, rule: str, entry: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    head = f"[tool.imgnom.house.{rule}]"
    if head in text:
        before, _, after = text.partition(head)
        text = before + head + "\n" + entry + "\n" + "\n".join(
            line for line in after.splitlines() if not line.startswith(entry.partition(" =")[0])
        )  # fmt: skip
    else:
        text += f"\n{head}\n{entry}\n"
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    (tmp_path / "src").symlink_to(ROOT / "src")
    assert rules.idle_exceptions(House(ROOT)) == []
    assert rules.idle_exceptions(House(tmp_path)) != []
