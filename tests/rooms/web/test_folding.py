"""Folded templates say and show what they did unfolded, in both languages, and keep nothing of who reads them."""

from pathlib import Path

import pytest
from django.middleware.csrf import CSRF_ALLOWED_CHARS, _does_token_match, get_token
from django.template import Template, engines
from django.template.base import Node
from django.template.context import Context
from django.test import Client, RequestFactory
from django.utils import translation

from imgnom.web import folding
from imgnom.web.csrf import form_token

SOURCE = Path(folding.__file__).parents[1]
TEMPLATES = sorted(path for path in SOURCE.rglob("templates/**/*.html"))
NAMES = [str(path).rpartition("/templates/")[2] for path in TEMPLATES]


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> folding.Loader:
    """A loader of its own over files of the test; the engine has our tags."""
    engine = engines["django"].engine
    loader = folding.Loader(engine, [("django.template.loaders.filesystem.Loader", [tmp_path])])
    monkeypatch.setattr(engine, "template_loaders", [loader])
    return loader


def unfolded(text: str) -> Template:
    return Template(text, engine=engines["django"].engine)


def drawn(template: Template, language: str, **context: object) -> str:
    with translation.override(language):
        return str(template.render(Context(context)))


CASES = {
    "words": "a {% say %}가{% en %}b{% endsay %} c {% say %}{{ x }}{% en %}{{ y }}{% endsay %}",
    "nested": "{% if x %}{% say %}하나{% en %}one{% endsay %}{% else %}{% icon 'tick' %}{% endif %}-{% for n in many %}{% icon 'cross' %}{{ n }}{% endfor %}",
    "static": "{% load static %}<link href=\"{% static 'web/a b&c.css' %}\">{% static name %}",
    "escaped": "{% say %}<b>{{ x }}</b>{% en %}<i>{{ x }}</i>{% endsay %}{{ x }}",
    "named": "{% icon 'tick' as mark %}{{ mark }}{% firstof x y as z %}{{ z }}",
    "included": "{% include 'part.html' %}|{{ inner }}|{% include 'part.html' with x='<' only %}",
    "naming": "{% include 'names.html' %}|{{ inner }}|",
    "itself": "{{ depth }}{% if deeper %}{% include 'itself.html' with deeper='' %}{% endif %}",
    "block": "{% extends 'frame.html' %}{% block title %}{% say %}제목{% en %}title{% endsay %}{% endblock %}{% block body %}{{ block.super }}+{{ x }}{% endblock %}",
    "twice": "{% extends 'block.html' %}{% block body %}{{ block.super }}!{% endblock %}",
}  # fmt: skip
PARTS = {
    "part.html": "({% say %}부분{% en %}part{% endsay %} {{ x }}{% icon 'tick' %})",
    "names.html": "{% firstof x as inner %}{{ inner }}",
    "frame.html": "{% say %}틀{% en %}frame{% endsay %}<{% block title %}none{% endblock %}>{% include 'part.html' %}{% block body %}base{% endblock %}{% block rest %}{% endblock %}",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_is_drawn_is_what_the_template_says(
    folded: folding.Loader, tmp_path: Path, name: str, language: str
) -> None:
    for part, text in PARTS.items() | {(f"{case}.html", text) for case, text in CASES.items()}:
        (tmp_path / part).write_text(text, encoding="utf-8")
    context = {"x": "<가>", "y": "&", "many": [1, 2], "name": "web/z.css", "depth": 1, "deeper": "yes"}
    made = folded.get_template(f"{name}.html")
    plain = engines["django"].engine
    plain.template_loaders = [plain.find_template_loader(("django.template.loaders.filesystem.Loader", [tmp_path]))]
    expected = drawn(unfolded(CASES[name]), language, **context)
    plain.template_loaders = [folded]
    for _ in range(2):
        assert drawn(made, language, **context) == expected


def test_a_run_of_unchanging_text_is_one_node(folded: folding.Loader, tmp_path: Path) -> None:
    (tmp_path / "run.html").write_text("a{% say %}가{% en %}b{% endsay %}{% icon 'tick' %}{% load static %}c", "utf-8")
    (node,) = folded.get_template("run.html").nodelist
    assert isinstance(node, folding.WordsNode)
    (tmp_path / "moving.html").write_text("a{{ x }}{% clause_badge 'A2.1' %}{% current '/' %}", "utf-8")
    assert len(folded.get_template("moving.html").nodelist) == 4


@pytest.mark.parametrize("name", NAMES)
def test_every_template_of_the_house_folds(name: str) -> None:
    def all_of(nodes: list[Node]) -> int:
        return sum(1 + sum(all_of(inner) for inner in folding._lists_of(node)) for node in nodes)

    assert all_of(engines["django"].engine.get_template(name).nodelist) > 0


@pytest.mark.clause("I10")
def test_the_token_of_a_form_is_one_of_djangos() -> None:
    request = RequestFactory().get("/")
    first, second = form_token(request), form_token(request)
    assert first != second
    assert set(first + second) <= set(CSRF_ALLOWED_CHARS)
    secret = request.META["CSRF_COOKIE"]
    assert len(secret) == 32
    assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]
    for token in (first, second, get_token(request)):
        assert _does_token_match(token, secret)
    assert not _does_token_match(first, form_token(RequestFactory().get("/"))[:32])
    seen = "".join(form_token(RequestFactory().get("/")) for _ in range(300))
    assert set(seen) == set(CSRF_ALLOWED_CHARS)


@pytest.mark.django_db(databases="__all__")
def test_a_page_of_another_reader_shows_nothing_of_the_one_before() -> None:
    first = Client().get("/login", headers={"accept-language": "ko"}).content.decode()
    second = Client().get("/login", headers={"accept-language": "en"}).content.decode()
    assert 'lang="ko"' in first
    assert "개인정보처리방침" in first
    assert 'lang="en"' in second
    assert "개인정보처리방침</a>" not in second
    token = first.partition('name="csrfmiddlewaretoken" value="')[2][:64]
    assert token
    assert token not in second
