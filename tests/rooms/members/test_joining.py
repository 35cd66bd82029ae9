"""Joining: what is asked, who may, the code, what comes of a sign-up that nobody finishes (A1.1, A2.2d, I3)."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.core import signing
from django.test import Client

from imgnom.community.members import codes
from imgnom.community.members.models import Letter, Member, PendingRegistration
from imgnom.community.members.public import destroy_registrations, due_registrations
from imgnom.community.visits.models import AccessRecord
from imgnom.community.visits.record import open_facts
from imgnom.custody.consent.models import Consent
from imgnom.custody.consent.public import consent_history, consents_of
from imgnom.custody.guard.public import add_to_guard, canonical_email
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.models import DataKey
from imgnom.custody.vault.models import BlindIndex, SealedValue
from imgnom.site.clock import set_clock
from tests.rooms.members.people import FIELDS, SOMEBODY_ELSE, code_for, join, letters, sign_in, sign_up, wrong_code

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.mark.clause("A1.0", "A1.1")
def test_the_form_asks_for_four_items_an_age_group_and_consents_and_reads_nothing_else(
    home: Path, now: datetime
) -> None:
    form = Client().get("/signup").context["form"]
    assert [field.name for field in form.item_fields()] == ["username", "password1", "nickname", "email"]
    assert next(iter(form.fields)) == "age_group"
    kinds = policy_in_force().consents
    assert set(form.fields) == {"age_group", "username", "password1", "nickname", "email", "agree_terms", "agree_privacy"} | {
        f"consent_{kind.id}" for kind in kinds.values() if not kind.required
    }  # fmt: skip
    assert not any(form.fields[f"consent_{kind.id}"].required for kind in kinds.values() if not kind.required)
    join(home, now, birth="CANARY-1999", telephone="CANARY-010")
    assert set(SealedValue.objects.values_list("item", flat=True)) == {
        "username", "nickname", "email", "device_information",
    }  # fmt: skip
    for file in (home / "db").glob("*"):
        assert b"CANARY" not in file.read_bytes()


@pytest.mark.clause("I3")
def test_who_is_under_fourteen_gets_a_friendly_page_and_leaves_nothing_but_the_ordinary_record() -> None:
    client = Client()
    answer = client.post("/signup", FIELDS | {"age_group": "under_14"})
    assert answer.status_code == 200
    assert "보호자" in answer.content.decode()
    assert not DataKey.objects.filter(klass="subject").exists()
    for model in (PendingRegistration, SealedValue, Letter, Consent):
        assert not model._default_manager.exists(), model
    row = AccessRecord.objects.get()
    (facts,) = open_facts(row.record_day, [row])
    assert (facts["kind"], facts["route"], row.subject) == ("change", "signup", None)
    assert not Session.objects.exists(), "who answers again and again leaves no row"
    cookie = client.cookies["imgnom_age"]
    assert (cookie["max-age"], bool(cookie["httponly"])) == (3600, True)


@pytest.mark.clause("I3")
def test_going_back_and_answering_anew_is_not_taken_from_the_same_browser() -> None:
    client = Client()
    client.post("/signup", {"age_group": "under_14"})
    assert "보호자" in client.get("/signup").content.decode()
    assert client.post("/signup", FIELDS).status_code == 200
    assert not PendingRegistration.objects.exists()
    sign_up()


@pytest.mark.clause("I3", "A8.0")
def test_under_fourteen_note_lasts_the_declared_hour_and_is_not_prolonged(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    begun = time.time()
    client.post("/signup", {"age_group": "under_14"})
    note = client.cookies["imgnom_age"].value
    for later in (1800, 3590):
        monkeypatch.setattr(signing.time, "time", lambda later=later: begun + later)
        assert "보호자" in client.post("/signup", {"age_group": "under_14"}).content.decode()
        assert client.cookies["imgnom_age"].value == note
    monkeypatch.setattr(signing.time, "time", lambda: begun + 3602)
    assert 'name="age_group"' in client.get("/signup").content.decode()
    for forged in ("under_14", note.replace("under_14", "other"), note[:-1] + ("A" if note[-1] != "A" else "B"), "é"):
        other = Client()
        other.cookies["imgnom_age"] = forged
        assert 'name="age_group"' in other.get("/signup").content.decode()


@pytest.mark.clause("I3")
def test_answers_under_fourteen_leave_no_session_row() -> None:
    for _ in range(3):
        assert Client().post("/signup", {"age_group": "under_14"}).status_code == 200
    assert not Session.objects.exists()


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize("missing", sorted(FIELDS))
def test_each_missing_answer_is_named_and_nothing_else_is_lost(missing: str) -> None:
    sent = {name: value for name, value in FIELDS.items() if name != missing}
    answer = Client().post("/signup", sent)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {missing}
    page = answer.content.decode()
    for name, value in sent.items():
        assert (value in page) == (name != "password1"), name
    assert not PendingRegistration.objects.exists()


@pytest.mark.clause("A2.3a", "A2.3c")
def test_what_was_ticked_is_recorded_with_the_words_that_stood_there_and_nothing_more(
    home: Path, now: datetime
) -> None:
    join(home, now, consent_advertising="on")
    subject = Member.objects.get().subject
    assert consents_of(subject) == {"agree_terms", "agree_privacy", "advertising"}
    history = consent_history(subject)
    assert {(row.given, row.way, row.at) for row in history} == {(True, "signup", now)}
    rows = Consent.objects.filter(subject=subject)
    assert set(rows.values_list("policy_digest", flat=True)) == {policy_in_force().digest}
    assert len(set(rows.values_list("text_digest", flat=True))) == 3


@pytest.mark.clause("A2.2d")
def test_a_code_works_once_for_ten_minutes_and_in_the_browser_that_asked(home: Path, now: datetime) -> None:
    client = sign_up()
    code = code_for(home, now, FIELDS["email"])
    assert len(code) == 6
    other = sign_up(**SOMEBODY_ELSE)
    assert other.post("/signup/confirm", {"code": code}).status_code == 422, "bound to its own sign-up"
    assert Client().post("/signup/confirm", {"code": code}).status_code == 422
    set_clock(now + timedelta(minutes=10))
    assert client.post("/signup/confirm", {"code": code}).status_code == 422
    client.post("/signup/confirm", {"resend": "1"})
    fresh = code_for(home, now + timedelta(minutes=10), FIELDS["email"])
    assert client.post("/signup/confirm", {"code": code}).status_code == 422, "the one before is over"
    assert client.post("/signup/confirm", {"code": f" {fresh[:3]} {fresh[3:]} "}).status_code == 303
    assert client.post("/signup/confirm", {"code": fresh}).status_code == 422, "used"
    assert Member.objects.count() == 1


@pytest.mark.clause("A2.2d")
def test_five_tries_and_the_right_code_is_dead_too_until_another_is_sent(home: Path, now: datetime) -> None:
    client = sign_up()
    code = code_for(home, now, FIELDS["email"])
    for typed in (wrong_code(code), "", "letters", "１２３", "0" * 24):
        assert client.post("/signup/confirm", {"code": typed}).status_code == 422
    client.post("/signup/confirm", {"code": wrong_code(code)})
    assert client.post("/signup/confirm", {"code": code}).status_code == 422
    client.post("/signup/confirm", {"resend": "1"})
    assert client.post("/signup/confirm", {"code": code_for(home, now, FIELDS["email"])}).status_code == 303


@pytest.mark.clause("A2.2d")
def test_who_asks_for_code_after_code_to_guess_one_makes_them_longer_and_locks_nobody_out(
    home: Path, now: datetime
) -> None:
    lengths = [codes.digits_for("victim@mail.example") for _ in range(codes.SHORT_A_DAY + 1)]
    assert lengths == [6] * codes.SHORT_A_DAY + [12]
    for _ in range(codes.SHORT_A_DAY):
        codes.digits_for(codes.mailbox_key(FIELDS["email"]))
    client = sign_up()
    code = code_for(home, now, FIELDS["email"])
    assert len(code) == 12
    assert client.post("/signup/confirm", {"code": code}).status_code == 303


@pytest.mark.clause("A2.2d")
def test_no_store_holds_a_code(home: Path, now: datetime) -> None:
    sign_up()
    code = code_for(home, now, FIELDS["email"])
    for model in (PendingRegistration, Letter):
        assert code not in str(list(model._default_manager.values()))
    assert "confirmation_code" not in SealedValue.objects.values_list("item", flat=True)


@pytest.mark.clause("A2.2d", "A4.0")
def test_after_five_days_nothing_is_left_of_a_sign_up_that_nobody_confirmed(home: Path, now: datetime) -> None:
    client = sign_up(consent_advertising="on")
    code = code_for(home, now, FIELDS["email"])
    last = now + timedelta(days=5)
    assert due_registrations(now=last - timedelta(seconds=1)) == 0
    assert SealedValue.objects.exists()
    set_clock(last)
    assert client.post("/signup/confirm", {"code": code}).status_code == 422, "refused before the worker came"
    assert due_registrations(now=last) == 1
    count, keys = destroy_registrations(now=last)
    assert (count, len(keys)) == (1, 1)
    assert not DataKey.objects.filter(klass="subject").exists()
    for model in (PendingRegistration, SealedValue, BlindIndex, Consent, Letter):
        assert not model._default_manager.exists(), model
    assert due_registrations(now=last) == 0


@pytest.mark.clause("A2.2f")
def test_a_pending_sign_up_blocks_nobody(home: Path, now: datetime) -> None:
    squatter = sign_up()
    owner = join(home, now, client=Client(), username=FIELDS["username"])
    assert owner.get("/me/privacy").status_code == 200
    late = code_for(home, now, FIELDS["email"])
    answer = squatter.post("/signup/confirm", {"code": late})
    assert answer.status_code == 422
    assert Member.objects.count() == 1


@pytest.mark.clause("A1.1", "A2.2f")
def test_a_taken_id_is_told_after_the_code_and_another_is_asked_for(home: Path, now: datetime) -> None:
    join(home, now)
    client = sign_up(**SOMEBODY_ELSE | {"username": FIELDS["username"].upper()})
    code = code_for(home, now, SOMEBODY_ELSE["email"])
    answer = client.post("/signup/confirm", {"code": code})
    assert answer.status_code == 422
    assert "username" in answer.context["form"].errors
    assert "code" not in answer.context["form"].fields
    assert "code" not in client.get("/signup/confirm").context["form"].fields, "the proof stays"
    for odd in ("ab", "admin", FIELDS["username"]):
        assert "username" in client.post("/signup/confirm", {"username": odd}).context["form"].errors
    assert client.post("/signup/confirm", {"username": "mirae.kim"}).status_code == 303
    assert sign_in(login="mirae.kim").status_code == 303


@pytest.mark.clause("A1.1")
def test_a_taken_nickname_is_told_at_once_however_it_is_written(home: Path, now: datetime) -> None:
    join(home, now, nickname="Cocoa")
    for twin in ("Cocoa", "COCOA", "Ｃｏｃｏａ", "co coa", "cócoa", "сосоа", "c0c0a", "Co.coa"):
        answer = Client().post("/signup", FIELDS | SOMEBODY_ELSE | {"nickname": twin})
        assert answer.status_code == 422, twin
        assert set(answer.context["form"].errors) == {"nickname"}


@pytest.mark.clause("A2.2f")
def test_one_mailbox_one_account_and_only_its_owner_is_told(home: Path, now: datetime) -> None:
    join(home, now, email="seon.woo@gmail.com")
    client = sign_up(**SOMEBODY_ELSE | {"email": "SEONWOO+new@googlemail.com"})
    assert "already" not in client.get("/signup/confirm").content.decode()
    told = letters(home, now)[-1]
    assert told["To"] == "seon.woo@gmail.com"
    assert "/login" in told.get_content()
    assert [letter["To"] for letter in letters(home, now)].count("SEONWOO+new@googlemail.com") == 0


@pytest.mark.clause("A2.2f")
def test_of_two_sign_ups_with_one_mailbox_the_second_is_told_after_its_proof_and_destroyed(
    home: Path, now: datetime
) -> None:
    first, second = sign_up(), sign_up(username="another.one", nickname="다른이름")
    codes_sent = [letter["Subject"] for letter in letters(home, now, to=FIELDS["email"])]
    one, two = (subject.split()[-1] for subject in codes_sent)
    assert first.post("/signup/confirm", {"code": one}).status_code == 303
    answer = second.post("/signup/confirm", {"code": two})
    assert answer.status_code == 422
    assert "이미 회원입니다" in answer.content.decode()
    assert not PendingRegistration.objects.exists()
    assert DataKey.objects.filter(klass="subject").count() == 1


@pytest.mark.clause("A2.2g")
def test_a_mailbox_under_a_restriction_is_told_so_after_its_proof_only(home: Path, now: datetime) -> None:
    add_to_guard(canonical_email(FIELDS["email"]), case="case-1", now=now)
    client = sign_up(email="Seonwoo+again@mail.example")
    code = code_for(home, now, "Seonwoo+again@mail.example")
    assert client.post("/signup/confirm", {"code": wrong_code(code)}).context.get("refused") is None
    answer = client.post("/signup/confirm", {"code": code})
    assert answer.status_code == 422
    assert answer.context["refused"]
    assert not Member.objects.exists()
    assert not SealedValue.objects.exists()


@pytest.mark.clause("A2.2d")
def test_signing_up_again_in_the_same_browser_leaves_one_sign_up(home: Path, now: datetime) -> None:
    client = sign_up()
    sign_up(client, nickname="고친이름")
    assert PendingRegistration.objects.count() == 1
    assert client.post("/signup/confirm", {"code": code_for(home, now, FIELDS["email"])}).status_code == 303
    assert Member.objects.get().nickname == "고친이름"


def test_the_page_of_the_code_without_a_sign_up_says_where_to_go() -> None:
    page = Client().get("/signup/confirm")
    assert page.status_code == 200
    assert 'name="code"' not in page.content.decode()
    assert 'href="/signup"' in page.content.decode()
