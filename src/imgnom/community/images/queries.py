"""Lists and single pictures as pages show them: keyset pages, one rule of who may see, few queries.

What was deleted, removed or left is seen nowhere again (A7.4): every list begins with the same rule.

A page of the gallery is read as plain values, not as rows of the model: forty tiles cost one query.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, router
from django.db.models import Q, QuerySet

from imgnom.community.images.models import Image, ImageTag
from imgnom.community.images.text import one_line
from imgnom.custody.prepared import Prepared, as_row, columns_of
from imgnom.web.paging import make_cursor, read_cursor
from imgnom.web.search import CHUNK, Row, limited_statements, scan

PAGE = 40
GALLERY = "gallery"
OPEN_TO_ALL = Q(visibility="public", removed_reason="")


@dataclass(frozen=True)
class Card:
    """One tile. Sizes in pixels of the files."""

    number: int
    position: int
    public_id: str
    title: str
    alt: str
    nickname: str | None
    author_name: str
    visibility: str
    removed_reason: str
    frames: int
    thumbnail_width: int
    thumbnail_height: int
    preview_width: int
    preview_height: int
    placeholder: str


_FIELDS = (
    "pk", "position", "public_id", "title", "alt", "author__nickname", "author_name", "visibility", "removed_reason", "frames", "thumbnail_width",
    "thumbnail_height", "preview_width", "preview_height", "placeholder",
)  # fmt: skip


@dataclass(frozen=True)
class CardPage:
    cards: tuple[Card, ...]
    older: str
    is_first: bool


@dataclass(frozen=True)
class ShownPicture:
    """A picture for its page, with its neighbours among what everybody may see and its tags."""

    image: Image
    newer: str | None
    older: str | None
    authors_newer: str | None
    authors_older: str | None


def visible_images() -> QuerySet[Image]:
    """What everybody may find in lists."""
    return Image.objects.filter(OPEN_TO_ALL).select_related("author")


def can_see(image: Image, *, member_id: int | None) -> bool:
    """The one rule of who may see a picture (A1, A2): its owner always; others unless private or removed."""
    if image.author_id is not None and image.author_id == member_id:
        return True
    return image.visibility in ("public", "unlisted") and not image.removed_reason


def find_image(public_id: str) -> Image | None:
    return Image.objects.select_related("author").filter(public_id=public_id).first()


def visible_image(public_id: str, *, member_id: int | None) -> Image | None:
    image = find_image(public_id)
    return image if image is not None and can_see(image, member_id=member_id) else None


# Written out: the ORM needs longer to compose it than a store to answer it.
_AROUND = """
SELECT
  (SELECT n.public_id FROM images_image n WHERE n.visibility = 'public' AND n.removed_reason = '' AND n.position > p.position
    ORDER BY n.position LIMIT 1),
  (SELECT n.public_id FROM images_image n WHERE n.visibility = 'public' AND n.removed_reason = '' AND n.position < p.position
    ORDER BY n.position DESC LIMIT 1),
  (SELECT n.public_id FROM images_image n WHERE n.visibility = 'public' AND n.removed_reason = '' AND n.position > p.position
    AND n.author_id = p.author_id ORDER BY n.position LIMIT 1),
  (SELECT n.public_id FROM images_image n WHERE n.visibility = 'public' AND n.removed_reason = '' AND n.position < p.position
    AND n.author_id = p.author_id ORDER BY n.position DESC LIMIT 1)
