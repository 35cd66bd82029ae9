"""The process tree: starts with four lines, mends itself, stops clean, works one at a time, keeps to its clock."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import Client
from tests.live import ROOT, Site, environment, free_port, running

from imgnom.procedures.proofs.public import check_promises
from imgnom.procedures.retention.public import RetentionReport
from imgnom.site import clock, jump, worker
from imgnom.site.lease import Lease, LeaseLost
from imgnom.site.models import WorkLease
from imgnom.site.rehearsal.visitor import Visitor
from imgnom.site.supervisor import HEALTHY_SECONDS, PAUSES_SECONDS, WEB_TRIES, Child
from imgnom.site.worker import Worker
from imgnom.web.beat import is_late, read_beat, write_beat

pytestmark = pytest.mark.xdist_group("serve")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) ServeCanary/7"


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid and text.rpartition(")")[2].split()[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def wait_for(fact: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def answers(port: int, path: str = "/healthz") -> bool:
    try:
        return Visitor(port, agent=AGENT).get(path).status == 200
    except OSError:
        return False


def visits_in(home: Path) -> int:
    with closing(sqlite3.connect(home / "db" / "logs.sqlite3")) as store:
        return int(store.execute("SELECT count(*) FROM visits_accessrecord").fetchone()[0])


class Tree:
    """A site whose parent process the test holds in its hand."""

    def __init__(self, folder: Path, *flags: str, port: int | None = None, **variables: str) -> None:
        self.port = port or free_port()
        self.home = folder / "home"
        self.site = Site(self.home, self.port, environment(self.home, IMGNOM_MODE="rehearsal", **variables))
        self.log = folder / f"serve-{self.port}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "imgnom", "serve", "--port", str(self.port), *flags],
                cwd=ROOT,
                env=self.site.environ,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> "Tree":
        wait_for(lambda: answers(self.port) and "promises" in self.log.read_text(), 90)
        return self

    def _child(self, mark: str) -> int:
        """0 while there is none."""
        return next((pid for pid in children_of(self.process.pid) if mark in command_of(pid)), 0)

    def web_processes(self) -> list[int]:
        return [pid for pid in children_of(self.process.pid) if "imgnom.site.server.process" in command_of(pid)]

    def worker(self) -> int:
        return self._child("imgnom worker")

    def everybody(self) -> list[int]:
        return [self.worker(), *self.web_processes()]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=25)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path, "--workers", "2", IMGNOM_CLOCK_FILE=str(tmp_path / "clock"))
    try:
        yield made.ready()
    finally:
        made.stop()


@pytest.mark.clause("A1.2")
def test_a_tree_runs_as_many_web_processes_as_asked_and_a_clean_stop_loses_no_visit(tree: Tree) -> None:
    assert len(tree.web_processes()) == 2
    everybody = tree.everybody()
    browser = Visitor(tree.port, agent=AGENT)
    for _ in range(40):
        assert browser.get("/").status == 200
    assert tree.stop() == 0
    assert visits_in(tree.home) == 40
    assert not list((tree.home / "cache").glob("*.tally"))
    assert not [pid for pid in everybody if command_of(pid)]
    for file in (tree.home / "db").glob("logs*"):
        assert b"ServeCanary" not in file.read_bytes()
    assert b"ServeCanary" not in tree.log.read_bytes()


def test_what_is_killed_is_started_again_and_the_others_go_on(tree: Tree) -> None:
    beat = json.loads((tree.home / "worker-beat").read_text())
    first_worker, first_web = tree.worker(), tree.web_processes()
    os.kill(first_worker, signal.SIGKILL)
    os.kill(first_web[0], signal.SIGKILL)
    wait_for(lambda: answers(tree.port), 3)
    wait_for(lambda: tree.worker() not in (0, first_worker))
    assert "the worker stopped" in tree.log.read_text()
    wait_for(lambda: len(tree.web_processes()) == 2 and first_web[0] not in tree.web_processes())
    assert answers(tree.port)
    (tree.home.parent / "clock").write_text("2030-01-01T09:00:00+09:00")
    wait_for(lambda: json.loads((tree.home / "worker-beat").read_text())["done_at"].startswith("2030-01-01"))
    assert json.loads((tree.home / "worker-beat").read_text()) != beat


def test_a_dead_web_server_is_started_again_and_a_killed_parent_leaves_nobody_behind(tree: Tree) -> None:
    dead = tree.web_processes()
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(tree.web_processes()) - set(dead)) == 2)
    assert tree.log.read_text().count("the web server stopped") == 2
    wait_for(lambda: answers(tree.port))
    everybody = tree.everybody()
    tree.process.kill()
    wait_for(lambda: not [pid for pid in everybody if command_of(pid)])


def test_a_taken_port_and_a_home_of_another_kind_end_with_one_line(tree: Tree) -> None:
    done = tree.site.command("serve", "--port", str(tree.port))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{tree.port} cannot be used" in done.stderr
    real = environment(
        tree.home,
        IMGNOM_MODE="production",
        IMGNOM_BASE_URL="https://example.org",
        IMGNOM_KEYRING=str(tree.home.parent / "keys"),
    )
    refused = Site(tree.home, 0, real).command("serve", "--port", str(free_port()))
    assert refused.returncode == 1
    assert "a real site begins in a folder of its own" in refused.stderr


def test_everything_due_is_done_by_command_beside_a_live_server(tree: Tree) -> None:
    for _ in range(3):
        done = tree.site.command("retention", "run", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["errors"] == {}
    assert answers(tree.port)
    second = Tree(tree.home.parent, port=free_port(), IMGNOM_CLOCK_FILE=str(tree.home.parent / "clock")).ready()
    try:
        (tree.home.parent / "clock").write_text("2031-01-01T09:00:00+09:00")
        wait_for(lambda: "2031-01-01" in (tree.home / "worker-beat").read_text())
        assert tree.site.command("check").returncode in (0, 1)
        assert json.loads(tree.site.command("ledger", "verify", "--json").stdout)["ok"]
    finally:
        assert second.stop() == 0
    for log in (tree.log, second.log):
        assert "failed" not in log.read_text()


@pytest.mark.clause("I9")
def test_a_wrong_clock_file_moves_no_time_and_commands_say_so(tree: Tree) -> None:
    file = tree.home.parent / "clock"
    file.write_text("2030-01-01T09:00:00+09:00")
    assert answers(tree.port, "/")
    for wrong in (b"2029-12-31T23:59:59+09:00", b"tomorrow", b"2031-01-01T09:00:00", b"", b"\x00\xff"):
        file.write_bytes(wrong)
        assert answers(tree.port, "/"), "pages go on at the highest instant seen"
        done = tree.site.command("retention", "run")
        assert done.returncode == 1
        assert done.stderr.startswith("imgnom: The "), done.stderr
        assert done.stderr.count("\n") == 1
    file.write_text("2030-06-01T09:00:00+09:00")
    assert tree.site.command("retention", "due").returncode == 0
    wait_for(lambda: "2030-06-01" in (tree.home / "worker-beat").read_text())


def test_a_server_does_not_start_on_a_wrong_clock(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("never")
    tree = Tree(tmp_path, IMGNOM_CLOCK_FILE=str(tmp_path / "clock"))
    assert tree.process.wait(timeout=60) == 1
    assert tree.log.read_text().startswith("imgnom: The clock file must hold one ISO 8601 instant")


def test_ctrl_c_ends_the_demo_without_a_traceback_and_its_four_lines_came_in_order(tmp_path: Path) -> None:
    with running(tmp_path / "home", "--demo", IMGNOM_MODE="demo") as site:
        log = tmp_path / "home.log"
        wait_for(lambda: "rehearse" in log.read_text())
        base = site.address
    lines = [line for line in log.read_text().splitlines() if not line.startswith("imgnom:")]
    assert [line.split(None, 1) for line in lines] == [
        ["gallery", f"{base}/"],
        ["demo", f"{base}/demo"],
        ["promises", f"{base}/privacy/board"],
        ["rehearse", "./run rehearse"],
    ]
    port = free_port()
    again = subprocess.Popen(
        [sys.executable, "-m", "imgnom", "serve", "--demo", "--port", str(port)],
        cwd=ROOT,
        env=environment(tmp_path / "home", IMGNOM_MODE="demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: answers(port))
    os.killpg(again.pid, signal.SIGINT)
    said, _ = again.communicate(timeout=25)
    assert again.returncode == 0
    assert "Traceback" not in said
    assert "rror" not in said


# ---- the parts, without processes ----


def test_a_child_that_keeps_dying_waits_longer_each_time_and_a_healthy_one_starts_afresh(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = Child("web server", ["true"], WEB_TRIES)
    dead = SimpleNamespace(poll=lambda: 1, returncode=1)
    monkeypatch.setattr(Child, "start", lambda self, at: vars(self).update(process=dead, started_at=at))
    at, pauses = 100.0, []
    for _ in range(WEB_TRIES - 1):
        assert child.look(at)
        assert child.process is dead
        at += 1
        assert child.look(at)
        pauses.append(child.next_at - at)
        assert child.look(at)
        assert child.process is None, "not before its time"
        at = child.next_at
    assert pauses == pytest.approx(PAUSES_SECONDS[: WEB_TRIES - 1])
    assert child.look(at)
    assert not child.look(at + 1), "one death too many"
    assert child.look(child.next_at)
    assert child.look(child.started_at + HEALTHY_SECONDS)
    assert child.deaths == 1
    assert "the web server stopped (status 1)" in capsys.readouterr().err


class Hand:
    """A monotonic clock that the test turns."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.clause("I9")
