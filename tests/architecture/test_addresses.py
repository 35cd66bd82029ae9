"""Every address written down in a template, a script or a redirect is one of this site, and code points no way up.

Links are the addresses of the contract, not names of views: a reader follows them, no code does. A redirect is code: it
leads to a page of its own room or of one below, or to an address that is promised to the outside (`addresses` in
pyproject.toml).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver

from imgnom.site import demo_views
from tests.architecture.house import House, Module, Place, place_of

ROOT = Path(__file__).resolve().parents[2]
HOUSE = House(ROOT)
HOLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{[^{}]*\}", re.DOTALL)
# Only in demo mode are these routes in the table.
DEMO = {"/demo": demo_views.story, "/outbox": demo_views.outbox}


def _clean(address: str) -> str:
    """The path, with one word for whatever a template fills in."""
    return re.sub(r"[?#].*$", "", HOLE.sub("7", address), flags=re.DOTALL)


def _written(template: Module) -> Iterator[str]:
    text = re.sub(r"\{#.*?#\}", "", template.text, flags=re.DOTALL)
    for match in re.finditer(r"""\b(?:href|action|formaction)=(["'])(/(?!/).*?)\1(?=[\s>{/])""", text, re.DOTALL):
        yield match[2]


def _redirects(module: Module) -> Iterator[tuple[int, str]]:
    for name, call in module.calls():
        if name.split(".")[-1] in ("see_other", "redirect", "HttpResponseRedirect", "safe_next"):
            for argument in call.args:
                for node in ast.walk(argument):
                    if isinstance(node, ast.Constant) and str(node.value).startswith("/"):
                        whole = argument if isinstance(argument, ast.JoinedStr) else node
                        yield call.lineno, ast.unparse(whole).strip("f'\"")


def _view_of(address: str) -> object:
    if address.startswith(("/static/", "/demo/", "/outbox/")) or address in DEMO:
        return DEMO.get(address, demo_views.story)
    return get_resolver(settings.ROOT_URLCONF).resolve(address).func


@pytest.mark.parametrize("template", HOUSE.templates, ids=lambda one: one.path)
def test_every_address_of_a_template_is_a_page(template: Module) -> None:
    for address in _written(template):
        try:
            _view_of(_clean(address))
        except Resolver404:
            pytest.fail(f"{template.path}: {address} leads nowhere")


def _place(view: object) -> Place:
    while hasattr(view, "__wrapped__"):
        view = view.__wrapped__
    return place_of(str(getattr(view, "__module__", "")).removeprefix("imgnom.").replace(".", "/") + ".py")


def _promised() -> set[str]:
    return {re.sub("<.*?>", "7", address) for address in HOUSE.rules["addresses"]["promised"]}


def _points_up(module: Module) -> list[str]:
    promised = _promised()
    wrong = []
    for line, address in _redirects(module):
        cleaned = _clean(address)
        try:
            place = _place(_view_of(cleaned))
        except Resolver404:
            wrong.append(f"{module.path}:{line} {address} leads nowhere")
            continue
        if not HOUSE.may_use(module.place, place) and cleaned not in promised:
            wrong.append(f"{module.path}:{line} {address} leads up to {place}")
    return wrong


def test_redirects_lead_to_pages_and_not_up() -> None:
    found = [wrong for module in HOUSE.modules if module.place.floor != "policy" for wrong in _points_up(module)]
    assert found == []


def test_promised_addresses_are_pages_and_are_needed() -> None:
    used = {_clean(address) for module in HOUSE.modules for _, address in _redirects(module)}
    for address in _promised():
        assert _view_of(address)
        assert address in used, f"nothing leads to {address}"


@pytest.mark.parametrize(
    ("where", "text", "said"),
    [
        ("community/members/a.py", "see_other('/desk/records')\n", "leads up to"),
        ("web/a.py", "see_other(f'/i/{public_id}/edit')\n", "leads up to"),
        ("community/members/a.py", "see_other('/no/such/page')\n", "leads nowhere"),
        ("community/members/a.py", "see_other(safe_next(asked, '/desk/records'))\n", "leads up to"),
    ],
)
def test_a_redirect_upwards_or_into_nothing_is_found(where: str, text: str, said: str) -> None:
    found = _points_up(Module(where, text))
    assert found
    assert said in found[0]


def test_a_dead_link_is_found() -> None:
    with pytest.raises(Resolver404):
        _view_of(_clean(next(_written(Module("web/templates/web/a.html", '<a href="/no/{{ such }}/page?x=1">')))))


def _routes(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns)
        else:
            yield one


def test_every_page_belongs_to_a_room_and_no_two_rooms_share_one() -> None:
    routes = list(_routes(get_resolver(settings.ROOT_URLCONF).url_patterns))
    addresses = [str(route.pattern) for route in routes]
    assert len(addresses) == len(set(addresses))
    assert all(_place(route.callback).floor in HOUSE.floors for route in routes)
