"""Versions: a changed file is one at once where nobody is harmed; a real site goes on with what was approved."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from imgnom.custody import in_force
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.archive.public import archive_subject
from imgnom.custody.consent.models import PolicyVersion
from imgnom.custody.consent.public import adopt_policy, policy_versions, policy_waits, version_of
from imgnom.custody.in_force import PolicyUnapproved, approved_policy, ensure_approved, policy_in_force, trouble
from imgnom.custody.ledger.models import Leaf
from imgnom.custody.ledger.public import sequence
from imgnom.policy.public import SYSTEM, ends_at, load_policy
from imgnom.procedures.retention.public import take_policy
from imgnom.site.policy_site import approve_policy
from tests.conftest import NOON
from tests.unit.policies import ROOT

pytestmark = pytest.mark.django_db(databases="__all__")


class Files:
    """A policy folder in force, whose period an operator may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._step = 0

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")
        # A file system's clock may be too coarse for two changes in one test.
        self._step += 1
        os.utime(self.folder / name, ns=(self._step * 10**9, self._step * 10**9))

    def period(self, text: str) -> None:
        self.write("policy.toml", f'extends = "base"\n[records.identity_after_leaving]\nperiod = "{text}"\n')


@pytest.fixture
def files(tmp_path: Path, settings: Any) -> Iterator[Files]:
    shutil.copytree(ROOT / "imgnom", tmp_path / "base")
    (tmp_path / "ours").mkdir()
    made = Files(tmp_path / "ours")
    made.period("P3M")
    settings.IMGNOM = replace(settings.IMGNOM, policy=made.folder)
    in_force._held = None
    yield made
    in_force._held = None


def said(path: str) -> str:
    answer = Client().get(path)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


@pytest.mark.clause("A0.3", "S1", "I1")
def test_a_changed_file_is_a_new_version_at_once_and_the_old_one_stays_readable_to_the_letter(files: Files) -> None:
    before = said("/privacy")
    first = policy_in_force().digest
    assert "3개월 동안" in before
    files.period("P6M")
    after = said("/privacy")
    second = policy_in_force().digest
    assert second != first
    assert "6개월 동안" in after
    assert "지난 판 1" in after
    rows = policy_versions()
    assert [(row.digest, row.until is None) for row in rows] == [(second, True), (first, False)]
    listed = said("/privacy/versions")
    assert listed.count("시행 중") == 1
    for digest in (first, second):
        assert f'href="/privacy/versions/{digest}"' in listed
    old = said(f"/privacy/versions/{first}")
    assert "3개월 동안" in old
    assert "6개월 동안" not in old
    assert "for 3 months" in said(f"/privacy/versions/{first}?lang=en")
    assert (
        Client().get(f"/privacy/versions/{first}.json").json()["records"]["identity_after_leaving"]["period"] == "P3M"
    )
    assert Client().get(f"/privacy/versions/{first[:12]}")["Location"] == f"/privacy/versions/{first}"
    for digest in (first[:11], "f" * 64, "nowhere"):
        assert Client().get(f"/privacy/versions/{digest}").status_code == 404


@pytest.mark.clause("A0.3", "S1")
def test_a_policy_that_returns_is_in_force_anew_and_is_not_forgotten_between(files: Files) -> None:
    digests = []
    for period in ("P3M", "P6M", "P3M"):
        files.period(period)
        said("/privacy")
        digests.append(policy_in_force().digest)
    assert digests[0] == digests[2] != digests[1]
    assert [row.digest for row in reversed(policy_versions())] == digests
    assert not adopt_policy(policy_in_force(), now=NOON, by=SYSTEM), "the same again is no new version"


@pytest.mark.clause("A0.3")
def test_a_change_of_the_base_or_of_the_words_is_seen_too(files: Files) -> None:
    before = policy_in_force().digest
    base = files.folder.parent / "base" / "policy.toml"
    base.write_text(base.read_text(encoding="utf-8").replace("value = 5\n", "value = 4\n", 1), encoding="utf-8")
    assert policy_in_force().setting("without_delay_days") == 4
    changed = policy_in_force().digest
    assert changed != before
    for lang in ("ko", "en"):
        files.write(f"terms.{lang}.md", "## 1. X\n\n한 문장 / one sentence\n")
    assert policy_in_force().digest != changed
    assert "one sentence" in said("/terms")


