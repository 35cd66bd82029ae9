"""Leaving: one effect however often and however interrupted, nobody waits for a mail server, nothing is written late."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from PIL import Image as Picture

from imgnom.community.comments.models import Comment
from imgnom.community.comments.public import write_comment
from imgnom.community.images.models import Image
from imgnom.community.images.public import upload_file
from imgnom.community.members.models import Letter, Member, MemberSession
from imgnom.community.members.public import (
    MemberCard,
    NicknameTaken,
    create_confirmed_member,
    deliver_mail,
    member_by_nickname,
)
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.keys.models import DataKey
from imgnom.custody.ledger.models import Certificate, Intent
from imgnom.custody.vault.models import SealedValue
from imgnom.custody.vault.public import SubjectFenced, seal_value
from imgnom.policy.public import Actor
from imgnom.procedures.retention import withdraw_member as steps
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.public import (
    AlreadyWithdrawn,
    list_due,
    resume_withdrawals,
    run_due,
    withdraw_member,
)
from imgnom.site.clock import set_clock
from tests.custody.at_once import at_once, times

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
PASSWORD = "kite over the river"
NICKNAME = "하늘바라기"


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


def jpeg() -> bytes:
    target = io.BytesIO()
    Picture.new("RGB", (320, 210), (40, 90, 140)).save(target, "JPEG")
    return target.getvalue()


def post(card: MemberCard, now: datetime, *, visibility: str = "public") -> str:
    return upload_file(
        content=jpeg(), title="강가", description="", alt="", tags="river", visibility=visibility, by_member=card.id,
        subject=card.subject, now=now,
    ).public_id  # fmt: skip


def somebody(now: datetime, name: str = "leaver", nickname: str = NICKNAME) -> MemberCard:
    return create_confirmed_member(
        username=name, password=PASSWORD, nickname=nickname, email=f"{name}@mail.example", now=now
    )


@pytest.fixture
def leaver(now: datetime) -> MemberCard:
    card = somebody(now)
    picture = post(card, now)
    post(card, now, visibility="private")
    write_comment(image_id=picture, body="물이 맑습니다", by_member=card.id, now=now)
    return card


def leave(card: MemberCard, now: datetime, choice: str = "delete") -> str:
    return withdraw_member(card.id, choice=choice, by=Actor("member", card.subject), now=now)  # type: ignore[arg-type]


def outcome() -> dict[str, Any]:
    """Everything that may differ between a leaving that was interrupted and one that was not."""
    row = Withdrawal.objects.get()
    return {
        "state": row.state,
        "who": (row.member_id, row.subject, row.file_keys),
        "lines": [(line["record"], line["state"], bool(line.get("certificate"))) for line in row.lines],
        "certificates": len(row.certificates),
        "signed": [
            (json.loads(c.content)["keys_destroyed"], json.loads(c.content)["items"]) for c in Certificate.objects.all()
        ],
        "archived": sorted(ArchivedValue.objects.values_list("record", "item")),
        "members": Member.objects.count(),
        "pictures": sorted(Image.objects.values_list("author_name", "visibility")),
        "comments": sorted(Comment.objects.values_list("author_name", "body")),
        "keys": sorted(DataKey.objects.values_list("klass", flat=True)),
        "sealed": SealedValue.objects.count(),
        "letters": Letter.objects.count(),
    }


def empty_letterbox(now: datetime) -> None:
    deliver_mail(now=now)


EXPECTED = {
    "delete": {"pictures": [], "comments": []},
    "keep": {"pictures": [(NICKNAME, "public")], "comments": [(NICKNAME, "물이 맑습니다")]},
    "anonymise": {"pictures": [("", "public")], "comments": [("", "물이 맑습니다")]},
}


def is_whole(choice: str) -> None:
    found = outcome()
    assert found["state"] == "done"
    assert found["who"] == (None, None, [])
    assert found["certificates"] == len(found["signed"]) == 1, "one certificate, however often it was begun"
    keys, items = found["signed"][0]
    assert keys == (3 if choice == "delete" else 2), "the subject's key and those of the pictures that went"
    assert {"password", "session", "image_file"} - {"session"} <= set(items)
    assert found["archived"] == [
        ("identity_after_leaving", item) for item in ("email", "membership", "nickname", "username")
    ]
    assert found["members"] == found["letters"] == found["sealed"] == 0
    assert {"pictures": found["pictures"], "comments": found["comments"]} == EXPECTED[choice]
    assert found["keys"] == sorted(["archive"] + ["file"] * (0 if choice == "delete" else 1))
    assert Intent.objects.filter(reference__startswith="subject:").count() == 2, "the member's and the letter's"
    assert not [line for line in Withdrawal.objects.get().lines if line["state"] == "going"]


STEPS = [
    "queue_parting_letter", "begin_destruction", "hold_name", "archive_subject", "keys_of_images", "pseudonymise_consents", "destroy_subject",
    "delete_comments_on", "delete_images", "remove_member", "issue_certificate", "compact_stores", "sequence",
]  # fmt: skip


@pytest.mark.clause("I2", "A4.1①", "A4.2")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_broken_at_any_step_and_repeated_it_has_the_same_outcome_and_one_certificate(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    real: Callable[..., Any] = getattr(steps, step)

    def broken(*arguments: Any, **more: Any) -> Any:
        if when == "after":
            real(*arguments, **more)
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(steps, step, broken)
        number = leave(leaver, now)
        if step not in ("compact_stores", "sequence"):
            assert Withdrawal.objects.get().state != "done"
            with pytest.raises(RuntimeError):
                resume_withdrawals(now=now)
    resume_withdrawals(now=now)
    empty_letterbox(now)
    is_whole("delete")
    assert Withdrawal.objects.get().number == number


KILLED = """
import os, signal, sys, json
import django
from django.conf import settings
settings.DATABASES  # the settings are read before the names of the stores are changed
names = json.loads(sys.argv[1])
for alias, name in names.items():
    settings.DATABASES[alias]["NAME"] = name
