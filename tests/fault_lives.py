"""The workflows that are killed at each of their changes, each with what must be true after the worker's next round."""

import io
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from PIL import Image as Picture

PASSWORD = "kite over the river"


@dataclass(frozen=True)
class Life:
    """`begin` prepares and returns what `act` and `ensure` need; `later` is when the worker comes."""

    begin: Callable[[datetime], Any]
    act: Callable[[Any, datetime], object]
    ensure: Callable[[Any, datetime], None]
    acts_after: timedelta = timedelta(0)


def jpeg() -> bytes:
    target = io.BytesIO()
    Picture.new("RGB", (64, 48), (40, 90, secrets.randbelow(200))).save(target, "JPEG")
    return target.getvalue()


def somebody(now: datetime) -> Any:
    from imgnom.community.members.public import create_confirmed_member

    name = f"x{secrets.token_hex(6)}"
    return create_confirmed_member(
        username=name, password=PASSWORD, nickname=f"n{name}", email=f"{name}@mail.example", now=now
    )


def post(card: Any, now: datetime, visibility: str = "public") -> str:
    from imgnom.community.images.public import upload_file

    return upload_file(
        content=jpeg(), title="강가", description="", alt="", tags="river", visibility=visibility, by_member=card.id,
        subject=card.subject, now=now,
    ).public_id  # fmt: skip


# ── upload ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def upload_begins(now: datetime) -> dict[str, Any]:
    from imgnom.community.images.models import Image

    return {"who": somebody(now), "before": set(Image.objects.values_list("public_id", flat=True))}


def upload_acts(state: dict[str, Any], now: datetime) -> None:
    state["answered"] = post(state["who"], now)


def upload_is_whole(state: dict[str, Any], now: datetime) -> None:
    """Acknowledged, it is there with all its files; killed, it is there whole or not at all, and can be sent again."""
    from imgnom.community.images.again import display_size
    from imgnom.community.images.models import Image
    from imgnom.community.images.take_in import media_path

    made = list(Image.objects.exclude(public_id__in=state["before"]))
    if "answered" in state:
        assert [image.public_id for image in made] == [state["answered"]]
    assert len(made) <= 1
    for image in made:
        assert media_path("originals", image.media_token).exists()
        assert display_size(image, "thumbnail", ("avif", "webp"))
    post(state["who"], now)


# ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────────


def leaving_begins(choice: str) -> Callable[[datetime], dict[str, Any]]:
    def begin(now: datetime) -> dict[str, Any]:
        from imgnom.community.comments.public import write_comment

        card = somebody(now)
        picture = post(card, now)
        post(card, now, "private")
        write_comment(image_id=picture, body="물이 맑습니다", by_member=card.id, now=now)
        return {"who": card, "choice": choice, "picture": picture}

    return begin


def leaving_acts(state: dict[str, Any], now: datetime) -> None:
    from imgnom.policy.public import Actor
    from imgnom.procedures.retention.public import withdraw_member

    card = state["who"]
    state["answered"] = withdraw_member(card.id, choice=state["choice"], by=Actor("member", card.subject), now=now)


def leaving_is_whole(state: dict[str, Any], now: datetime) -> None:
    """Answered, the member is gone for good; not answered, gone for good or as before; never in between."""
    from imgnom.community.images.models import Image
    from imgnom.community.members.models import Letter, Member
    from imgnom.community.members.public import deliver_mail
    from imgnom.custody.archive.models import ArchivedValue
    from imgnom.custody.keys.models import DataKey
    from imgnom.custody.ledger.models import Certificate, Receipt
    from imgnom.custody.vault.models import BlindIndex, SealedValue
    from imgnom.procedures.retention.models import Withdrawal

    card = state["who"]
    if Member.objects.filter(pk=card.id, state="active").exists():
        assert "answered" not in state
        leaving_acts(state, now)
    assert not Member.objects.filter(pk=card.id).exists()
    for rows in (SealedValue, BlindIndex):
        assert not rows._default_manager.filter(subject=card.subject).exists()
    assert not DataKey.objects.filter(owner=card.subject).exists()
    row = Withdrawal.objects.order_by("-pk")[0]
    assert state.get("answered", row.number) == row.number
    assert (row.state, row.member_id, row.subject, len(row.certificates)) == ("done", None, None, 1)
    assert Receipt.objects.get(number=row.number).state == "done"
    assert Certificate.objects.filter(reference=f"withdrawal:{row.archive_ref}").count() == 1
    assert ArchivedValue.objects.filter(archive_ref=row.archive_ref).count() == 4
    deliver_mail(now=now)  # the worker's next round: a letter that this one queued leaves then
    assert not Letter.objects.filter(subject=row.letter).exists()
    kept = Image.objects.filter(public_id=state["picture"]).values_list("author", "author_name")
    names = {"delete": [], "keep": [card.nickname], "anonymise": [""]}
    assert [tuple(row) for row in kept] == [(None, name) for name in names[state["choice"]]]


# ── retention ──────────────────────────────────────────────────────────────────────────────────────────────────────

# After the archive's three months and the visitors' records.
LATER = timedelta(days=95)


