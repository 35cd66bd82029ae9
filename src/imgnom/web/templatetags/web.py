"""Tags of every template: say, icon, clause_badge, field_row, and dates."""

from datetime import date, datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.template.base import Node, NodeList, Parser, Token
from django.template.context import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from imgnom.policy.public import Text
from imgnom.web.dates import in_seoul
from imgnom.web.dates import until_words as _until_words
from imgnom.web.icons import ICONS
from imgnom.web.words import current_language

register = template.Library()


class SayNode(Node):
    def __init__(self, korean: NodeList, english: NodeList) -> None:
        self.korean, self.english = korean, english

    def render(self, context: Context) -> SafeString:
        return (self.english if current_language() == "en" else self.korean).render(context)


@register.tag("say")
def do_say(parser: Parser, token: Token) -> SayNode:
    korean = parser.parse(("en",))
    parser.delete_first_token()
    english = parser.parse(("endsay",))
    parser.delete_first_token()
    return SayNode(korean, english)


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>', ICONS[name])


@register.simple_tag
def clause_badge(clause: str, state: str = "holds") -> SafeString:
    name = {"holds": "tick", "broken": "cross", "planned": "ring"}[state]
    path = format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>', ICONS[name])
    return format_html(
        '<a class="clause" data-state="{}" href="/privacy/board#{}">{}{}</a>', state, clause, path, clause
    )


@register.inclusion_tag("web/components/field.html")
def field_row(field: BoundField) -> dict[str, Any]:
    return {"field": field, "hint": getattr(field.field, "hint", ""), "why": getattr(field.field, "why", "")}


@register.filter
def seoul_date(value: datetime | date | None) -> str:
    if value is None:
        return ""
    return (in_seoul(value).date() if isinstance(value, datetime) else value).isoformat()


@register.filter
def seoul_time(value: datetime | None) -> str:
    return in_seoul(value).strftime("%H:%M") if value else ""


@register.filter
def until_words(value: date | datetime | None, now: datetime) -> str:
    return _until_words(value, now, current_language())


@register.filter
def in_lang(value: Text | None) -> str:
    return value.get(current_language()) if value else ""
