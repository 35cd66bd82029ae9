"""The receipt: answers for ever without an account, says nothing of whom, and proves itself to a stranger's tool."""

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client

from imgnom.community.members.public import MemberCard, deliver_mail
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.keys.public import turn_epoch
from imgnom.custody.ledger.models import Certificate
from imgnom.custody.ledger.public import verifier_key
from imgnom.procedures.retention import run_due as engine
from imgnom.procedures.retention import withdraw_member as steps
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.public import list_due, run_due
from imgnom.site.clock import set_clock
from tests.rooms.test_withdrawal import NICKNAME, ROOT, leave, post, signed_in, somebody

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
PERSONAL = ("leaver", "leaver@mail.example", NICKNAME, "강가")
LANGUAGES = ("ko", "en")


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


@pytest.fixture
def leaver(now: datetime) -> MemberCard:
    card = somebody(now)
    post(card, now)
    return card


def at(when: datetime) -> datetime:
    set_clock(when)
    return when


def verified(folder: Path, content: bytes, *, key: str | None = None) -> int:
    """What the stranger's tool says about a file, with nothing of ours beside it."""
    document, public = folder / "proof.json", folder / "key"
    document.write_bytes(content)
    public.write_text(verifier_key() if key is None else key, encoding="utf-8")
    tool = folder / "verify_ledger.py"
    tool.write_bytes((ROOT / "tools" / "verify_ledger.py").read_bytes())
    ran = subprocess.run(
        [sys.executable, "-I", str(tool), "--key", str(public), str(document)], cwd=folder, capture_output=True, check=False, timeout=60
    )  # fmt: skip
    return ran.returncode


def states(number: str) -> dict[str, str]:
    return {line["record"]: line["state"] for line in Client().get(f"/receipt/{number}.json").json()["lines"]}


@pytest.mark.clause("I6", "A3.1", "A3.2②")
def test_it_answers_before_and_after_every_end_and_calls_nothing_destroyed_that_is_still_there(
    leaver: MemberCard, now: datetime
) -> None:
    number = leave(leaver, now, "keep")
    assert states(number)["mail_queue"] == "held"
    deliver_mail(now=now)
    first = states(number)
    assert first == {
        "account": "destroyed", "session": "destroyed", "private_pictures": "destroyed", "posts": "stays", "identity_after_leaving": "held",
        "mail_queue": "destroyed", "freed_names": "held", "access_records_member": "held", "consent_records": "held",
    }  # fmt: skip
    day_before = at(datetime.fromisoformat("2027-02-22T23:59:59+09:00"))
    assert states(number) == first
    day_after = at(datetime.fromisoformat("2027-02-23T00:00:00+09:00"))
    assert day_before < day_after
    stopped = states(number)
    assert stopped["identity_after_leaving"] == stopped["freed_names"] == "refused", "the worker has not been there yet"
    assert ArchivedValue.objects.exists()
    assert list_due(now=day_after)["identity_after_leaving"] == 1
    assert run_due(now=day_after).errors == {}
    done = states(number)
    assert done["identity_after_leaving"] == done["freed_names"] == "destroyed"
    assert done["access_records_member"] == done["consent_records"] == "held"
    late = at(now + timedelta(days=365 * 5 + 40))
    assert run_due(now=late).errors == {}
    assert set(states(number).values()) == {"destroyed", "stays"}
    for language in LANGUAGES:
        page = Client(headers={"accept-language": language}).get(f"/receipt/{number}")
        assert page.status_code == 200
        assert 'data-fate="held"' not in page.content.decode()


@pytest.mark.clause("I6", "A5.0")
def test_nothing_on_it_says_whose_it_is(leaver: MemberCard, now: datetime) -> None:
    number = leave(leaver, now, "keep")
    for suffix in ("", ".json", ".svg"):
        for language in LANGUAGES:
            answer = Client(headers={"accept-language": language}).get(f"/receipt/{number}{suffix}")
            assert answer.status_code == 200
            text = answer.content.decode()
            assert not [value for value in PERSONAL if value in text]
    assert Client().get(f"/receipt/{number.lower()} ").status_code == 200, "as people type it"
    assert Client().get("/receipt/R-2222-2222-2222-2222-2222").status_code == 404
    assert Client().get("/receipt", {"number": f" {number.lower()}"})["Location"] == f"/receipt/{number}"
    assert Client().get("/receipt", {"number": "R-1"}).status_code == 404


