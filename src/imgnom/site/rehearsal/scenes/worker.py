"""A worker that slept for years is started for real and makes everything good by itself (I2)."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

from imgnom.site.rehearsal.attendant import LOG
from imgnom.site.rehearsal.canaries import make_person
from imgnom.site.rehearsal.scenes.joining import form_of
from imgnom.site.rehearsal.stage import Stage

PATIENCE_SECONDS = 60.0


def sleeps(stage: Stage) -> None:
    stage.say("nobody works for more than a year")
    sleeper = make_person("sleeper", None, stage.policy)
    stage.browser_of(sleeper).post("/signup", form_of(sleeper))
    stage.let_visits_settle()
    stage.wait(days=400)


def makes_good(stage: Stage) -> None:
    stage.say("a worker wakes")
    with (stage.home / LOG).with_name("worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "imgnom", "worker"], env=dict(os.environ), stdout=log, stderr=log
        )
        try:
            done = _wait_until_done(stage)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    left = stage.count("pending registrations past their end", stage.at)
    late = _waiting(stage)
    stage.prove(
        "I2",
        done and not left and not late,
        "a worker that slept for more than a year makes good all that was due",
        f"done: {done}, still due: {late}",
    )


def _waiting(stage: Stage) -> dict[str, int]:
    from imgnom.procedures.retention.public import list_due

    return {record: count for record, count in list_due(now=stage.at).items() if count}


def _wait_until_done(stage: Stage) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            beat = json.loads((stage.home / "worker-beat").read_text(encoding="utf-8"))
            if datetime.fromisoformat(beat["done_at"]) >= stage.at:
                return True
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.1)
    return False