FROM images_image p WHERE p.id = %s
"""


_ROW = columns_of(Image)
_SHOWN = Prepared(
    lambda public_id: Image.objects.filter(public_id=public_id).values_list(*_ROW, "author__nickname"), str
)


def _image_to_show(public_id: str) -> Image | None:
    """The row with its author's nickname; what else the author's row holds is no matter of a page."""
    found = _SHOWN.first(public_id)
    if found is None:
        return None
    image = as_row(Image, found[:-1])
    if image.author_id is not None:
        author: Any = Image._meta.get_field("author").related_model
        image.author = as_row(author, (image.author_id, found[-1]), only=("id", "nickname"))
    return image


def shown_picture(public_id: str, *, member_id: int | None) -> ShownPicture | None:
    """Two queries. A picture that stands in no list has no neighbours."""
    image = _image_to_show(public_id)
    if image is None or not can_see(image, member_id=member_id):
        return None
    if image.visibility != "public" or image.removed_reason:
        return ShownPicture(image, None, None, None, None)
    with connections[router.db_for_read(Image)].cursor() as cursor:
        cursor.execute(_AROUND, [image.pk])
        around = cursor.fetchone() or (None, None, None, None)
    return ShownPicture(image, *around)


_TAGS_OF = Prepared(
    lambda image: ImageTag.objects.filter(image_id=image).order_by("place", "pk").values_list("tag__name"), int
)


def tags_of(image: Image) -> list[str]:
    return [name for (name,) in _TAGS_OF(image.pk)]


# One question for a page of the gallery, from the newest or after a cursor.
_NEWEST = Prepared(lambda: visible_images().order_by("-position").values_list(*_FIELDS)[: PAGE + 1])
_OLDER = Prepared(
    lambda cursor: visible_images().filter(position__lt=cursor).order_by("-position").values_list(*_FIELDS)[: PAGE + 1],
    int,
)


def newest_page(*, after: str | None) -> CardPage:
    """`card_page` of all that everybody may see."""
    cursor = read_cursor(GALLERY, after)
    return _cut(_NEWEST() if cursor is None else _OLDER(cursor), PAGE, listing=GALLERY, is_first=cursor is None)


def _cut(rows: Iterable[Sequence[Any]], size: int, *, listing: str, is_first: bool) -> CardPage:
    cards = tuple(Card(*row) for row in rows)
    older = make_cursor(listing, cards[size - 1].position) if len(cards) > size else ""
    return CardPage(cards[:size], older, is_first)


def card_page(query: QuerySet[Image], *, listing: str, after: str | None, size: int = PAGE) -> CardPage:
    """Newest first, those older than the cursor; costs the same wherever it stands. `listing` names the list."""
    cursor = read_cursor(listing, after)
    if cursor is not None:
        query = query.filter(position__lt=cursor)
    rows = query.order_by("-position").values_list(*_FIELDS)[: size + 1]
    return _cut(rows, size, listing=listing, is_first=cursor is None)


_TAGS_ON = Prepared(
    lambda *numbers: ImageTag.objects.filter(image_id__in=numbers).values_list("tag__name"), *[int] * PAGE
)


def tags_on(cards: Sequence[Card], *, most: int = 8) -> list[str]:
    """The tags that stand on these pictures most often."""
    if not cards:
        return []
    numbers = [card.number for card in cards[:PAGE]]
    # The question names as many pictures as a page has: where there are fewer, the last one is named again.
    found = Counter(name for (name,) in _TAGS_ON(*numbers, *[numbers[-1]] * (PAGE - len(numbers))))
    return [name for name, _ in found.most_common(most)]


def tag_page(name: str, *, listing: str, after: str | None) -> CardPage:
    """Raises StatementTooSlow: how many rows are read depends on how many pictures carry the tag."""
    tagged = ImageTag.objects.filter(tag__name=one_line(name).casefold())
    query = visible_images().filter(pk__in=tagged.values("image_id"))
    with limited_statements(query.db):
        return card_page(query, listing=listing, after=after)


def of_member(member_id: int, *, show: str) -> QuerySet[Image]:
    """`show` is a visibility or `removed`; only its owner is ever asked for other than `public`."""
    mine = Image.objects.filter(author_id=member_id)
    return mine.exclude(removed_reason="") if show == "removed" else mine.filter(visibility=show, removed_reason="")


_SCANNED = ("pk", "position", "title", "description", "author__nickname")
_SCAN_NEWEST = Prepared(lambda: visible_images().order_by("-position").values_list(*_SCANNED)[:CHUNK])
_SCAN_OLDER = Prepared(
    lambda cursor: visible_images().filter(position__lt=cursor).order_by("-position").values_list(*_SCANNED)[:CHUNK],
    int,
)
_TAGS_OF_CHUNK = Prepared(
    lambda *numbers: ImageTag.objects.filter(image_id__in=numbers).values_list("image_id", "tag__name"), *[int] * CHUNK
)


def _rows_to_search(after: int | None) -> list[Row]:
    """The next pictures that everybody may see, with everything that search looks at."""
    with limited_statements(router.db_for_read(Image)):
        found = _SCAN_NEWEST() if after is None else _SCAN_OLDER(after)
        numbers = [row[0] for row in found]
        tags: dict[int, list[str]] = {}
        for number, name in _TAGS_OF_CHUNK(*numbers, *[numbers[-1]] * (CHUNK - len(numbers))) if numbers else ():
            tags.setdefault(number, []).append(name)
    return [
        Row(pk, position, (title, description), tuple(tags.get(pk, ())), (nickname or "",))
        for pk, position, title, description, nickname in found
    ]


@dataclass(frozen=True)
class SearchPage:
    """`looked_at` is how many pictures this page took; `is_stopped`: a limit was reached, and `older` goes on there."""

    page: CardPage
    looked_at: int
    is_stopped: bool


def search_page(words: Sequence[str], *, listing: str, after: str | None) -> SearchPage:
    """Pictures that everybody may see and that hold every word: in title, description, a tag or the author's name."""
    cursor = read_cursor(listing, after)
    if not words:
        return SearchPage(CardPage((), "", is_first=True), 0, is_stopped=False)
    found = scan(_rows_to_search, words, after=cursor, most=PAGE + 1)
    rows = visible_images().filter(pk__in=found.keys).order_by("-position").values_list(*_FIELDS)
    page = _cut(rows, PAGE, listing=listing, is_first=cursor is None)
    is_stopped = not page.older and found.reached is not None
    if is_stopped and found.reached is not None:
        page = CardPage(page.cards, make_cursor(listing, found.reached), page.is_first)
    return SearchPage(page, found.looked_at, is_stopped)


def own_images(public_ids: Sequence[str], *, member_id: int) -> list[Image]:
    """In the order asked for; what is not this member's is left out."""
    rows = {row.public_id: row for row in Image.objects.filter(public_id__in=public_ids, author_id=member_id)}
    return [rows[public_id] for public_id in dict.fromkeys(public_ids) if public_id in rows]