@pytest.mark.clause("I6")
def test_it_can_be_kept_as_a_picture(leaver: MemberCard, now: datetime) -> None:
    number = leave(leaver, now)
    page = Client().get(f"/receipt/{number}").content.decode()
    assert f'href="/receipt/{number}.svg"' in page
    answer = Client().get(f"/receipt/{number}.svg")
    assert answer["Content-Type"].startswith("image/svg+xml")
    assert "attachment" in answer["Content-Disposition"]
    drawn = answer.content.decode()
    assert number in drawn
    assert not re.search(r"<script|<image|href=", drawn)


@pytest.mark.clause("A4.2", "I6", "I12")
def test_a_strangers_tool_accepts_receipt_and_certificate_and_refuses_one_changed_byte(
    leaver: MemberCard, now: datetime, tmp_path: Path
) -> None:
    number = leave(leaver, now)
    proof = Client().get(f"/receipt/{number}.json").content
    facts = json.loads(proof)
    listed = facts["certificates"][0]["certificate"]["certificate"]
    certificate = Client().get(f"/receipt/{number}/certificate/{listed}.json").content
    assert {"leaf", "index", "size", "hashes", "checkpoint"} <= set(facts["ledger"][0])
    for whole in (proof, certificate):
        assert verified(tmp_path, whole) == 0
    sys.path.insert(0, str(ROOT / "tools"))
    import verify_ledger as outsider

    key = outsider.Key(verifier_key())
    for whole in (proof, certificate):
        for place in range(0, len(whole), 7):
            changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            with pytest.raises(outsider.Broken):
                outsider.verify_document(key, changed, None)
        place = whole.index(b'"time"')
        assert verified(tmp_path, whole[:place] + whole[place:].replace(b"2026", b"2025", 1)) == 1
    assert verified(tmp_path, proof, key=verifier_key().replace("+", "x+", 1)) == 1
    stranger = Client().get(f"/receipt/{number}/certificate/C-2222-2222-2222-2222.json")
    assert stranger.status_code == 404


@pytest.mark.clause("A4.2", "I6")
def test_a_certificate_of_somebody_elses_receipt_is_not_handed_out(leaver: MemberCard, now: datetime) -> None:
    mine = leave(leaver, now)
    theirs = leave(somebody(now, "other", "강바람"), now)
    foreign = Withdrawal.objects.get(number=theirs).certificates[0]
    assert Client().get(f"/receipt/{theirs}/certificate/{foreign}.json").status_code == 200
    assert Client().get(f"/receipt/{mine}/certificate/{foreign}.json").status_code == 404


@pytest.mark.clause("A4.2")
def test_the_grade_becomes_final_and_the_holder_of_the_key_of_keys_is_named(leaver: MemberCard, now: datetime) -> None:
    number = leave(leaver, now)
    assert "열쇠를 없앰" in Client().get(f"/receipt/{number}").content.decode()
    turn_epoch(now=now + timedelta(days=1))
    late = at(now + timedelta(days=32))
    run_due(now=late)
    found = Client().get(f"/receipt/{number}.json").json()["certificates"][0]
    assert found["grade"] == "final"
    assert "key-encryption key" in found["certificate"]["holder"]
    assert "등급: 최종" in Client().get(f"/receipt/{number}").content.decode()


@pytest.mark.clause("A3.0a", "I2", "A4.1①")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["destroy_archive", "issue_certificate", "_tell_receipt", "close_archive"])
def test_the_archives_end_broken_anywhere_and_repeated_gives_one_certificate(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    number = leave(leaver, now)
    late = at(now + timedelta(days=100))
    real = getattr(engine, step)

    def broken(*arguments: object, **more: object) -> object:
        if when == "after":
            real(*arguments, **more)
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(engine, step, broken)
        assert run_due(now=late).errors["identity_after_leaving"] == "RuntimeError"
    report = run_due(now=late)
    assert report.errors == {}
    assert not ArchivedValue.objects.exists()
    made = [json.loads(row.content) for row in Certificate.objects.filter(reference__startswith="archive:")]
    assert [(one["what"], one["keys_destroyed"]) for one in made] == [("identity_after_leaving", 1)]
    assert states(number)["identity_after_leaving"] == "destroyed"
    assert len(Client().get(f"/receipt/{number}.json").json()["certificates"]) == 2
    assert run_due(now=late).destroyed == {}


@pytest.mark.clause("A7.2b", "I2")
def test_a_receipt_tells_what_is_still_under_way(
    leaver: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "destroy_subject", broken)
        client = signed_in("leaver")
        answer = client.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    assert answer.status_code == 303, "accepted is accepted"
    page = client.get(answer["Location"]).content.decode()
    assert "없애는 중" in page
    assert "2026-11-27" in page, "five days at the latest"
    facts = client.get(answer["Location"] + ".json").json()
    assert facts["certificates"] == []
    assert facts["ledger"]
