"""Display sizes in two formats: who gets which, what is made again, and that strangers cause no work without end."""

import hashlib
import io
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from PIL import Image as Picture

from imgnom.community.images import again, decode, take_in
from imgnom.community.images.decode import NURSERY
from imgnom.community.images.errors import Busy, NotAPicture
from imgnom.community.images.models import Image
from imgnom.community.images.public import delete_one, hide_images, keep_images, remove_by_staff, upload_file
from imgnom.community.images.take_in import files_of, media_path, sweep_orphans
from imgnom.community.members.public import MemberCard, create_confirmed_member
from imgnom.custody.keys.public import SealBroken
from imgnom.policy.public import SYSTEM
from imgnom.site.clock import set_clock
from tests import files

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

SHOWN = ("thumbnail", "preview")


@pytest.fixture
def author(now: datetime) -> MemberCard:
    set_clock(now)
    again._FAILED.clear()
    return create_confirmed_member(
        username="eunsu.x", password="kite over the river", nickname="은수", email="eunsu@mail.example", now=now
    )


def hung(author: MemberCard, now: datetime, data: bytes | None = None, visibility: str = "public") -> Image:
    content = data or files.saved(files.drawn(), "JPEG", quality=95)
    taken = upload_file(
        content=content, title="", description="", alt="", tags="", visibility=visibility, by_member=author.id, now=now
    )
    return Image.objects.get(public_id=taken.public_id)


def ask(
    image: Image, accept: str | None = None, size: str = "preview", client: Client | None = None, **more: str
) -> Any:
    headers = ({} if accept is None else {"accept": accept}) | more
    return (client or Client()).get(f"/media/{image.public_id}/{size}", headers=headers)


