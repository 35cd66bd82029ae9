"""A remark as its page shows it. Others' remarks are kept in the process under all that they show and the language, so
that a change, a removal or a new name never meets an old one; one's own carry a form and are drawn each time.
"""

from functools import lru_cache

from django import template
from django.template.context import RequestContext
from django.template.loader import get_template
from django.utils.translation import get_language

from imgnom.community.comments.queries import Remark

register = template.Library()
TEMPLATE = "comments/_remark.html"


@lru_cache(maxsize=4096)
def _others(remark: Remark, language: str) -> str:
    del language  # part of the key: the words of the template follow it
    return get_template(TEMPLATE).render({"remark": remark})


@register.simple_tag(takes_context=True)
def remark_row(context: RequestContext, remark: Remark) -> str:
    member = context.get("member")
    if member and member.pk == remark.author_id:
        return get_template(TEMPLATE).render({"remark": remark, "member": member}, context.request)
    return _others(remark, get_language() or "")
