"""Tags of every template: words in pairs, icons, badges, fields, copy boxes, pictures, dates, particles."""

from datetime import date, datetime
from typing import Any

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput, PasswordInput
from django.template.base import FilterExpression, Node, Parser, Token
from django.template.context import Context
from django.template.loader_tags import do_extends
from django.utils.html import format_html
from django.utils.safestring import SafeString

from imgnom.policy.public import Period, Text, words_for_period
from imgnom.web import board_states, fragments
from imgnom.web.dates import in_seoul
from imgnom.web.dates import until_words as _until_words
from imgnom.web.folding import KeptExtendsNode, SayNode, unchanging
from imgnom.web.icons import ICONS
from imgnom.web.particles import with_particle
from imgnom.web.patchwork import patches as _patches
from imgnom.web.words import current_language, say

register = template.Library()


@register.tag("say")
def do_say(parser: Parser, token: Token) -> SayNode:
    korean = parser.parse(("en",))
    parser.delete_first_token()
    english = parser.parse(("endsay",))
    parser.delete_first_token()
    return SayNode(korean, english)


@register.tag("extends")
def extends(parser: Parser, token: Token) -> KeptExtendsNode:
    """Django's own tag, drawn faster."""
    node = do_extends(parser, token)
    return KeptExtendsNode(node.nodelist, node.parent_name)


@register.simple_tag
@unchanging
def icon(name: str) -> SafeString:
    return format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>', ICONS[name])


_STATE_ICONS = {"holds": "tick", "broken": "cross", "planned": "planned"}
_STATE_WORDS = {
    "holds": say(ko="지켜짐", en="holds"),
    "broken": say(ko="어긋남", en="broken"),
    "planned": say(ko="아직 아님", en="planned"),
}


@register.simple_tag
def clause_badge(clause: str, state: str = "") -> SafeString:
    """The badge's colour comes from the board. Only the board's own page hands in the state it has just worked out."""
    state = state or board_states.state_of(clause)
    return format_html(
        '<a class="clause" data-state="{}" href="/privacy/board#{}">{}{}<span class="sr-only"> {}</span></a>',
        state,
        clause,
        icon(_STATE_ICONS[state]),
        clause,
        _STATE_WORDS[state],
    )


class CurrentNode(Node):
    child_nodelists = ()
    leaves_no_name = True

    def __init__(self, path: FilterExpression, *, section: bool) -> None:
        self.path, self.section = path, section

    def render(self, context: Context) -> SafeString:
        request, path = context.get("request"), self.path.resolve(context)
        here = request.path if request is not None else ""
        if here == path:
            return _PAGE
        return _SECTION if self.section and here.startswith(f"{path}/") else _ELSEWHERE


_PAGE, _SECTION, _ELSEWHERE = map(SafeString, (' aria-current="page"', ' aria-current="true"', ""))


@register.tag("current")
def do_current(parser: Parser, token: Token) -> CurrentNode:
    """aria-current for a link of a menu: `page` where it leads to itself, `true` inside the section it opens."""
    _, path, *options = token.split_contents()
    if options not in ([], ["section=True"]):
        raise template.TemplateSyntaxError(f"the tag `current` knows no {' '.join(options)}")
    return CurrentNode(parser.compile_filter(path), section=bool(options))


@register.simple_tag(takes_context=True)
def fragments_at(context: Context, place: fragments.Place) -> SafeString:
    """What floors above have registered for this place of the base page."""
    if context.template is None:
        return SafeString("")
    found = [context.template.engine.get_template(name) for name in fragments.templates_at(place)]
    with context.push():
        return SafeString("".join(fragment.render(context) for fragment in found))


def _describing(field: BoundField, why: str) -> list[str]:
    ids = [_error_id(field, place) for place in range(len(field.errors))]
    return [*ids, f"{_field_id(field)}_why"] if why else ids


def _field_id(field: BoundField) -> str:
    return field.auto_id or f"id_{field.html_name}"


def _error_id(field: BoundField, place: int) -> str:
    return f"{_field_id(field)}_error" + (f"_{place + 1}" if place else "")


@register.inclusion_tag("web/components/field.html")
def field_row(field: BoundField) -> dict[str, Any]:
    """Label, who sees it, control, error, why and until when; every text tied to its control for who cannot see it."""
    why = getattr(field.field, "why", "")
    described = " ".join(_describing(field, why))
    errors = [{"id": _error_id(field, place), "text": text} for place, text in enumerate(field.errors)]
    widget = field.field.widget
    return {
        "field": field,
        "hint": getattr(field.field, "hint", ""),
        "why": why,
        "id": _field_id(field),
        "errors": errors,
        "described": described,
        "control": field.as_widget(attrs={"aria-describedby": described} if described else {}),
        "kind": (
            "choices"
            if field.use_fieldset
            else "check"
            if isinstance(widget, CheckboxInput)
            else "password"
            if isinstance(widget, PasswordInput)
            else "box"
        ),
        "is_new_password": widget.attrs.get("autocomplete") == "new-password",
    }


def _first_control_id(field: BoundField) -> str:
    """Radio buttons have an id each and none together; the summary leads to the first of them."""
    return field.id_for_label or f"{_field_id(field)}_0"


@register.inclusion_tag("web/components/error_list.html")
def error_summary(form: BaseForm) -> dict[str, Any]:
    """The list above a form after a wrong answer: each line leads to its field."""
    lines = [
        {"to": _first_control_id(field), "label": field.label, "text": text} for field in form for text in field.errors
    ]
    general = list(form.non_field_errors()) if form.is_bound else []
    return {"lines": lines, "general": general, "count": len(lines)}


@register.inclusion_tag("web/components/copy.html")
def copy_box(name: str, value: str, label: str) -> dict[str, Any]:
    """A value to take along: a field that can be selected by hand, and a button where script can copy.

    `name` makes the id and stands once on a page.
    """
    return {"id": f"copy-{name}", "value": value, "label": label}


@register.inclusion_tag("web/components/patches.html")
def patchwork(placeholder: str) -> dict[str, Any]:
    return {"patches": _patches(placeholder)}


@register.inclusion_tag("web/components/picture.html")
def picture(
    source: str, width: int, height: int, *, placeholder: str = "", alt: str = "", eager: bool = False
) -> dict[str, Any]:
    """A picture whose room is known before its bytes come, over a patchwork of its own colours.

    `width` and `height` in pixels of the file. The frame around it (`tile`, or `framed`) lays one over the other.
    """
    return {
        "source": source,
        "width": width,
        "height": height,
        "patches": _patches(placeholder),
        "alt": alt,
        "eager": eager,
    }


@register.filter
def josa(value: object, pair: str) -> str:
    """The value with the particle that agrees: `{{ count|josa:"을/를" }}`."""
    return with_particle(str(value), pair)


@register.filter
def seoul_date(value: datetime | date | None) -> str:
    if value is None:
        return ""
    return (in_seoul(value).date() if isinstance(value, datetime) else value).isoformat()


@register.filter
def seoul_time(value: datetime | None) -> str:
    return in_seoul(value).strftime("%H:%M") if value else ""


@register.filter
def minute_iso(value: datetime | None) -> str:
    """For `datetime` attributes: no page tells more than the minute of what somebody did."""
    return in_seoul(value).isoformat(timespec="minutes") if value else ""


@register.filter
def until_words(value: date | datetime | None, now: datetime) -> str:
    return _until_words(value, now, current_language())


@register.filter
def period_words(value: Period | None) -> str:
    return words_for_period(value, current_language())


@register.filter
def in_lang(value: Text | None) -> str:
    return value.get(current_language()) if value else ""