def lose(image: Image, *formats: str) -> None:
    for size in SHOWN:
        for shown_as in formats or ("avif", "webp"):
            media_path("derived", image.media_token, size, shown_as).unlink()


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every job that the decoder is given."""
    real, given = NURSERY.child, []

    def child(job: str, content: int) -> decode._Child:
        given.append(job)
        return real(job, content)

    monkeypatch.setattr(NURSERY, "child", child)
    return given


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("accept", "shown_as"),
    [
        (None, "webp"), ("", "webp"), ("*/*", "webp"), ("image/*", "webp"), ("image/avif", "avif"), ("image/avif,image/webp,image/*;q=0.8", "avif"),
        ("IMAGE/AVIF", "avif"), ("image/webp, image/avif;q=0.1", "avif"), ("image/avif;q=0", "webp"), ("image/avif;q=0.000", "webp"),
        ("image/avif ; q = 0", "webp"), ("image/avif;q=0,*/*", "webp"), ("image/avif;q=0.5;v=1", "avif"), ("image/avif-sequence", "webp"),
        ("text/html;x=image/avif", "webp"), (",;,;;=,", "webp"), ("image/avif;q=", "webp"), ("x," * 5000 + "image/avif", "webp"), ("\x80\xff", "webp"),
    ],
)  # fmt: skip
def test_avif_for_whom_it_is_named_and_webp_for_all_others(
    author: MemberCard, now: datetime, accept: str | None, shown_as: str
) -> None:
    image = hung(author, now)
    for size in SHOWN:
        answer = ask(image, accept, size)
        assert answer.status_code == 200
        assert answer["Content-Type"] == f"image/{shown_as}"
        assert answer["Content-Disposition"] == f'inline; filename="imgnom-{image.public_id}-{size}.{shown_as}"'
        assert "Accept" in answer["Vary"]
        assert Picture.open(io.BytesIO(answer.content)).format == shown_as.upper()


@pytest.mark.clause("A2.1")
def test_each_format_has_a_mark_of_its_own(author: MemberCard, now: datetime) -> None:
    image = hung(author, now)
    avif, webp = ask(image, "image/avif"), ask(image)
    assert avif["ETag"] != webp["ETag"] != ask(image, size="thumbnail")["ETag"]
    assert image.media_token not in avif["ETag"]
    again_avif = ask(image, "image/avif", **{"if-none-match": avif["ETag"]})
    assert (again_avif.status_code, again_avif["ETag"]) == (304, avif["ETag"])
    assert "Accept" in again_avif["Vary"]
    assert ask(image, "image/avif", **{"if-none-match": webp["ETag"]})["ETag"] == webp["ETag"]
    assert ask(image, None, **{"if-none-match": avif["ETag"]}).status_code == 200, "it cannot show what it holds"
    private = hung(author, now, visibility="private")
    Image.objects.filter(pk=private.pk).update(visibility="private")
    assert ask(private, "image/avif").status_code == 404


@pytest.mark.clause("A2.1")
def test_what_moves_comes_as_webp_alone(author: MemberCard, now: datetime) -> None:
    image = hung(author, now, files.gif_with_canaries())
    assert ask(image, "image/avif")["Content-Type"] == "image/webp"
    assert sum(path.exists() for path in files_of(image.media_token)) == 3


@pytest.mark.clause("A2.1")
def test_a_file_in_another_format_is_served_sooner_than_one_is_made(
    author: MemberCard, now: datetime, jobs: list[str]
) -> None:
    image = hung(author, now)
    jobs.clear()
    lose(image, "avif")
    answer = ask(image, "image/avif")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
    assert answer["ETag"] == ask(image)["ETag"]
    assert jobs == []
    lose(image, "webp")
    assert ask(image)["Content-Type"] == "image/webp"
    assert len(jobs) == 1, "one job makes all that is lost"
    assert all(path.exists() for path in files_of(image.media_token))
    for accept in (None, "image/avif"):
        for size in SHOWN:
            assert ask(image, accept, size).status_code == 200
    assert len(jobs) == 1


@pytest.mark.clause("A2.1")
def test_many_who_ask_for_what_is_lost_cause_one_job(author: MemberCard, now: datetime, jobs: list[str]) -> None:
    image = hung(author, now)
    lose(image)
    jobs.clear()
    answers: list[object] = []

    def visit() -> None:
        try:
            answers.append(again.display_size(image, "preview", ("webp",))[1])
        except Busy:
            answers.append("busy")
        finally:
            connections.close_all()

    visitors = [threading.Thread(target=visit) for _ in range(12)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(jobs) == 1
    assert len(answers) == 12
    assert "webp" in answers


@pytest.mark.clause("A2.1")
def test_what_cannot_be_made_or_kept_is_not_tried_at_every_visit(
    author: MemberCard, now: datetime, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = hung(author, now)
    lose(image)
    jobs.clear()
    with monkeypatch.context() as patched:
        patched.setattr(decode, "WALL_SECONDS", 0.0)
        patched.setattr(
            again,
            "made_of",
            lambda content, kind: decode.decode(content, kind, seconds=0),
        )
        assert ask(image).status_code == 404
        for _ in range(5):
            answer = ask(image)
            assert (answer.status_code, answer["Retry-After"]) == (503, "2")
        assert len(jobs) == 1
    monkeypatch.setattr(again, "TRIED_AGAIN_SECONDS", 0.0)
    assert ask(image).status_code == 200
    lose(image)
    monkeypatch.undo()

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(again, "replace_file", full)
    assert ask(image).status_code == 200, "it is seen even where it cannot be kept"
    assert ask(image).status_code == 503
    assert again._FAILED.keys() == {image.media_token}


def by_owner(image: Image, now: datetime) -> None:
    delete_one(image, now=now, by=SYSTEM)


def by_staff(image: Image, now: datetime) -> None:
    remove_by_staff(image.public_id, reason="a reason", by=SYSTEM, now=now)


@pytest.mark.clause("A4.2")
@pytest.mark.parametrize("end", [by_owner, by_staff])
def test_both_formats_end_with_the_picture(
    author: MemberCard, now: datetime, end: Callable[[Image, datetime], None]
) -> None:
    image = hung(author, now)
    paths = files_of(image.media_token)
    assert [path.exists() for path in paths] == [True] * 5
    end(image, now)
    assert not any(path.exists() for path in paths)
    assert ask(image, "image/avif").status_code == ask(image).status_code == 404


@pytest.mark.clause("A4.2")
@pytest.mark.parametrize("end", [by_owner, by_staff])
@pytest.mark.parametrize("moment", ["while it is decoded", "between its files", "after its files"])
def test_what_was_made_while_the_picture_was_destroyed_is_gone(
    author: MemberCard,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Image, datetime], None],
    moment: str,
) -> None:
    """The destruction falls into each gap of the making."""
    image = hung(author, now)
    lose(image)
    made, write = again.made_of, again.replace_file
    writes = 0

    def made_late(*given: Any) -> Any:
        found = made(*given)
        if moment == "while it is decoded":
            end(image, now)
        return found

    def write_late(path: Path, content: bytes) -> None:
        nonlocal writes
        write(path, content)
        writes += 1
        if writes == {"between its files": 2, "after its files": 4}.get(moment):
            end(image, now)

    monkeypatch.setattr(again, "made_of", made_late)
    monkeypatch.setattr(again, "replace_file", write_late)
    answer: HttpResponse = ask(image)
    assert answer.status_code == 404
    assert not any(path.exists() for path in files_of(image.media_token))


@pytest.mark.clause("A4.2")
def test_a_destruction_whose_row_still_stands_is_seen_by_its_key(author: MemberCard, now: datetime) -> None:
    """Between the key's end and the row's end nothing is made that would outlive both."""
    image = hung(author, now)
    lose(image)
    take_in.destroy_files([image], now=now, by=SYSTEM, clause="A4.2")
    assert Image.objects.filter(pk=image.pk).exists()
    for size in SHOWN:
        take_in.replace_file(media_path("derived", image.media_token, size, "webp"), b"late")
    with pytest.raises(SealBroken):
        again._forget_if_destroyed(image)
    assert not any(path.exists() for path in files_of(image.media_token))


@pytest.mark.clause("A4.2")
def test_the_sweep_knows_both_formats(author: MemberCard, now: datetime) -> None:
    image = hung(author, now)
    paths = files_of(image.media_token)
    Image.objects.all().delete()
    assert sweep_orphans(now=now, older_than=timedelta(seconds=-1)) == 5
    assert not any(path.exists() for path in paths)


# ── the number by which copies are found ───────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_a_pictures_number_is_kept_until_the_picture_or_the_membership_ends(author: MemberCard, now: datetime) -> None:
    kept, removed, hidden = hung(author, now), hung(author, now), hung(author, now, visibility="private")
    for image in (kept, removed, hidden):
        assert len(image.lookalike) == 16
        assert int(image.lookalike, 16)
    by_staff(removed, now)
    removed.refresh_from_db()
    assert removed.lookalike == ""
    for name in ("은수", ""):
        Image.objects.filter(pk=kept.pk).update(author=author.id, lookalike="f" * 16)
        assert keep_images(author.id, name) == 1
        kept.refresh_from_db()
        assert (kept.author_id, kept.lookalike) == (None, ""), "nobody who uploads a copy is taken for who left"
    hide_images(author.id)
    hidden.refresh_from_db()
    assert hidden.lookalike == ""


def number_of(data: bytes, kind: str) -> int:
    return int(decode.decode(data, kind).lookalike, 16)


def scene(seed: int) -> Picture.Image:
    """A picture of soft light and a few shapes, each seed another."""
    pixels = hashlib.shake_128(bytes([seed])).digest(12 * 9 * 3)
    return Picture.frombytes("RGB", (12, 9), pixels).resize((480, 360), Picture.Resampling.BICUBIC)


@pytest.mark.clause("A2.1")
def test_copies_stay_near_and_other_pictures_stay_far() -> None:
    numbers = []
    for seed in range(4):
        plain = scene(seed)
        number = number_of(files.saved(plain, "PNG"), "png")
        copies = {
            "smaller": files.saved(plain.resize((211, 158)), "PNG"), "lighter": files.saved(plain.point(lambda v: min(255, v * 1.1 + 8)), "PNG"),
        }  # fmt: skip
        found = {name: (number ^ number_of(data, "png")).bit_count() for name, data in copies.items()}
        found["coded again"] = (number ^ number_of(files.saved(plain, "JPEG", quality=35), "jpeg")).bit_count()
        found["in another format"] = (number ^ number_of(files.saved(plain, "AVIF", quality=40), "avif")).bit_count()
        assert max(found.values()) <= 8, found
        numbers.append(number)
    far = [(a ^ b).bit_count() for at, a in enumerate(numbers) for b in numbers[:at]]
    assert min(far) >= 16, far
    assert number_of(files.saved(Picture.new("RGB", (64, 64), (9, 9, 9)), "PNG"), "png") >= 0
    with pytest.raises(NotAPicture):
        number_of(b"nothing", "png")


@pytest.mark.clause("A2.1")
def test_drawings_on_nothing_are_told_apart() -> None:
    """Black signs without a ground would all be the same black square."""
    found = set()
    for box in ((10, 10, 60, 50), (120, 20, 180, 140), (30, 90, 190, 110)):
        sign = Picture.new("RGBA", (200, 150), (0, 0, 0, 0))
        sign.paste((0, 0, 0, 255), box)
        found.add(number_of(files.saved(sign, "PNG"), "png"))
    assert min((a ^ b).bit_count() for a in found for b in found if a != b) > 10
    assert len(found) == 3
