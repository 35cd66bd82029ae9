"""The articles people read: our words from the wording files, every figure from the facts.

A wording file holds `## 1. Title` headings and paragraphs. A paragraph may begin with the clauses it promises,
`[A3.1 A3.2②]`, and be a point, `- …`. In it stand

- holes, `{{records.sessions.period}}`, `{{list.items.registration}}`, `{{officer.email}}`: filled in from the facts;
- turns, `{{if records.posts.scope is everyone}}…{{elif …}}…{{else}}…{{end}}`: the words that fit the facts;
- `{{each purposes A2.2}}` alone on a line: one point for each clause of that article, with the purposes declared there.

What names nothing is refused, so text and machine cannot drift apart; both languages must mark the same clauses in
the same order, and every clause of the document must be promised in a sentence. `names.py` lists what can be named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imgnom.policy.errors import PolicyError
from imgnom.policy.names import holds, value_of
from imgnom.policy.types import Policy

_HEADING = re.compile(r"## +(?:(\S+?)\. +)?(.+)")
_MARK = re.compile(r"\[([A-Z]\d[^\]]*)\]\s*")
_TAG = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_EACH = re.compile(r"(?m)^\{\{\s*each purposes (\S+?)\s*\}\}$")
_DOCUMENT = ("A", "S", "B")
DOCUMENTS = ("articles", "terms")
LANGUAGES = ("ko", "en")


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


class _Turns:
    """Chooses, in one walk over the text, the words whose conditions hold. Turns may stand inside each other."""

    def __init__(self, policy: Policy, text: str, file: Path | str, key: str = "") -> None:
        self.policy, self.file, self.key = policy, file, key
        self.pieces = self._split(text)
        self.at = 0

    @staticmethod
    def _split(text: str) -> list[tuple[str, str]]:
        """(kind, words): `text`, or a tag of a turn. Holes stay in the text."""
        pieces: list[tuple[str, str]] = []
        last = 0
        for tag in _TAG.finditer(text):
            kind, _, rest = tag.group(1).partition(" ")
            if kind in ("if", "elif", "else", "end"):
                pieces += [("text", text[last : tag.start()]), (kind, rest.strip())]
                last = tag.end()
        return [*pieces, ("text", text[last:])]

    def fail(self, kind: str, words: str, problem: str) -> PolicyError:
        tag = f"{{{{{f'{kind} {words}'.strip()}}}}}"
        return PolicyError(
            self.file, f"{self.key}: {tag}" if self.key else tag, problem, "{{if …}}…{{elif …}}…{{else}}…{{end}}"
        )

    def run(self) -> str:
        try:
            words = self._block()
        except RecursionError:
            raise PolicyError(
                self.file, self.key or "{{if", "turns stand too deep inside each other", "a few"
            ) from None
        if self.at < len(self.pieces):
            raise self.fail(*self.pieces[self.at], "stands without an if")
        return words

    def _block(self) -> str:
        out = []
        while self.at < len(self.pieces):
            kind, words = self.pieces[self.at]
            if kind == "text":
                out.append(words)
                self.at += 1
            elif kind == "if":
                out.append(self._turn())
            else:
                break
        return "".join(out)

    def _turn(self) -> str:
        opened = self.pieces[self.at][1]
        chosen: str | None = None
        seen_else = False
        while True:
            if self.at >= len(self.pieces):
                raise self.fail("if", opened, "has no {{end}}")
            kind, words = self.pieces[self.at]
            if kind == "end":
                self.at += 1
                return chosen or ""
            if seen_else:
                raise self.fail(kind, words, "stands after {{else}}")
            seen_else = kind == "else"
            if seen_else and words:
                raise self.fail(kind, words, "asks nothing; elif does")
            is_true = seen_else or holds(self.policy, words, self._unknown)
            self.at += 1
            block = self._block()
            if is_true and chosen is None:
                chosen = block

    def _unknown(self, words: str, problem: str, allowed: str) -> PolicyError:
        return PolicyError(
            self.file, f"{self.key}: {{{{if {words}}}}}" if self.key else f"{{{{if {words}}}}}", problem, allowed
        )


def _segments(policy: Policy, text: str, lang: str, file: Path | str, key: str = "") -> tuple[Segment, ...]:
    made: list[Segment] = []
    at = 0
    for hole in _TAG.finditer(text):
        name = hole.group(1)
        if hole.start() > at:
            made.append(Segment(text[at : hole.start()], None))
        try:
            made.append(Segment(value_of(policy, name, lang), name))
        except KeyError as error:
            where = f"{key}: {{{{{name}}}}}" if key else f"{{{{{name}}}}}"
            raise PolicyError(file, where, "names nothing in the policy file", str(error.args[0])) from None
        at = hole.end()
    rest = text[at:]
    if "{{" in rest or "}}" in rest:
        raise PolicyError(file, key or "{{", "a hole is not closed", "{{…}}")
    return (*made, Segment(rest, None)) if rest else tuple(made)


def fill_text(policy: Policy, text: str, lang: str, file: Path | str, key: str) -> str:
    """A single sentence of the policy file with its turns taken and its holes filled."""
    words = _Turns(policy, text, file, key).run()
    return "".join(segment.text for segment in _segments(policy, words, lang, file, key))


def _each(policy: Policy, start: str, lang: str, file: Path | str) -> str:
    """One point for each clause below `start`, with what the facts say of it."""
    clauses = [key for key in policy.clauses if re.fullmatch(rf"{re.escape(start)}[a-h]", key)] or [start]
    if start not in policy.clauses:
        raise PolicyError(
            file, f"{{{{each purposes {start}}}}}", "is no clause of the policy file", ", ".join(policy.clauses)
        )
    lines = []
    for clause in clauses:
        named = [purpose for purpose in policy.purposes.values() if purpose.article == clause]
        lines += [f"[{clause}] - {{{{purposes.{purpose.id}.sentence}}}}" for purpose in named]
        if not named:
            none = "이 목적으로는 쓰지 않습니다." if lang == "ko" else "Nothing is used for this."
            lines.append(f"[{clause}] - {{{{clauses.{clause}.promise}}}} {none}")
    return "\n".join(lines)


def _paragraph(policy: Policy, block: str, lang: str, file: Path | str) -> RenderedParagraph | None:
    mark = _MARK.match(block)
    clauses = tuple(mark.group(1).split()) if mark else ()
    body = block[mark.end() :] if mark else block
    is_point = body.startswith("- ")
    body = " ".join(body.removeprefix("- ").split())
    for clause in clauses:
        if clause not in policy.clauses:
            raise PolicyError(file, f"[{clause}]", "is no clause of the policy file", ", ".join(policy.clauses))
    segments = _segments(policy, body, lang, file)
    if not "".join(segment.text for segment in segments).strip():
        return None
    return RenderedParagraph(clauses, segments, is_point)


def _render(policy: Policy, name: str, lang: str, file: Path | str) -> tuple[RenderedArticle, ...]:
    text = _Turns(policy, policy.wording[f"{name}.{lang}.md"], file).run()
    text = _EACH.sub(lambda each: _each(policy, each.group(1), lang, file), text)
    articles: list[RenderedArticle] = []
    for part in re.split(r"(?m)^(?=## )", text):
        heading = _HEADING.match(part)
        if heading is None:
            if part.strip():
                raise PolicyError(file, "heading", "the text begins before the first heading", "## 1. Title")
            continue
        blocks = [b.strip() for b in re.split(r"\n(?:\s*\n|(?=- |\[[A-Z]\d))", part[heading.end() :]) if b.strip()]
        paragraphs = (_paragraph(policy, block, lang, file) for block in blocks)
        articles.append(
            RenderedArticle(heading.group(1) or "", heading.group(2).strip(), tuple(p for p in paragraphs if p))
        )
    return tuple(articles)


def render_articles(policy: Policy, lang: str) -> tuple[RenderedArticle, ...]:
    return _render(policy, "articles", lang, f"articles.{lang}.md")


def render_terms(policy: Policy, lang: str) -> tuple[RenderedArticle, ...]:
    return _render(policy, "terms", lang, f"terms.{lang}.md")


def _marks(articles: tuple[RenderedArticle, ...]) -> list[tuple[str, ...]]:
    """The clauses of each article in order; an article that promises the same in several sentences counts once."""
    return [tuple(dict.fromkeys(c for p in article.paragraphs for c in p.clauses)) for article in articles]


def check_wording(policy: Policy, files: Mapping[str, Path], folder: Path) -> None:
    """Refuse a policy whose words are missing, empty, name nothing, leave a clause out, or differ between the languages."""
    for name in DOCUMENTS:
        rendered = {}
        for lang in LANGUAGES:
            file = f"{name}.{lang}.md"
            if file not in policy.wording:
                raise PolicyError(
                    folder.parent / file, "file", "is missing", "the words of the policy in both languages"
                )
            rendered[lang] = _render(policy, name, lang, files.get(file, file))
            _ensure_whole(policy, name, rendered[lang], files.get(file, file))
        korean, english = _marks(rendered["ko"]), _marks(rendered["en"])
        where = files.get(f"{name}.en.md", f"{name}.en.md")
        if len(korean) != len(english):
            raise PolicyError(
                where,
                "headings",
                f"{len(english)} articles, in Korean {len(korean)}",
                "the same articles in both languages",
            )
        for article, one, other in zip(rendered["en"], korean, english, strict=True):
            if one != other:
                allowed = f"as in Korean: {', '.join(one) or 'none'}"
                raise PolicyError(where, f"## {article.number}", f"promises {', '.join(other) or 'no clause'}", allowed)


def _ensure_whole(policy: Policy, name: str, articles: tuple[RenderedArticle, ...], file: Path | str) -> None:
    if not articles:
        raise PolicyError(file, "file", "is empty", "## 1. Title, then paragraphs")
    for article in articles:
        if not article.paragraphs:
            raise PolicyError(
                file, f"## {article.number or article.title}", "has no sentence", "at least one paragraph"
            )
    if name != "articles":
        return
    promised = {clause for article in articles for paragraph in article.paragraphs for clause in paragraph.clauses}
    for clause in policy.clauses:
        if clause.startswith(_DOCUMENT) and clause not in promised:
            raise PolicyError(
                file, f"[{clause}]", "no sentence promises this clause", "a paragraph that begins with it"
            )