def test_one_at_a_time_and_a_dead_holder_is_followed_only_after_it_stood_still() -> None:
    hand = Hand()
    one, other = (Lease("w", patience_seconds=15, monotonic=hand) for _ in range(2))
    assert one.try_take()
    assert not other.try_take()
    for _ in range(5):
        hand.at += 10
        one.beat()
        assert not other.try_take(), "it is alive"
    hand.at += 14
    assert not other.try_take()
    hand.at += 1
    assert other.try_take(), "it stood still for the whole patience"
    with pytest.raises(LeaseLost):
        one.beat()
    one.give_back()
    assert WorkLease.objects.get().held, "a late holder gives nothing back that is not its own"
    other.give_back()
    assert one.try_take()


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.clause("I9")
def test_a_worker_that_slept_past_its_lease_stops_before_the_next_step(
    monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    clock.set_clock(now)
    done: list[str] = []
    lease = Lease("w")

    def run_due(*, now: datetime, on_progress: Callable[[str], None]) -> RetentionReport:
        on_progress("first")
        done.append("first")
        WorkLease.objects.update(token=99)  # somebody took over meanwhile
        on_progress("second")
        done.append("second")
        return RetentionReport(now)

    monkeypatch.setattr(worker, "run_due", run_due)
    monkeypatch.setattr(lease, "kept", lambda: nullcontext())
    with pytest.raises(LeaseLost):
        Worker(lease).do_round()
    assert done == ["first"]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_kind_of_work_that_fails_stops_no_other_and_a_missed_run_is_made_good(
    monkeypatch: pytest.MonkeyPatch, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set_clock(now)
    runs: list[datetime] = []

    def broken(**_kwargs: object) -> None:
        raise ValueError("canary@mail.example")

    def run_due(*, now: datetime, on_progress: Callable[[str], None]) -> RetentionReport:
        runs.append(now)
        return RetentionReport(now)

    monkeypatch.setattr(worker, "deliver_mail", broken)
    monkeypatch.setattr(worker, "run_due", run_due)
    monkeypatch.setattr(Lease, "kept", lambda self: nullcontext())
    one = Worker(Lease("w"))
    assert one.do_round()
    one._lease.give_back()
    assert one.do_round()
    one._lease.give_back()
    clock.set_clock(now + timedelta(days=400))
    assert one.do_round()
    assert runs == [now, now + timedelta(days=400)]
    assert "worker mail failed: ValueError" in caplog.text
    assert "canary@mail.example" not in caplog.text
    beat = read_beat()
    assert beat is not None
    assert beat.done_at == now + timedelta(days=400)


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_run_with_errors_is_tried_again_but_not_at_once(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    clock.set_clock(now)
    hand, runs = Hand(), []
    monkeypatch.setattr(worker.time, "monotonic", hand)

    def run_due(*, now: datetime, on_progress: Callable[[str], None]) -> RetentionReport:
        runs.append(now)
        return RetentionReport(now, errors={"epoch": "OSError"})

    monkeypatch.setattr(worker, "run_due", run_due)
    monkeypatch.setattr(Lease, "kept", lambda self: nullcontext())
    one = Worker(Lease("w"))
    for _ in range(3):
        assert one.do_round()
        one._lease.give_back()
    assert len(runs) == 1
    hand.at += worker.RETENTION_RETRY_SECONDS
    assert one.do_round()
    assert len(runs) == 2


@pytest.mark.clause("A0.1")
def test_work_that_was_not_finished_for_a_day_counts_as_late(now: datetime) -> None:
    write_beat(alive_at=now, done_at=now)
    assert not is_late(now + timedelta(hours=24))
    assert is_late(now + timedelta(hours=25))
    write_beat(alive_at=now + timedelta(hours=25), done_at=now)
    assert is_late(now + timedelta(hours=25)), "alive is not enough: what was due must have been done"


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.clause("A0.1")
def test_the_public_board_turns_red_when_the_worker_stands_still_for_a_day(now: datetime) -> None:
    def state() -> str:
        rows = Client().get("/privacy/board.json").json()["clauses"]
        return next(row["state"] for row in rows if row["id"] == "A0.1")

    clock.set_clock(now)
    check_promises(now=now)
    assert state() == "green"
    clock.set_clock(now + timedelta(hours=25, seconds=1))
    assert state() == "red"
    check_promises(now=now + timedelta(hours=25, seconds=1))
    assert state() == "green"


@pytest.fixture
def real_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    site = SimpleNamespace(home=tmp_path, is_toy=False)
    monkeypatch.setattr(jump, "settings", SimpleNamespace(IMGNOM=site))
    return site


DAY = 86_400.0


def look(wall: float, count: float, boot: str = "one") -> bool:
    return jump.watch_for_jump(wall=lambda: wall, count=lambda: count, boot=lambda: boot)


@pytest.mark.clause("I9", "A4.0")
@pytest.mark.parametrize("step", [3650 * DAY, 1.1 * DAY, -1.1 * DAY])
def test_a_far_jump_of_the_real_clock_stops_destruction_until_somebody_answers(
    real_site: SimpleNamespace, step: float
) -> None:
    assert not look(1000 * DAY, 10)
    assert not look(1000 * DAY + 3600, 3610)
    assert look(1000 * DAY + 3700 + step, 3710)
    assert look(1000 * DAY + 3800 + step, 3810), "it waits, it does not get used to it"
    assert f"{step / 3600:+.0f} hours" in jump.jump_line()
    assert jump.COMMAND in jump.jump_line()
    jump.clear_jump()
    assert not look(1000 * DAY + 3900 + step, 3910)


def test_small_steps_add_up_and_sleep_is_no_jump(real_site: SimpleNamespace) -> None:
    assert not look(1000 * DAY, 10)
    assert not look(1020 * DAY, 10 + 20 * DAY), "the machine slept, its own count went on"
    assert not look(1020.9 * DAY, 10 + 20 * DAY)
    assert look(1021.8 * DAY, 10 + 20 * DAY)


def test_after_a_boot_the_clock_may_not_have_gone_back_nor_weeks_have_gone_by_unasked(
    real_site: SimpleNamespace,
) -> None:
    assert not look(1000 * DAY, 10)
    assert not look(1003 * DAY, 5, "two")
    assert look(1000 * DAY, 5, "three")
    jump.clear_jump()
    assert not look(1000 * DAY, 9, "three")
    assert look(1045 * DAY, 5, "four")


def test_a_moved_toy_clock_is_no_jump(real_site: SimpleNamespace) -> None:
    real_site.is_toy = True
    assert not look(1000 * DAY, 10)
    assert not look(5000 * DAY, 20)


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.clause("I9")
def test_while_a_jump_waits_the_worker_destroys_nothing_and_does_the_rest(
    monkeypatch: pytest.MonkeyPatch, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set_clock(now)
    runs: list[str] = []
    monkeypatch.setattr(worker, "watch_for_jump", lambda: True)
    monkeypatch.setattr(worker, "run_due", lambda **_kwargs: runs.append("retention"))
    monkeypatch.setattr(worker, "deliver_mail", lambda **_kwargs: runs.append("mail"))
    monkeypatch.setattr(Lease, "kept", lambda self: nullcontext())
    one = Worker(Lease("w"))
    for _ in range(2):
        one.do_round()
        one._lease.give_back()
    assert runs == ["mail", "mail"]
    assert caplog.text.count("Nothing is destroyed until you say") == 1


def test_the_clock_keeps_the_highest_instant_and_refuses_what_is_before_it(home: Path, now: datetime) -> None:
    file = settings.IMGNOM.clock_file
    clock.set_clock(now)
    assert clock.now() == now
    for wrong in ((now - timedelta(seconds=1)).isoformat(), "x", "2027-01-01T00:00:00", "0001-01-01T00:00:00+23:59"):
        file.write_text(wrong)
        with pytest.raises(clock.ClockWrong):
            clock.now()
        assert clock.now_or_highest() == now
    file.unlink()
    (home / "clock.highest").write_text("2999-01-01T00:00:00+00:00")
    with pytest.raises(clock.ClockWrong, match="went back"):
        clock.now()
    assert clock.now_or_highest() == datetime(2999, 1, 1, tzinfo=UTC)
    (home / "clock.highest").write_text("cut")
    assert clock.now() > datetime(2020, 1, 1, tzinfo=UTC)
    file.write_text("x")
    with pytest.raises(clock.ClockWrong):
        clock.now_or_highest()
    with pytest.raises(clock.ClockWrong):
        clock.set_clock(now - timedelta(days=1))


def test_a_clock_file_may_serve_another_site_from_an_earlier_day_and_nothing_is_written_beside_it(
    home: Path, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything written lies under the home: a file beside somebody's clock would outlive the site it belongs to."""
    file = tmp_path / "clock"
    for site, instant in (("one", now + timedelta(days=1000)), ("two", now)):
        (tmp_path / site).mkdir()
        monkeypatch.setattr(settings, "IMGNOM", replace(settings.IMGNOM, clock_file=file, home=tmp_path / site))
        file.write_text(instant.isoformat())
        assert clock.now() == instant
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clock", "one", "two"]


def test_no_port_is_shared_by_two_servers(capsys: pytest.CaptureFixture[str]) -> None:
    from imgnom.site.serve import hold_port

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SystemExit) as ended:
            hold_port("127.0.0.1", other.getsockname()[1])
    assert "cannot be used" in str(ended.value)
    with pytest.raises(SystemExit):
        hold_port("no.such.host.invalid", 8000)


def test_a_second_start_is_told_at_once_even_while_the_first_still_prepares() -> None:
    from imgnom.site.serve import hold_port

    port = free_port()
    with hold_port("127.0.0.1", port), pytest.raises(SystemExit) as ended:
        hold_port("127.0.0.1", port)
    assert f"127.0.0.1:{port} cannot be used (Address already in use)" in str(ended.value)
    hold_port("127.0.0.1", port).close()
