"""The articles people read: our words from the wording files, every figure from the facts.

A wording file holds `## 1. Title` headings and paragraphs. A paragraph may begin with the clauses it promises,
`[A3.1 A3.2②]`. `{{records.sessions.period}}`, `{{items.email.label}}`, `{{settings.without_delay_days}}`,
`{{operator.name}}`, `{{officer.email}}`, `{{effective}}`, `{{list.items.registration}}` are filled in; an unknown
name is an error, so text and machine cannot drift apart. Both languages must mark the same clauses in the same order.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from imgnom.policy.errors import PolicyError
from imgnom.policy.periods import words_for_period
from imgnom.policy.types import Policy

_HEADING = re.compile(r"## +(?:(\S+?)\. +)?(.+)")
_MARK = re.compile(r"\[([A-Z][^\]]*)\]\s*")
_HOLE = re.compile(r"\{\{\s*([^}]+?)\s*\}\}")


@dataclass(frozen=True)
class Segment:
    text: str
    key: str | None


@dataclass(frozen=True)
class RenderedParagraph:
    clauses: tuple[str, ...]
    segments: tuple[Segment, ...]
    is_point: bool

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True)
class RenderedArticle:
    number: str
    title: str
    paragraphs: tuple[RenderedParagraph, ...]


def _value(policy: Policy, key: str, lang: str) -> str:
    match key.split("."):
        case ["effective"]:
            return policy.effective.isoformat()
        case ["version"]:
            return policy.version
        case ["operator", name]:
            return policy.operator[name].get(lang)
        case ["officer", name]:
            return policy.officer[name].get(lang)
        case ["items", name, "label"]:
            return policy.items[name].label.get(lang)
        case ["records", name, "period"]:
            return words_for_period(policy.records[name].period, lang)
        case ["records", name, "label"]:
            return policy.records[name].label.get(lang)
        case ["settings", name]:
            return str(policy.settings[name].value)
        case ["consents", name, "label"]:
            return policy.consents[name].label.get(lang)
        case ["purposes", name, "label"]:
            return policy.purposes[name].label.get(lang)
        case ["list", "items", collected]:
            return ", ".join(item.label.get(lang) for item in policy.items.values() if item.collected == collected)
        case ["list", "records", name]:
            return ", ".join(policy.items[item].label.get(lang) for item in policy.records[name].items)
    raise KeyError(key)


def _paragraph(policy: Policy, block: str, lang: str, file: str) -> RenderedParagraph:
    mark = _MARK.match(block)
    clauses = tuple(mark.group(1).split()) if mark else ()
    body = block[mark.end() :] if mark else block
    is_point = body.startswith("- ")
    body = " ".join(body.removeprefix("- ").split())
    segments: list[Segment] = []
    at = 0
    for hole in _HOLE.finditer(body):
        if hole.start() > at:
            segments.append(Segment(body[at : hole.start()], None))
        try:
            segments.append(Segment(_value(policy, hole.group(1), lang), hole.group(1)))
        except KeyError:
            raise PolicyError(file, f"{{{{{hole.group(1)}}}}}", "names nothing in the policy file") from None
        at = hole.end()
    if at < len(body):
        segments.append(Segment(body[at:], None))
    for clause in clauses:
        if clause not in policy.clauses:
            raise PolicyError(file, f"[{clause}]", "is no clause of the policy file")
    return RenderedParagraph(clauses, tuple(segments), is_point)


def _render(policy: Policy, name: str, lang: str) -> tuple[RenderedArticle, ...]:
    file = f"{name}.{lang}.md"
    articles: list[RenderedArticle] = []
    for part in re.split(r"(?m)^(?=## )", policy.wording[file]):
        heading = _HEADING.match(part)
        if heading is None:
            if part.strip():
                raise PolicyError(file, "heading", "the text begins before the first heading", "## 1. Title")
            continue
        blocks = [
            block.strip() for block in re.split(r"\n(?:\s*\n|(?=- |\[[A-Z]))", part[heading.end() :]) if block.strip()
        ]
        articles.append(
            RenderedArticle(
                heading.group(1) or "",
                heading.group(2).strip(),
                tuple(_paragraph(policy, b, lang, file) for b in blocks),
            )
        )
    return tuple(articles)


def render_articles(policy: Policy, lang: str) -> tuple[RenderedArticle, ...]:
    return _render(policy, "articles", lang)


def render_terms(policy: Policy, lang: str) -> tuple[RenderedArticle, ...]:
    return _render(policy, "terms", lang)


def check_wording(policy: Policy, folder: Path) -> None:
    """Refuse a policy whose words are missing, name nothing, or promise different clauses in the two languages."""
    for name in ("articles", "terms"):
        marks = []
        for lang in ("ko", "en"):
            if f"{name}.{lang}.md" not in policy.wording:
                raise PolicyError(folder, f"{name}.{lang}.md", "is missing")
            marks.append(
                [
                    (place, [p.clauses for p in a.paragraphs if p.clauses])
                    for place, a in enumerate(_render(policy, name, lang))
                ]
            )
        for korean, english in zip(marks[0], marks[1], strict=False):
            if korean != english:
                raise PolicyError(
                    folder,
                    f"{name}: {korean[0]}",
                    f"Korean marks {korean[1]}, English marks {english[1]}",
                    "the same clauses in the same order",
                )
        if len(marks[0]) != len(marks[1]):
            raise PolicyError(folder, name, "has more articles in one language than in the other")
