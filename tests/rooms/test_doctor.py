"""The doctor tells ok, warnings and failures apart, and what it cannot look at is a failure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imgnom.site import clock, doctor
from imgnom.site.doctor import Line, examine, report_words
from imgnom.web.beat import write_beat

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def states() -> dict[str, str]:
    return {row["what"]: row["state"] for row in examine()["findings"]}


@pytest.fixture
def real(settings: Any, tmp_path: Path, now: Any) -> Path:
    """A home of a real site that was claimed today."""
    home = tmp_path / "home"
    home.mkdir()
    Path(settings.IMGNOM.media_root).mkdir(exist_ok=True)
    (home / "kind-of-site").write_text("real\n", encoding="ascii")
    settings.IMGNOM = replace(settings.IMGNOM, mode="production", home=home)
    return home


def test_doctor_is_never_ok_without_backup_witness_and_worker(real: Path) -> None:
    found = states()
    assert (found["backup"], found["witness"], found["worker"]) == ("warning", "warning", "warning")
    assert examine()["ok"] is False


def test_doctor_fails_when_older_site_was_never_backed_up(real: Path, now: Any) -> None:
    clock.set_clock(doctor.made_at(real) + timedelta(hours=27))
    assert states()["backup"] == "failure"


def test_doctor_warns_of_quiet_worker_and_fails_after_a_day(real: Path, now: Any) -> None:
    write_beat(alive_at=now, done_at=now)
    for hours, state in ((0, "ok"), (1, "warning"), (25, "failure")):
        clock.set_clock(now + timedelta(hours=hours))
        assert states()["worker"] == state


def test_doctor_fails_while_clock_jump_waits(real: Path) -> None:
    (real / "clock-jumped").write_text("+100", encoding="utf-8")
    assert states()["clock"] == "failure"


def test_doctor_check_that_breaks_is_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def _broken() -> Iterator[Line]:
        raise OSError("geheim")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (_broken, doctor._python))
    report = examine()
    assert report["state"] == "failure"
    assert report["findings"][0] == {
        "what": "broken",
        "state": "failure",
        "ok": False,
        "words": "cannot be looked at (OSError)",
    }
    words = report_words(report)
    assert words.startswith("failure broken: ")
    assert "geheim" not in words
    assert "1 failure" in words.splitlines()[-1]


def test_doctor_is_ok_only_when_every_line_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for states_given, state in ((("ok",), "ok"), (("ok", "warning"), "warning"), (("failure", "ok"), "failure")):
        lines = [Line("x", one, "") for one in states_given]  # type: ignore[arg-type]
        monkeypatch.setattr(doctor, "CHECKS", (lambda lines=lines: lines,))
        report = examine()
        assert (report["state"], report["ok"]) == (state, state == "ok")
