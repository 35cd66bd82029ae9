"""The board: green only with evidence that is proven, red within a day when nobody looks, deaf to hands in the database."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from imgnom.custody.ledger.models import Leaf
from imgnom.policy.public import Text
from imgnom.procedures.proofs import checks
from imgnom.procedures.proofs.models import Evidence
from imgnom.procedures.proofs.public import (
    Check,
    Finding,
    check_promises,
    code_digest,
    read_board,
    record_rehearsal,
    register_check,
)

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def states(now: datetime) -> dict[str, str]:
    return {row.id: row.state for row in read_board(now=now).rows}


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A check of our own whose findings the test decides."""
    found = {"faults": 0}
    monkeypatch.setattr(checks, "_registered", dict(checks._registered))
    words = Text("{seen} 중 {faults}", "{faults} of {seen}")
    register_check(Check("own", ("A4.1②",), words, words, lambda _now: Finding(7, found["faults"])))
    return found


@pytest.mark.clause("A0.1", "I12")
def test_nothing_is_green_before_somebody_looked(now: datetime) -> None:
    found = states(now)
    assert "green" not in found.values()
    assert found["A0.1"] == "red"


@pytest.mark.clause("A0.1")
def test_a_round_of_checks_is_evidence_for_a_day(now: datetime) -> None:
    assert check_promises(now=now) == ("turn",), "a site that never turned its keys says so"
    found = states(now + timedelta(hours=24))
    assert found["A0.1"] == "green"
    assert found["A2.0"] == "green"
    assert found["A4.2"] == "red"
    late = states(now + timedelta(hours=25, seconds=1))
    assert {late[key] for key in ("A0.1", "A4.0", "I2")} == {"red"}
    for row in read_board(now=now).rows:
        assert row.evidence
        assert (row.state != "green") or row.checked_at is not None


@pytest.mark.clause("A0.1")
def test_a_fault_turns_its_clause_red_with_words(now: datetime, faults: dict[str, int]) -> None:
    check_promises(now=now)
    assert states(now)["A4.1②"] == "green"
    faults["faults"] = 3
    assert "own" in check_promises(now=now + timedelta(hours=1))
    row = next(row for row in read_board(now=now + timedelta(hours=1)).rows if row.id == "A4.1②")
    assert row.state == "red"
    assert row.evidence[0].en == "3 of 7"


@pytest.mark.clause("A0.1")
def test_a_check_that_breaks_has_failed(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_now: datetime) -> Finding:
        raise OSError("the disk is away")

    monkeypatch.setattr(checks, "_registered", dict(checks._registered))
    register_check(Check("broken", ("A4.1②",), Text("가", "a"), Text("나", "b"), breaks))
    assert "broken" in check_promises(now=now)
    assert states(now)["A4.1②"] == "red"


@pytest.mark.clause("A0.1", "I12")
def test_no_hand_colours_the_board(now: datetime, faults: dict[str, int]) -> None:
    check_promises(now=now)
    good = Evidence.objects.get(kind="checks").leaf_id
    faults["faults"] = 1
    later = now + timedelta(hours=30)
    check_promises(now=later)
    bad = Evidence.objects.get(at=later).leaf_id
    assert states(later)["A4.1②"] == "red"
    # The newest row points at the old, green entry: it is too old to count.
    Evidence.objects.filter(leaf_id=good).delete()
    Evidence.objects.filter(leaf_id=bad).update(leaf_id=good)
    assert states(later)["A0.1"] == "red"
    # The entry itself is rewritten: its proof breaks, and it is no evidence at all.
    Evidence.objects.update(leaf_id=bad)
    leaf = Leaf.objects.get(leaf_id=bad)
    leaf.payload = leaf.payload.replace('"own":"7/1"', '"own":"7/0"')
    leaf.save()
    assert '"own":"7/0"' in Leaf.objects.get(leaf_id=bad).payload
    found = states(later)
    assert found["A4.1②"] == "planned"
    assert found["A0.1"] == "red"


