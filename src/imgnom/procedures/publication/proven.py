"""The articles with their proof beside each sentence: the state and the evidence that the board has for its clauses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from imgnom.policy.public import RenderedArticle, RenderedParagraph, Segment
from imgnom.procedures.proofs.public import Board, Row

MARKS = {"green": "holds", "red": "broken", "planned": "planned"}
ORDER = ("red", "planned", "green")


@dataclass(frozen=True)
class Badge:
    clause: str
    mark: str
    is_anchor: bool  # the first sentence of a clause is where its badges elsewhere lead to


@dataclass(frozen=True)
class Sentence:
    segments: tuple[Segment, ...]
    is_point: bool
    badges: tuple[Badge, ...]
    mark: str
    evidence: tuple[str, ...]
    checked_at: datetime | None


@dataclass(frozen=True)
class Article:
    number: str
    title: str
    heading: str
    sentences: tuple[Sentence, ...]


def _evidence(rows: list[Row], lang: str) -> tuple[str, ...]:
    """At most two lines, of what is worst; the board has them all."""
    worst = next((state for state in ORDER if any(row.state == state for row in rows)), "planned")
    lines = [words.get(lang) for row in rows if row.state == worst for words in row.evidence]
    return tuple(dict.fromkeys(lines))[:2]


def _sentence(paragraph: RenderedParagraph, rows: Mapping[str, Row], seen: set[str], lang: str) -> Sentence:
    named = [rows[clause] for clause in paragraph.clauses if clause in rows]
    badges = []
    for row in named:
        badges.append(Badge(row.id, MARKS[row.state], row.id not in seen))
        seen.add(row.id)
    worst = next((state for state in ORDER if any(row.state == state for row in named)), "planned")
    # A clause that was proved a sentence before keeps its badge here and does not say its proof again.
    fresh = [row for row, badge in zip(named, badges, strict=True) if badge.is_anchor]
    checked = [row.checked_at for row in fresh if row.checked_at is not None]
    return Sentence(
        paragraph.segments, paragraph.is_point, tuple(badges), MARKS[worst], _evidence(fresh, lang), max(checked, default=None)
    )  # fmt: skip


def _heading(article: RenderedArticle, lang: str) -> str:
    if not article.number.isdecimal():
        return f"{article.number}. {article.title}"
    if article.number == "0":
        return article.title
    return f"제{article.number}조 {article.title}" if lang == "ko" else f"Article {article.number}. {article.title}"


def with_proofs(articles: tuple[RenderedArticle, ...], board: Board, lang: str) -> tuple[Article, ...]:
    rows, seen = {row.id: row for row in board.rows}, set[str]()
    return tuple(
        Article(
            article.number,
            article.title,
            _heading(article, lang),
            tuple(_sentence(paragraph, rows, seen, lang) for paragraph in article.paragraphs),
        )
        for article in articles
    )