@pytest.mark.clause("A0.3", "I1")
def test_a_file_that_no_longer_holds_together_is_not_taken_and_the_trouble_is_told(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    said("/privacy")
    digest = policy_in_force().digest
    files.write("policy.toml", "broken [")
    assert "3개월 동안" in said("/privacy")
    assert policy_in_force().digest == digest
    assert "is not TOML" in trouble()
    assert "policy.toml" in caplog.text
    (files.folder / "policy.toml").unlink()
    assert said("/privacy")
    files.period("P6M")
    assert "6개월 동안" in said("/privacy")
    assert trouble() == ""


@pytest.mark.clause("S1", "A0.3")
def test_a_changed_letter_of_a_kept_version_is_seen(files: Files) -> None:
    said("/privacy")
    digest = policy_in_force().digest
    row = PolicyVersion.objects.get()
    found = version_of(digest)
    assert found is not None
    assert found.is_intact
    row.source["wording"]["articles.en.md"] += "."
    row.save()
    found = version_of(digest)
    assert found is not None
    assert not found.is_intact
    assert "누군가 고쳤습니다" in said(f"/privacy/versions/{digest}")
    assert "요약값과 맞지 않습니다" in said("/privacy/versions")


@pytest.mark.clause("I1", "A3.1")
def test_stored_ends_follow_a_changed_period_also_when_a_page_saw_it_first_and_when_it_is_taken_back(
    files: Files,
) -> None:
    said("/privacy")
    take_policy(now=NOON)
    archive_subject(
        archive_ref="r", record="identity_after_leaving", values={"email": "a@b.c"}, starts_at=NOON, by=SYSTEM, now=NOON,
        due_at=ends_at(policy_in_force().records["identity_after_leaving"], NOON, "Asia/Seoul"),
    )  # fmt: skip
    for period, days in (("P6M", 182), ("P3M", 93), ("P1D", 2)):
        files.period(period)
        said("/privacy")  # a visitor reads it before the worker's round
        assert policy_waits(policy_in_force())
        assert take_policy(now=NOON)
        end = ArchivedValue.objects.get().ends_at
        assert end is not None
        assert abs(end - NOON - timedelta(days=days)) < timedelta(days=2)
        assert end == ends_at(policy_in_force().records["identity_after_leaving"], NOON, "Asia/Seoul")
        assert not take_policy(now=NOON), "once is enough"


@pytest.mark.clause("I1")
def test_what_takes_a_policy_is_killed_in_the_middle_and_done_again(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("/privacy")
    take_policy(now=NOON)
    files.period("P6M")
    from imgnom.procedures.retention import run_due

    def killed() -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_due, "recompute_consents", killed)
        with pytest.raises(KeyboardInterrupt):
            take_policy(now=NOON)
    assert policy_waits(policy_in_force())
    assert take_policy(now=NOON)
    assert not policy_waits(policy_in_force())


# ── a real site ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def real(files: Files, settings: Any) -> Files:
    adopt_policy(load_policy(files.folder), now=NOON, by=SYSTEM)
    settings.IMGNOM = replace(settings.IMGNOM, mode="production")
    in_force._held = None
    return files


@pytest.mark.clause("A0.3", "I1")
def test_a_real_site_goes_on_with_the_approved_version_whatever_happens_to_the_files(real: Files) -> None:
    digest = policy_in_force().digest
    real.period("P6M")
    for _ in range(2):
        assert policy_in_force().digest == digest
        assert "3개월 동안" in said("/privacy")
        assert not take_policy(now=NOON) or len(policy_versions()) == 1
        in_force._held = None  # as a web process that is started anew
    assert [row.digest for row in policy_versions()] == [digest], "nothing was approved by itself"
    assert "not the approved one" in trouble()
    with pytest.raises(PolicyUnapproved, match=r"policy approve [0-9a-f]{12}"):
        ensure_approved(load_policy(real.folder), approved=approved_policy())
    real.write("policy.toml", "")
    assert policy_in_force().digest == digest
    assert "is empty" in trouble()


@pytest.mark.clause("A0.3")
def test_only_the_version_that_was_looked_at_is_approved(real: Files) -> None:
    digest = policy_in_force().digest
    real.period("P6M")
    changed = load_policy(real.folder)
    for named in ([], [digest], [changed.digest[:11]], [changed.digest, changed.digest], ["0" * 12]):
        refused = approve_policy(named)
        assert not refused["ok"]
        assert changed.digest[:12] in refused["words"]
    assert len(policy_versions()) == 1
    done = approve_policy([changed.digest[:12]])
    assert done["ok"]
    assert done["new"]
    assert approve_policy([changed.digest])["new"] is False
    assert policy_in_force().digest == digest, "a running site goes on until it is started anew"
    said("/privacy")
    assert [row.digest for row in policy_versions()] == [changed.digest, digest]
    in_force._held = None
    assert policy_in_force().digest == changed.digest
    ensure_approved(load_policy(real.folder), approved=approved_policy())
    assert take_policy(now=NOON), "due dates follow when it comes into force"
    sequence(now=NOON)
    acts = [str(leaf.payload) for leaf in Leaf.objects.all()]
    assert sum("adopt_policy" in act and "administrator" in act for act in acts) == 1