django.setup()
from datetime import datetime
from imgnom.procedures.retention import withdraw_member as steps
from imgnom.policy.public import Actor
real = getattr(steps, sys.argv[2])
def killed(*arguments, **more):
    if sys.argv[3] == "after":
        real(*arguments, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(steps, sys.argv[2], killed)
steps.withdraw_member(int(sys.argv[4]), choice=sys.argv[5], by=Actor("member", sys.argv[6]), now=datetime.fromisoformat(sys.argv[7]))
"""


@pytest.mark.clause("I2", "A4.1①")
@pytest.mark.parametrize(
    ("step", "when", "choice"),
    [
        ("archive_subject", "after", "keep"),
        ("destroy_subject", "after", "anonymise"),
        ("delete_images", "after", "delete"),
        ("issue_certificate", "after", "keep"),
    ],
)
def test_a_killed_process_leaves_a_withdrawal_that_is_made_good(
    leaver: MemberCard, now: datetime, step: str, when: str, choice: str
) -> None:
    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
    connections.close_all()
    child = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(names), step, when, str(leaver.id), choice, leaver.subject, now.isoformat()],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert child.returncode == -9, child.stderr[-2000:]
    assert Withdrawal.objects.get().state != "done"
    assert list_due(now=now)["withdrawals"] == 1
    Withdrawal.objects.update(leased_until=0)  # the lease of the dead runs out
    report = run_due(now=now)
    assert report.errors == {}
    empty_letterbox(now)
    is_whole(choice)


@pytest.mark.clause("I2")
def test_two_workers_at_once_make_one_outcome(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(steps, "resume_withdrawal", lambda *_a, **_m: True)
        leave(leaver, now, "keep")
    assert Withdrawal.objects.get().state == "accepted"
    at_once(*times(4, lambda: resume_withdrawals(now=now)))
    empty_letterbox(now)
    is_whole("keep")


@pytest.mark.clause("I2")
def test_who_lost_the_lease_writes_nothing_more(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = steps.destroy_subject

    def slept(*arguments: Any, **more: Any) -> Any:
        """Longer than the lease; meanwhile somebody else finished."""
        monkeypatch.setattr(steps, "destroy_subject", real)
        Withdrawal.objects.update(leased_until=0)
        assert resume_withdrawals(now=now) == 1
        return real(*arguments, **more)

    monkeypatch.setattr(steps, "destroy_subject", slept)
    leave(leaver, now, "keep")
    empty_letterbox(now)
    is_whole("keep")


@pytest.mark.clause("A7.2b")
def test_pressed_many_times_at_once_it_happens_once(leaver: MemberCard, now: datetime) -> None:
    def press() -> str:
        try:
            return leave(leaver, now, "anonymise")
        except AlreadyWithdrawn as first:
            return f"again {first.number}"

    answers = at_once(*times(4, press))
    accepted = [answer for answer in answers if answer.startswith("R-")]
    assert len(accepted) == 1
    assert {answer.removeprefix("again").strip() for answer in answers} <= {accepted[0], ""}
    resume_withdrawals(now=now)
    empty_letterbox(now)
    is_whole("anonymise")


@pytest.mark.clause("A7.2b", "A4.2")
def test_with_many_pictures_nobody_waits_and_nothing_is_shown_meanwhile(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The press ends with the key of the person; of the pictures nothing is served, and the worker destroys them."""
    monkeypatch.setattr(steps, "FILES_AT_PRESS", 1)
    names = list(Image.objects.values_list("public_id", flat=True))
    shown = Image.objects.get(visibility="public").public_id
    assert Client().get(f"/i/{shown}").status_code == 200
    leave(leaver, now)
    assert Withdrawal.objects.get().state == "keyless"
    assert not DataKey.objects.filter(owner=leaver.subject).exists()
    assert member_by_nickname(NICKNAME) is None
    for name in names:
        for path in (f"/i/{name}", *(f"/media/{name}/{size}" for size in ("thumbnail", "preview", "original"))):
            assert Client().get(path).status_code == 404
    assert not any(name in Client().get("/").content.decode() for name in names)
    assert resume_withdrawals(now=now, seconds=60) == 1
    empty_letterbox(now)
    DataKey.objects.filter(klass__startswith="day-").delete()  # of the looks above
    is_whole("delete")


# ── the letter ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mail_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "IMGNOM", replace(settings.IMGNOM, mail_url="smtp://127.0.0.1:1"))


def letters_in(home: Path) -> list[str]:
    """Their words, as a mail program shows them."""
    files = sorted((home / "outbox").glob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default).get_content() for file in files]


