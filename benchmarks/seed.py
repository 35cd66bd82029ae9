"""A community of any size, written straight into the real stores: members with sealed values, pictures, comments.

Rows only, made in bulk; the files of pictures exist for the member whose withdrawal is measured. The same numbers give
the same community, so that a home is made once and kept.
"""

import random
import secrets
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.home import NOW, say

BATCH = 2_000
WORDS = [
    "바다",
    "노을",
    "고양이",
    "산길",
    "첫눈",
    "골목",
    "시장",
    "등불",
    "강가",
    "단풍",
    "창가",
    "새벽",
    "빗길",
    "다리",
    "숲",
    "항구",
    "옥상",
    "비탈",
    "처마",
    "들꽃",
]


def _in_batches[T](rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield batch


def seed_members(count: int, dice: random.Random) -> list[int]:
    """Members with key, sealed ID, address and nickname, and blind indexes; returns their numbers."""
    from imgnom.community.members.models import Member
    from imgnom.custody.keys import hazmat
    from imgnom.custody.keys.epochs import current_epoch, wrap_for_row
    from imgnom.custody.keys.models import DataKey
    from imgnom.custody.vault.models import BlindIndex, SealedValue
    from imgnom.custody.vault.values import SUBJECT, blind_digest, bound_to

    epoch = current_epoch()
    keys: list[Any] = []
    values: list[Any] = []
    indexes: list[Any] = []
    members: list[Any] = []
    for number in range(count):
        subject, key_id, raw = secrets.token_hex(13), secrets.token_hex(16), hazmat.new_key()
        keys.append(
            DataKey(
                key_id=key_id,
                owner=subject,
                klass=SUBJECT,
                wrapped=wrap_for_row(raw, key_id=key_id, owner=subject, klass=SUBJECT, epoch=epoch),
                epoch=epoch,
                made_at=NOW,
            )
        )
        nickname = f"{dice.choice(WORDS)}{number}"
        facts = {"username": f"member.{number}", "email": f"member.{number}@mail.example", "nickname": nickname}
        for item, value in facts.items():
            sealed = hazmat.DataKey(raw).seal(value.encode(), bound_to=bound_to(subject, item, ""))
            values.append(SealedValue(subject=subject, item=item, row="", sealed=sealed, key_id=key_id, sealed_at=NOW))
        indexes.extend(
            BlindIndex(subject=subject, item=item, digest=blind_digest(item, facts[item]))
            for item in ("username", "email")
        )
        members.append(
            Member(
                subject=subject, nickname=nickname, nickname_key=nickname, password="!", joined_at=NOW - timedelta(days=dice.randrange(900))
            )
        )  # fmt: skip
    for rows, model in ((keys, DataKey), (values, SealedValue), (indexes, BlindIndex), (members, Member)):
        for batch in _in_batches(rows):
            model.objects.bulk_create(batch)
    return list(Member.objects.order_by("pk").values_list("pk", flat=True))


def seed_pictures(count: int, authors: list[int], dice: random.Random, *, files: Path | None = None) -> list[int]:
    """Public pictures with a file key each; with `files`, small sealed and plain files too."""
    from imgnom.community.images.models import Image
    from imgnom.community.images.take_in import files_of
    from imgnom.custody.keys import hazmat
    from imgnom.custody.keys.epochs import current_epoch, wrap_for_row
    from imgnom.custody.keys.models import DataKey
    from imgnom.custody.vault.files import FILE
    from imgnom.web.row_order import next_position

    epoch = current_epoch()
    made: list[int] = []
    place = next_position(Image, NOW - timedelta(minutes=count))
    for batch in _in_batches(range(count)):
        keys, rows = [], []
        for number in batch:
            token, key_id = secrets.token_hex(16), secrets.token_hex(16)
            wrapped = wrap_for_row(hazmat.new_key(), key_id=key_id, owner=token, klass=FILE, epoch=epoch)
            keys.append(DataKey(key_id=key_id, owner=token, klass=FILE, wrapped=wrapped, epoch=epoch, made_at=NOW))
            wide, high = dice.choice(((1600, 1067), (1067, 1600), (1600, 900), (1200, 1200)))
            rows.append(
                Image(
                    public_id=secrets.token_urlsafe(8), author_id=dice.choice(authors), title=" ".join(dice.choices(WORDS, k=3)),
                    description=" ".join(dice.choices(WORDS, k=20)), alt=" ".join(dice.choices(WORDS, k=5)), visibility="public", format="jpeg",
                    bytes=3_000_000, width=4 * wide // 2, height=4 * high // 2, frames=1, thumbnail_width=wide * 2 // 5, thumbnail_height=high * 2 // 5,
                    preview_width=wide, preview_height=high, removed=["camera"], media_token=token, placeholder=secrets.token_urlsafe(36)[:48],
                    created_at=NOW - timedelta(minutes=count - number), position=place + number,
                )
            )  # fmt: skip
            if files is not None:
                for path in files_of(token):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"x" * 2_000)
        DataKey.objects.bulk_create(keys)
        made += [row.pk for row in Image.objects.bulk_create(rows)]
    return made


def seed_comments(places: Iterable[int], authors: list[int], dice: random.Random) -> None:
    """One comment for every picture number in `places`, in that order."""
    from imgnom.community.comments.models import Comment
    from imgnom.web.row_order import next_position

    for batch in _in_batches(places):
        first = next_position(Comment, NOW)
        Comment.objects.bulk_create(
            [
                Comment(
                    image_id=place, author_id=dice.choice(authors), body=" ".join(dice.choices(WORDS, k=12)), created_at=NOW, position=first + number
                )
                for number, place in enumerate(batch)
            ]
        )  # fmt: skip


def seed_community(*, pictures: int, comments: int, members: int, popular_comments: int) -> None:
    """The oldest picture has `popular_comments`; the newest nine tenths share the rest, ten each where it reaches."""
    dice = random.Random(7)
    say(f"seeding {members} members, {pictures} pictures, {comments} comments (once) …")
    people = seed_members(members, dice)
    hung = seed_pictures(pictures, people, dice)
    rest = comments - popular_comments
    commented = hung[-max(1, rest // 10) :]
    places = [place for place in commented for _ in range(10)][:rest]
    dice.shuffle(places)
    seed_comments([hung[0]] * popular_comments, people, dice)
    seed_comments(places, people, dice)


def seed_crowd(members: int) -> None:
    """Twice as many pictures and six times as many comments as members, most of them by few."""
    dice = random.Random(9)
    say(f"seeding a crowd of {members} (once) …")
    people = seed_members(members, dice)
    authors = [people[int(len(people) * dice.random() ** 3)] for _ in range(4 * members)]
    hung = seed_pictures(2 * members, authors, dice)
    seed_comments((dice.choice(hung) for _ in range(6 * members)), authors, dice)
