"""Tags of pages with pictures: the cloth of tiles, faces, what was removed.

Tiles are put together here and not in a template: a page has forty of them, and Django's template engine would cost
more than all of its queries (performance.md, C).
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from zlib import crc32

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from imgnom.community.images.queries import Card
from imgnom.community.images.words import removed_words as _removed_words
from imgnom.web.patchwork import patches
from imgnom.web.words import say

register = template.Library()

AT_ONCE = 4
_NO_TITLE = say(ko="제목 없음", en="untitled")
_LEFT = say(ko="탈퇴한 회원", en="withdrawn member")
_MARKS = {"unlisted": say(ko="링크 공개", en="with the link"), "private": say(ko="나만 보기", en="only me")}
_REMOVED = say(ko="운영진이 내림", en="removed by staff")
_TILE = (
    '<li class="tile" data-r="{}">{}<img src="/media/{}/thumbnail" width="{}" height="{}" alt="{}" decoding="async"{}>{}'
    '<a href="/i/{}"><span class="cap"><b dir="auto">{}</b><span dir="auto">{}</span></span></a></li>'
)
_GONE = '<li class="tile" data-r="{}">{}<a href="/i/{}"><span class="cap"><b dir="auto">{}</b><span dir="auto">{}</span></span></a></li>'
_LAZY = SafeString(' loading="lazy"')
# The dyes of the cloth: a face is three of them, always the same three for the same name.
_DYES = ("#e3b652", "#2f5580", "#8fb3a0", "#c4553b", "#e9e4d4", "#27476e", "#6f8f5a", "#d7c7ad", "#7c2f33", "#3c6a8f")
_UNKNOWN = ("#b9c2c4", "#dfe5e4", "#97a3a6")


def _patchwork(placeholder: str) -> SafeString:
    cut = ((patch.x, patch.y, patch.width, patch.height, patch.colour) for patch in patches(placeholder))
    rects = format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}" fill="{}"/>', cut)
    svg = '<svg class="patches" viewBox="0 0 3 2" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    return format_html(svg, rects) if rects else rects


def _ratio(card: Card) -> str:
    """Width by height in the steps of 0.05 that the style sheet knows."""
    step = min(3.0, max(0.5, round(20 * card.preview_width / max(1, card.preview_height)) / 20))
    return f"{step:g}"


def _mark(card: Card) -> SafeString:
    words = _REMOVED if card.removed_reason else _MARKS.get(card.visibility) or ("GIF" if card.frames > 1 else "")
    return format_html('<span class="mark">{}</span>', words) if words else SafeString("")


def shown_name(nickname: str | None, author_name: str) -> str:
    return nickname or author_name or str(_LEFT)


@lru_cache(maxsize=4096)
def _tile(card: Card, *, lazy: bool, language: str) -> SafeString:
    """Kept in the process under all that it shows, so that a change or a removal never meets an old one."""
    del language  # part of the key: the words below follow it
    if card.removed_reason:  # its files are gone: no picture is asked for
        return format_html(
            _GONE, _ratio(card), _mark(card), card.public_id, card.title or _NO_TITLE, shown_name(card.nickname, card.author_name)
        )  # fmt: skip
    return format_html(
        _TILE, _ratio(card), _patchwork(card.placeholder), card.public_id, card.thumbnail_width, card.thumbnail_height, card.alt,
        _LAZY if lazy else "", _mark(card), card.public_id, card.title or _NO_TITLE, shown_name(card.nickname, card.author_name),
    )  # fmt: skip


@register.simple_tag
def cloth(cards: Sequence[Card]) -> SafeString:
    """The tiles, sewn into rows. The first of them come without waiting to be scrolled to."""
    language = get_language() or ""
    tiles = [_tile(card, lazy=place >= AT_ONCE, language=language) for place, card in enumerate(cards)]
    return SafeString(f'<ul class="rows more">{"".join(tiles)}</ul>')  # each of them is escaped already


@register.simple_tag
def face(name: str) -> SafeString:
    """Three patches in colours that follow from the name, so that nobody has to give a picture of themselves."""
    seed = crc32(name.encode())
    first, second, third = seed % 10, (seed // 10) % 9, (seed // 90) % 8
    dyes = list(_DYES)
    colours = (dyes.pop(first), dyes.pop(second), dyes.pop(third)) if name else _UNKNOWN
    return format_html(
        '<svg class="face" viewBox="0 0 36 36" aria-hidden="true"><rect width="36" height="36" fill="{}"/>'
        '<rect width="17" height="22" fill="{}"/><rect x="17" y="14" width="19" height="22" fill="{}"/></svg>',
        *colours,
    )


@register.filter
def removed_words(kinds: Iterable[str]) -> list[str]:
    return _removed_words(kinds)


@register.filter
def megabytes(size: int) -> str:
    """Bytes as people read them; a small file is told in kB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(1, round(size / 1e3))} kB"