@pytest.mark.clause("A7.2b", "I6")
def test_a_mail_server_that_is_down_stops_nothing_and_loses_no_number(
    leaver: MemberCard, now: datetime, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = settings.IMGNOM
    monkeypatch.setattr(settings, "IMGNOM", replace(up, mail_url="smtp://127.0.0.1:1"))
    number = leave(leaver, now)
    assert Withdrawal.objects.get().state == "done"
    assert not SealedValue.objects.filter(subject=leaver.subject).exists()
    assert not DataKey.objects.filter(owner=leaver.subject).exists()
    assert deliver_mail(now=now) == 0
    assert Letter.objects.get().tries == 1
    assert not letters_in(home)
    monkeypatch.setattr(settings, "IMGNOM", up)
    Letter.objects.update(leased_until=0)
    assert deliver_mail(now=now + timedelta(days=2)) == 1
    assert [number in letter for letter in letters_in(home)] == [True]
    is_whole("delete")


@pytest.mark.clause("A4.0", "A2.2h")
@pytest.mark.usefixtures("mail_is_down")
def test_an_address_that_waits_for_its_letter_is_destroyed_on_its_day_and_not_used_after_it(
    leaver: MemberCard, now: datetime, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = leave(leaver, now)
    own = Letter.objects.get().subject
    late = now + timedelta(days=5)
    monkeypatch.undo()
    assert deliver_mail(now=late) == 0, "the worker was stopped until now, and its day is over"
    assert not letters_in(home)
    assert Client().get(f"/receipt/{number}.json").json()["lines"]
    assert run_due(now=late).errors == {}
    assert not SealedValue.objects.filter(subject=own).exists()
    assert not DataKey.objects.filter(owner=own).exists()
    with pytest.raises(SubjectFenced):
        seal_value(own, "email", "x@mail.example", now=late)


# ── late writes ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A3.2①", "A7.4")
@pytest.mark.parametrize("choice", ["keep", "anonymise", "delete"])
def test_a_post_that_was_on_its_way_goes_the_way_that_was_chosen(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    public = Image.objects.get(visibility="public").public_id
    other = somebody(now, "stayer", "강바람")
    theirs = post(other, now)
    real = steps.remove_member

    def meanwhile(member_id: int) -> None:
        monkeypatch.setattr(steps, "remove_member", real)
        Comment.objects.create(
            image=Image.objects.get(public_id=theirs), author_id=member_id, body="늦은 말", created_at=now, position=1
        )
        post(leaver, now)
        real(member_id)

    monkeypatch.setattr(steps, "remove_member", meanwhile)
    leave(leaver, now, choice)
    assert Withdrawal.objects.get().state == "done"
    assert not Member.objects.filter(pk=leaver.id).exists()
    name = NICKNAME if choice == "keep" else ""
    assert set(Comment.objects.values_list("author_name", flat=True)) == (set() if choice == "delete" else {name})
    mine = Image.objects.exclude(public_id=theirs)
    assert sorted(mine.values_list("author_name", flat=True)) == ([] if choice == "delete" else [name, name])
    assert mine.filter(public_id=public).exists() == (choice != "delete")
    with pytest.raises(SubjectFenced):
        seal_value(leaver.subject, "email", "back@mail.example", now=now)


# ── what is found afterwards ───────────────────────────────────────────────────────────────────────────────────────


def signed_in(name: str) -> Client:
    client = Client()
    assert client.post("/login", {"login": name, "password": PASSWORD}).status_code == 303
    return client


@pytest.mark.clause("A7.4", "A3.2①")
@pytest.mark.parametrize("choice", ["keep", "anonymise", "delete"])
def test_the_name_leads_nowhere_and_comes_back_only_as_promised(leaver: MemberCard, now: datetime, choice: str) -> None:
    assert Client().get(f"/@{NICKNAME}").status_code == 200
    leave(leaver, now, choice)
    assert Client().get(f"/@{NICKNAME}").status_code == 404
    assert f"/@{NICKNAME}" not in Client().get(f"/search?q={NICKNAME}").content.decode()
    assert member_by_nickname(NICKNAME) is None
    for days in (0, 91):
        with pytest.raises(NicknameTaken):
            somebody(now + timedelta(days=days), f"second{days}")
    after = now + timedelta(days=93)
    run_due(now=after)
    if choice == "keep":
        with pytest.raises(NicknameTaken):
            somebody(after + timedelta(days=4000), "third")
    else:
        assert somebody(after, "third").nickname == NICKNAME


@pytest.mark.clause("A7.2b")
def test_without_a_choice_or_a_confirmation_nothing_is_lost(leaver: MemberCard, now: datetime) -> None:
    client = signed_in("leaver")
    for form in ({"confirm": "yes"}, {"content": "delete"}, {"content": "burn", "confirm": "yes"}, {}):
        answer = client.post("/me/withdraw", form)
        assert answer.status_code == 422
        assert "errors" in answer.content.decode()
    kept = client.post("/me/withdraw", {"content": "delete"}).content.decode()
    assert re.search(r'value="delete" checked', kept), "what was chosen is not asked again"
    assert not Withdrawal.objects.exists()
    assert client.get("/me/privacy").status_code == 200
    assert not re.search(r'name="content"[^>]*checked', client.get("/me/withdraw").content.decode())


@pytest.mark.clause("A7.2b", "A7.2c")
def test_the_second_press_is_told_so_and_keeps_the_number(leaver: MemberCard, now: datetime) -> None:
    client, elsewhere = signed_in("leaver"), signed_in("leaver")
    press = re.search(r'name="press" value="([^"]+)"', client.get("/me/withdraw").content.decode())[1]  # type: ignore[index]
    form = {"content": "keep", "confirm": "yes", "press": press}
    before = dict(client.cookies)
    answer = client.post("/me/withdraw", form)
    assert answer.status_code == 303
    number = answer["Location"].removeprefix("/receipt/")
    again = client.post("/me/withdraw", form | {"content": "delete"})
    assert again.status_code == 409
    assert number in again.content.decode()
    assert client.get("/me/withdraw")["Location"] == f"/receipt/{number}"
    doubled = Client()
    for name, morsel in before.items():
        doubled.cookies[name] = morsel.value
    second = doubled.post("/me/withdraw", form)
    assert second.status_code == 409
    assert number in second.content.decode()
    assert elsewhere.get("/me/privacy").status_code == 302, "signed out everywhere"
    assert not MemberSession.objects.exists()
    assert Withdrawal.objects.count() == 1
    assert Image.objects.filter(author_name=NICKNAME).count() == 1
    known = Client().post("/login", {"login": "leaver", "password": PASSWORD})
    assert known.status_code == 422


@pytest.mark.clause("A7.2b")
def test_leaving_needs_a_proven_identity(leaver: MemberCard, now: datetime) -> None:
    client = signed_in("leaver")
    set_clock(now + timedelta(minutes=11))
    answer = client.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/step-up?next=")
    assert not Withdrawal.objects.exists()
    assert client.post("/step-up", {"password": "wrong wrong", "next": "/me/withdraw"}).status_code == 422
    assert client.post("/step-up", {"password": PASSWORD, "next": "/me/withdraw"})["Location"] == "/me/withdraw"
    assert client.post("/me/withdraw", {"content": "delete", "confirm": "yes"}).status_code == 303
