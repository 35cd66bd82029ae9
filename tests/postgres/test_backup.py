"""Backup and restore where the six stores are PostgreSQL databases: one snapshot each, put back whole (A4.2)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.backup_life import CHOICES, STAYS
from tests.live import ROOT, environment, running

pytestmark = pytest.mark.xdist_group("backup on PostgreSQL")


@pytest.mark.clause("A4.2", "I6", "I9")
def test_what_ended_since_does_not_come_back_on_postgresql(tmp_path: Path, fresh_urls: dict[str, str]) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2028-03-05T12:00:00+09:00")
    variables = {"IMGNOM_MODE": "rehearsal", "IMGNOM_CLOCK_FILE": str(clock), **fresh_urls}

    def live(part: str) -> dict[str, Any]:
        environ = environment(tmp_path / "home", **variables) | {"PYTHONPATH": f"{ROOT}/src:{ROOT}"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.backup_life", part], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=300
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return dict(json.loads(done.stdout))

    with running(tmp_path / "home", **variables) as site:
        pass
    facts = live("begin")
    done = site.command("backup", str(tmp_path / "data"), "--keys", str(tmp_path / "keys"), "--json")
    assert done.returncode == 0, done.stderr
    made = Path(json.loads(done.stdout)["set"])
    assert sorted(path.name for path in made.glob("*.pgcopy")) == [
        "archive.pgcopy", "default.pgcopy", "ledger.pgcopy", "logs.pgcopy", "vault.pgcopy",
    ]  # fmt: skip
    facts |= live("go-on")
    clock.write_text("2028-06-10T12:00:00+09:00")
    assert site.command("retention", "run").returncode == 0
    own = site.command("restore", str(made), "--json")
    assert own.returncode == 0, own.stderr
    _look(live("look"), facts)
    for store in ("default", "logs", "vault", "archive", "keys"):
        variable = "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"
        with psycopg.connect(fresh_urls[variable].partition("?")[0], autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    lost = site.command("restore", str(made), "--keys", str(tmp_path / "keys"), "--json")
    assert lost.returncode == 0, lost.stderr
    assert json.loads(lost.stdout)["keys"] == "copy"
    now = live("look")
    _look(now, facts)
    raw = bytearray((made / "vault.pgcopy").read_bytes())
    raw[len(raw) // 2] ^= 1
    (made / "vault.pgcopy").write_bytes(raw)
    assert "was changed" in site.command("restore", str(made)).stderr
    assert str(live("go-on-new")["number"]) not in now["comments"]


def _look(now: dict[str, Any], facts: dict[str, Any]) -> None:
    assert now["members"] == [f"{STAYS}닉네임"]
    assert not {*facts["subjects"].values(), facts["joined"]} & {*now["key owners"], *now["vault subjects"]}
    assert [now["receipts"][number] for number in facts["receipts"].values()] == ["done"] * len(CHOICES)
    assert "chan제목" not in now["pictures"]
    assert now["pictures"]["anja제목"]["author"] == "anja닉네임"