@pytest.mark.clause("I12")
def test_a_rehearsal_counts_for_its_own_policy_and_code_only(now: datetime) -> None:
    from imgnom.custody.in_force import policy_in_force

    digest = policy_in_force().digest
    assert not record_rehearsal({"A7.1": "green"}, policy=digest, code="other", now=now)
    assert not record_rehearsal({"A7.1": "green"}, policy="other", code=code_digest(), now=now)
    assert states(now)["A7.1"] == "planned"
    assert record_rehearsal(
        {"A7.1": "green", "A7.4": "red", "A0.3": "planned"}, policy=digest, code=code_digest(), now=now
    )
    found = states(now)
    assert (found["A7.1"], found["A7.4"], found["A0.3"]) == ("green", "red", "planned")


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_page_and_json_say_the_same_to_anybody(client: Client, now: datetime, lang: str) -> None:
    from imgnom.custody.in_force import policy_in_force

    check_promises(now=now)
    page = client.get("/privacy/board", headers={"Accept-Language": lang})
    rows = client.get("/privacy/board.json", headers={"Accept-Language": lang}).json()["clauses"]
    assert page.status_code == 200
    assert [row["id"] for row in rows] == list(policy_in_force().clauses)
    for row in rows:
        assert set(row) == {"id", "state", "promise", "evidence", "checked_at"}
        assert f'id="{row["id"]}"' in page.content.decode()
    only = client.get("/privacy/board?show=red").content.decode()
    assert all(f'<tr id="{row["id"]}"' not in only for row in rows if row["state"] == "planned")


@pytest.mark.clause("A4.0", "A4.1①")
def test_overdue_work_turns_its_clause_red(now: datetime) -> None:
    from imgnom.custody.archive.public import archive_subject
    from imgnom.policy.public import SYSTEM

    archive_subject(
        archive_ref="a" * 32,
        record="identity_after_leaving",
        values={"username": "somebody"},
        starts_at=now,
        due_at=now + timedelta(days=1),
        by=SYSTEM,
        now=now,
    )
    on_time = now + timedelta(days=5)
    check_promises(now=on_time)
    assert states(on_time)["A3.1"] == "green"
    late = now + timedelta(days=7)
    assert "due identity_after_leaving" in check_promises(now=late)
    assert states(late)["A3.1"] == "red"


CLAUSES = [
    "A0.1",
    "A0.2",
    "A0.3",
    "A1.0",
    "A1.1",
    "A1.2",
    "A2.0",
    "A2.1",
    "A2.2",
    "A2.2a",
    "A2.2b",
    "A2.2c",
    "A2.2d",
    "A2.2e",
    "A2.2f",
    "A2.2g",
    "A2.2h",
    "A2.3",
    "A2.3a",
    "A2.3b",
    "A2.3c",
    "A2.3d",
    "A2.4",
    "A3.0a",
    "A3.0b",
    "A3.1",
    "A3.2.0",
    "A3.2①",
    "A3.2②",
    "A3.2③",
    "A3.2④",
    "A4.0",
    "A4.1①",
    "A4.1②",
    "A4.2",
    "A5.0",
    "A5.1",
    "A5.2",
    "A6.1",
    "A6.2",
    "A7.1",
    "A7.2a",
    "A7.2b",
    "A7.2c",
    "A7.2d",
    "A7.3a",
    "A7.3b",
    "A7.4",
    "A8.0",
    "A8.1",
    "A8.2",
    "A8.3",
    "A9.1",
    "A9.2",
    "A9.3",
    "S1",
    "B1",
    "B2",
    "I1",
    "I2",
    "I3",
    "I4",
    "I5",
    "I6",
    "I7",
    "I8",
    "I9",
    "I10",
    "I11",
    "I12",
    "X1",
    "X2",
    "X3",
    "X4",
    "X5",
    "X6",
    "X7",
    "X8",
    "X9",
    "X10",
]


@pytest.mark.clause("A0.1")
def test_the_board_has_exactly_the_clauses_of_the_requirements(client: Client, now: datetime) -> None:
    answer = client.get("/privacy/board.json")
    assert answer["Content-Type"] == "application/json"
    facts = answer.json()
    assert list(facts) == ["clauses"]
    assert [row["id"] for row in facts["clauses"]] == CLAUSES
    for row in facts["clauses"]:
        assert row["state"] in ("green", "red", "planned")
        assert isinstance(row["promise"], str)
        assert isinstance(row["evidence"], str)
        assert row["promise"]
        assert row["evidence"]
        assert row["checked_at"] is None or datetime.fromisoformat(row["checked_at"]).tzinfo is not None


@pytest.mark.clause("A0.1", "I12")
def test_what_is_not_built_is_never_green(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from imgnom.custody.in_force import policy_in_force

    planned = {clause.id for clause in policy_in_force().clauses.values() if clause.state == "planned"}
    assert planned
    words = Text("{seen}", "{seen}")
    monkeypatch.setattr(checks, "_registered", dict(checks._registered))
    register_check(Check("all is well", tuple(CLAUSES), words, words, lambda _now: Finding(1, 0)))
    check_promises(now=now)
    record_rehearsal(dict.fromkeys(CLAUSES, "green"), policy=policy_in_force().digest, code=code_digest(), now=now)
    found = states(now)
    assert {found[key] for key in planned} == {"planned"}
    assert "green" in {found[key] for key in found if key not in planned}
