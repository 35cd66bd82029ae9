"""A community of 15,000 whose posts are spread as on real sites, few with very many: members leave while others look.

Whole withdrawals, from the request until the receipt says done, of members drawn at random. Then visitors ask for
gallery pages over eight connections while nobody leaves and while one member a second does, in turns; what they lose is
the second figure beside the first. Last, a month of access records ends: its keys die, and its rows go after them.
"""

import http.client
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure, Section, Size, quantile, timed
from benchmarks.home import CACHE, NOW, copy_of, say, schema_mark, start_django
from benchmarks.pages import sign_in
from benchmarks.server import Server, serving

MEDIAN_MS, P95_MS, LOSS, UNREADABLE_S = 50, 500, 0.07, 1.0
CONNECTIONS, ROUND_SECONDS, ROUNDS = 8, 15, 3
MONTH_DAYS = 30


def _crowd(size: Size) -> Path:
    """The home with the community in it, made once."""
    home = CACHE / f"crowd-{size.crowd}-{schema_mark()}"
    if not (home / "seeded").exists():
        code = (
            "from pathlib import Path; from benchmarks.home import start_django; from benchmarks.seed import seed_crowd; "
            f"start_django(Path({str(home)!r})); seed_crowd({size.crowd})"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        (home / "seeded").touch()
    return home


def _leavers(count: int, seed: int) -> list[int]:
    from imgnom.community.members.models import Member

    return random.Random(seed).sample(sorted(Member.objects.values_list("pk", flat=True)), count)


def _whole_withdrawals(count: int) -> list[Figure]:
    from benchmarks.withdrawal import leave

    spent, requests, cpu = [], [], []
    for number, member_id in enumerate(_leavers(count + 5, 1)):
        with timed() as one:
            request_ms, _ = leave(member_id, ("keep", "anonymise", "delete")[number % 3])
        if number >= 5:  # the first of all find nothing warm
            spent.append(1000 * one.wall)
            cpu.append(1000 * one.cpu)
            requests.append(request_ms)
    median, p95 = statistics.median(spent), quantile(spent, 0.95)
    return [
        Figure("a member of the crowd leaves, until done: median", median, "ms", target=f"≤ {MEDIAN_MS} ms", met=median <= MEDIAN_MS),
        Figure("a member of the crowd leaves, until done: 95th of 100", p95, "ms", target=f"≤ {P95_MS} ms", met=p95 <= P95_MS),
        Figure("of it the request, median", statistics.median(requests), "ms"),
        Figure("the same in CPU time, median", statistics.median(cpu), "CPU ms"),
    ]  # fmt: skip


class _Visitors:
    """Eight connections that ask for pages as fast as they are answered."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        self._port, self._paths, self._end = port, paths, 0.0
        self.spent: list[float] = []

    def _ask(self, dice: random.Random) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            while time.monotonic() < self._end:
                began = time.perf_counter()
                connection.request("GET", dice.choice(self._paths), headers={"Cookie": "imgnom_cookies=none"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != http.HTTPStatus.OK:
                    raise RuntimeError(f"a gallery page answered {answer.status}")
                self.spent.append(1000 * (time.perf_counter() - began))

    def look(self, seconds: float) -> float:
        """Requests a second."""
        self._end = time.monotonic() + seconds
        before = len(self.spent)
        threads = [threading.Thread(target=self._ask, args=(random.Random(n),)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (len(self.spent) - before) / seconds


def _leave_over_http(server: Server, cookie: str, choice: str) -> None:
    """Presses the button as the page's form does."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {"Cookie": cookie, "User-Agent": "Mozilla/5.0"}
        connection.request("GET", "/me/withdraw", headers=headers)
        answer = connection.getresponse()
        page = answer.read().decode()
        cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        headers |= {
            "Cookie": "; ".join([cookie, *cookies]),
            "Content-Type": "application/x-www-form-urlencoded",
            "Referer": f"http://127.0.0.1:{server.port}/me/withdraw",
        }
        connection.request(
            "POST",
            "/me/withdraw",
            body=f"csrfmiddlewaretoken={token}&content={choice}&confirm=yes",
            headers=headers,
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.SEE_OTHER:
            raise RuntimeError(f"/me/withdraw answered {answer.status}")


def _leave_each_second(server: Server, cookies: list[str], end: threading.Event) -> None:
    due = time.monotonic()
    while cookies and not end.is_set():
        _leave_over_http(server, cookies.pop(), "anonymise")
        due += 1
        end.wait(max(0.0, due - time.monotonic()))


def _while_one_leaves(size: Size) -> list[Figure]:
    seconds, rounds = (ROUND_SECONDS, ROUNDS) if size.requests > 100 else (3, 1)
    cookies = [sign_in(member) for member in _leavers(int(rounds * seconds * 1.5) + 5, 2)]
    quiet, busy = [], []
    with serving(ready="/healthz") as server:
        visitors = _Visitors(server.port, ["/"])
        _leave_over_http(server, cookies.pop(), "anonymise")  # whoever is the first of all finds nothing warm
        visitors.look(3)
        for _ in range(rounds):
            quiet.append(visitors.look(seconds))
            end = threading.Event()
            leaving = threading.Thread(target=_leave_each_second, args=(server, cookies, end))
            leaving.start()
            busy.append(visitors.look(seconds))
            end.set()
            leaving.join()
    loss = 1 - statistics.median(busy) / statistics.median(quiet)
    return [
        Figure("gallery pages while nobody leaves", statistics.median(quiet), "req/s"),
        Figure(
            "gallery pages while one member a second leaves", statistics.median(busy), "req/s", "while nobody does",
            1 - loss, f"loss ≤ {LOSS:.0%}", loss <= LOSS,
        ),
    ]  # fmt: skip


def _a_month_ends(records: int) -> list[Figure]:
    from imgnom.community.visits.public import Visit, destroy_due_records, due_day_keys, record_visits
    from imgnom.custody.vault.public import destroy_day_keys
    from imgnom.policy.public import SYSTEM

    say(f"a month of {records} access records")
    first = NOW - timedelta(days=400)
    each = records // MONTH_DAYS
    for day in range(MONTH_DAYS):
        at = first + timedelta(days=day)
        for begin in range(0, each, 2_000):
            many = min(2_000, each - begin)
            record_visits([Visit(at + timedelta(milliseconds=n), "visit", None, "gallery", 200, "203.0.113.9", "Mozilla/5.0") for n in range(many)])  # fmt: skip
    later = first + timedelta(days=6 * 366)
    keys = due_day_keys(now=later)
    with timed() as unreadable:
        destroy_day_keys(keys, now=later, by=SYSTEM, clause="A3.2②")
    with timed() as gone:
        count, _ = destroy_due_records(now=later)
    return [
        Figure(
            f"a month of {count:,} access records unreadable", unreadable.wall, "s", target=f"≤ {UNREADABLE_S:g} s", met=unreadable.wall <= UNREADABLE_S
        ),
        Figure("their rows overwritten", gone.wall, "s"),
    ]  # fmt: skip


def measure(size: Size) -> Section:
    start_django(copy_of(_crowd(size), CACHE / "scratch-crowd"))
    say("whole withdrawals")
    figures = _whole_withdrawals(200 if size.requests > 100 else 20)
    say("visitors while members leave")
    figures += _while_one_leaves(size)
    figures += _a_month_ends(size.month)
    return Section("crowd", "A crowd", " ".join((__doc__ or "").split()), tuple(figures))
