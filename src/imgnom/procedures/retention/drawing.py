"""The receipt as a picture to keep: drawn here in lines and words, with a square that leads back; of no person."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import segno

from imgnom.policy.public import Text
from imgnom.web.dates import in_seoul
from imgnom.web.words import current_language, say

WIDTH = 720
MARGIN = 64
LINE = 46
SANS = "'Noto Sans KR','Apple SD Gothic Neo','Malgun Gothic',system-ui,sans-serif"
SERIF = "'Noto Serif KR','Nanum Myeongjo','AppleMyungjo',serif"
MONO = "ui-monospace,Consolas,monospace"
INK, SOFT, SEAM, PAPER, RED, GREEN, AMBER = "#1a2430", "#4c5966", "#808b95", "#ffffff", "#c5332e", "#2f6b4f", "#8a5a12"


def _text(
    x: int,
    y: float,
    words: object,
    *,
    size: int = 17,
    weight: int = 400,
    fill: str = INK,
    font: str = SANS,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x}" y="{y:g}" font-family={quoteattr(font)} font-size="{size}" font-weight="{weight}" fill="{fill}"'
        f' text-anchor="{anchor}">{escape(str(words))}</text>'
    )


def _seal(x: int, y: int, *, is_over: bool) -> str:
    first, second = ("파", "기") if is_over else ("탈", "퇴")
    signs = "".join(
        _text(x + dx, y + dy, sign, size=30, weight=700, fill=PAPER, font=SERIF, anchor="middle")
        for dx, dy, sign in ((69, 45, first), (69, 81, second), (33, 45, "확"), (33, 81, "인"))
    )
    return (
        f'<g transform="rotate(-3 {x + 50} {y + 50})"><rect x="{x + 3}" y="{y + 3}" width="94" height="94" rx="7" fill="{RED}"/>'
        f'<rect x="{x + 9}" y="{y + 9}" width="82" height="82" rx="3" fill="none" stroke="{PAPER}" stroke-width="2.5"/>{signs}</g>'
    )


def _square(address: str, x: int, y: int) -> str:
    target = io.BytesIO()
    segno.make(address, error="m").save(target, kind="svg", scale=3, xmldecl=False, svgns=False, border=0, dark=INK)
    return f'<g transform="translate({x} {y})">{target.getvalue().decode()}</g>'


def _name(line: Mapping[str, Any], language: str) -> str:
    name: Text = line["name"]
    words = name.get(language)
    words = words if len(words) < 34 else words[:33] + "…"
    return f"{words} {line['count']:,}" if line["count"] else words


def _rows(shown: Mapping[str, Any], language: str) -> list[tuple[str, str, str, str]]:
    """(sign, colour, what, when) of each line."""
    rows = [
        ("✓", GREEN, _name(line, language), _when(line["at"], "" if line["is_early"] else line["until"]))
        for line in shown["gone"]
    ]
    rows += [
        ("…", AMBER, _name(line, language), str(say(ko="없애는 중", en="being destroyed"))) for line in shown["going"]
    ]
    rows += [
        ("○", AMBER, _name(line, language), f"{line['until']}{say(ko='까지', en=' at the latest')}")
        for line in shown["held"]
    ]
    return rows + [("—", SOFT, _name(line, language), str(say(ko="남습니다", en="stays"))) for line in shown["stays"]]


def _when(at: datetime | None, until: object) -> str:
    return in_seoul(at).strftime("%Y-%m-%d %H:%M") if at else str(until or "")


def receipt_svg(shown: Mapping[str, Any], *, address: str) -> str:
    language = current_language()
    rows = _rows(shown, language)
    top = 232
    height = top + LINE * len(rows) + 190
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(str(shown['number']))}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        f'<rect x="20" y="20" width="{WIDTH - 40}" height="{height - 40}" fill="none" stroke="{SEAM}" stroke-width="2" stroke-dasharray="9 7"/>',
        _text(MARGIN, 82, say(ko="탈퇴 확인서", en="Receipt of withdrawal"), fill=SOFT),
        _text(MARGIN, 124, shown["number"], size=27, weight=700, font=MONO),
        _text(MARGIN, 162, f"{say(ko='떠난 때', en='Left')}  {_when(shown['left_at'], '')}", size=16, fill=SOFT),
        _seal(WIDTH - MARGIN - 100, 56, is_over=shown["is_over"]),
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="192" y2="192" stroke="{SEAM}" stroke-width="2" stroke-dasharray="7 6"/>',
    ]
    for place, (sign, colour, what, when) in enumerate(rows):
        y = top + LINE * place
        parts += [
            _text(MARGIN, y, sign, size=18, weight=700, fill=colour),
            _text(MARGIN + 32, y, what, weight=600),
            _text(WIDTH - MARGIN, y, when, size=16, fill=SOFT, anchor="end"),
        ]
    foot = top + LINE * len(rows) + 8
    parts += [
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{foot - 24}" y2="{foot - 24}" stroke="{SEAM}" stroke-width="2" stroke-dasharray="7 6"/>',
        _square(address, WIDTH - MARGIN - 111, foot),
        _text(MARGIN, foot + 28, say(ko="누구인지는 적혀 있지 않습니다.", en="Nothing on it says who."), size=16),
        _text(
            MARGIN,
            foot + 56,
            say(ko="번호가 있으면 언제든 다시 볼 수 있습니다.", en="The number answers for ever:"),
            size=16,
        ),
        _text(MARGIN, foot + 90, address.split("://", 1)[-1], size=14, fill=SOFT, font=MONO),
        _text(
            MARGIN,
            foot + 114,
            f"{say(ko='이 그림을 그린 때', en='Drawn')}  {_when(shown['today'], '')}",
            size=14,
            fill=SOFT,
        ),
        "</svg>",
    ]
    return "".join(parts)