def retention_begins(now: datetime) -> dict[str, Any]:
    """Somebody left, somebody began to join, somebody looked; three months later all of it is due."""
    from imgnom.community.members.join import register_member
    from imgnom.community.visits.public import Visit, record_visits
    from imgnom.custody.keys.models import DataKey
    from imgnom.procedures.retention.models import Withdrawal

    state = leaving_begins("delete")(now)
    leaving_acts(state, now)
    name = f"y{secrets.token_hex(6)}"
    register_member(
        username=name, password=PASSWORD, nickname=f"n{name}", email=f"{name}@mail.example", extras={},
        consents={"agree_terms": True}, source="", now=now,
    )  # fmt: skip
    record_visits([Visit(now, "visit", None, "/", 200, "192.0.2.1", "x")])
    row = Withdrawal.objects.order_by("-pk")[0]
    doomed = DataKey.objects.exclude(klass="file").exclude(klass="day-member").values_list("key_id", flat=True)
    return {"number": row.number, "doomed": set(doomed), "ref": row.archive_ref}


def retention_acts(state: dict[str, Any], now: datetime) -> None:
    from imgnom.procedures.retention.public import run_due

    report = run_due(now=now)
    assert report.errors == {}


def retention_is_whole(state: dict[str, Any], now: datetime) -> None:
    """Nothing due is left, and every key that died in the run stands in exactly one certificate."""
    from imgnom.community.members.models import Letter, PendingRegistration
    from imgnom.community.visits.models import RecordDay
    from imgnom.custody.archive.models import ArchivedValue
    from imgnom.custody.keys.models import DataKey, DestroyedKey
    from imgnom.custody.ledger.models import Certificate, Intent
    from imgnom.procedures.retention.models import Withdrawal
    from imgnom.procedures.retention.public import list_due

    assert not any(list_due(now=now).values()), list_due(now=now)
    assert not ArchivedValue.objects.filter(archive_ref=state["ref"]).exists()
    assert not PendingRegistration.objects.exists()
    assert not Letter.objects.exists()
    assert not RecordDay.objects.filter(ends_at__lte=now).exists()
    assert (
        not Intent.objects.exclude(reference=None)
        .exclude(reference__startswith="subject:")
        .filter(done_at=None)
        .exists()
    )
    dead = set(DestroyedKey.objects.values_list("key_id", flat=True))
    certified = [key for text in Certificate.objects.values_list("key_ids", flat=True) for key in json.loads(text)]
    letter_keys = set()
    for reference, text in Intent.objects.filter(clause="A2.2h").values_list("reference", "key_ids"):
        letter_keys |= set(json.loads(text)) if reference else set()
    members = set(DataKey.objects.values_list("key_id", flat=True))
    missing = (state["doomed"] & dead) - set(certified) - letter_keys - members
    assert not missing, f"{len(missing)} keys died without a certificate"
    row = Withdrawal.objects.get(number=state["number"])
    assert len(row.certificates) == 2
    assert not [
        line for line in row.lines if line["record"] == "identity_after_leaving" and line["state"] != "destroyed"
    ]


# ── the turn of an epoch ───────────────────────────────────────────────────────────────────────────────────────────


def turn_begins(now: datetime) -> dict[str, Any]:
    return {"who": somebody(now)}


def turn_acts(_state: dict[str, Any], now: datetime) -> None:
    from imgnom.custody.keys.public import turn_epoch

    turn_epoch(now=now)


def turn_is_whole(state: dict[str, Any], now: datetime) -> None:
    """Every live key opens, all in one epoch, and no other key-encryption key is left."""
    from imgnom.custody.keys.keyring import folder
    from imgnom.custody.keys.models import DataKey, Epoch
    from imgnom.custody.keys.public import ensure_all_open

    turn_acts(state, now)
    ensure_all_open()
    epoch = Epoch.objects.get()
    assert set(DataKey.objects.values_list("epoch", flat=True)) <= {epoch.number}
    assert [path.name for path in folder().glob("kek-*.key")] == [f"kek-{epoch.number}.key"]


LIVES = {
    "upload": Life(upload_begins, upload_acts, upload_is_whole),
    "withdrawal-keep": Life(leaving_begins("keep"), leaving_acts, leaving_is_whole),
    "withdrawal-anonymise": Life(leaving_begins("anonymise"), leaving_acts, leaving_is_whole),
    "withdrawal-delete": Life(leaving_begins("delete"), leaving_acts, leaving_is_whole),
    "retention": Life(retention_begins, retention_acts, retention_is_whole, LATER),
    "turn": Life(turn_begins, turn_acts, turn_is_whole),
}


def live(name: str, number: int, now: datetime) -> tuple[str | None, datetime]:
    """One life, killed at its `number`-th change, and the worker after it; (what it died at, the time it is then)."""
    from imgnom.site.clock import set_clock
    from tests.faults import broken, killed_at, worker_pass

    life = LIVES[name]
    state = life.begin(now)
    later = now + life.acts_after
    set_clock(later)
    died = killed_at(number, lambda: life.act(state, later))
    worker_pass(later)
    life.ensure(state, later)
    assert broken() == []
    return died, later
