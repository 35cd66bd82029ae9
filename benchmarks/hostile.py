"""Pages while somebody sends pictures that cost as much as a picture may: what all the others notice.

Four visitors ask for gallery pages one after another, as people do, while nobody, one and three members send files just
below the limits as fast as they are answered. The 95th of 100 answers is held against that of the quiet minutes of the same run.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Self

import pyvips

from benchmarks.figures import Figure, Section, Size, quantile
from benchmarks.home import CACHE, copy_of, say, start_django
from benchmarks.pages import seeded_home, sign_in
from benchmarks.server import Server, serving

MOST = 2.0
VISITORS, SECONDS, PAUSE = 4, 12.0, 0.03


@cache
def _dear() -> tuple[bytes, ...]:
    """Noise on both sides of the limits of pixels: the dearest that is taken, in three formats."""
    noise = pyvips.Image.gaussnoise(2000, 2000, mean=128, sigma=60).cast("uchar")
    colour = noise.bandjoin([noise.rot90(), noise.rot180()]).copy(interpretation="srgb")

    def sheet(wide: int, high: int) -> pyvips.Image:
        return colour.replicate(-(-wide // 2000), -(-high // 2000)).crop(0, 0, wide, high)

    return (
        sheet(7_000, 7_000).webpsave_buffer(Q=60, effort=0),
        sheet(6_000, 4_000).jpegsave_buffer(Q=70, interlace=True),
        sheet(5_000, 3_000).pngsave_buffer(compression=1, interlace=True),
    )


def _send(port: int, cookie: str, end: threading.Event, answers: list[int], *, first: int) -> None:
    """All files in turn, from the `first` one on: what they cost differs, and each run is to send the same."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/upload", headers={"Cookie": cookie})
        answer = connection.getresponse()
        page = answer.read().decode()
        given = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    number = first
    while not end.is_set():
        head = f'--line\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{token}\r\n--line\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body = head.encode() + _dear()[number % len(_dear())] + b"\r\n--line--\r\n"
        number += 1
        headers = {
            "Cookie": "; ".join([cookie, *given]), "Content-Type": "multipart/form-data; boundary=line", "Accept": "application/json",
            "Referer": f"http://127.0.0.1:{port}/upload",
        }  # fmt: skip
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
            connection.request("POST", "/upload", body=body, headers=headers)
            answers.append(connection.getresponse().status)


def _send_until_told(port: int, cookies: list[str]) -> None:
    """As `python -m benchmarks.hostile PORT`, cookies on its first line: sends until its input closes, then prints the statuses."""
    end, answers = threading.Event(), list[int]()
    _dear()
    print("ready", flush=True)
    threads = [
        threading.Thread(target=_send, args=(port, cookie, end, answers), kwargs={"first": first})
        for first, cookie in enumerate(cookies)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    end.set()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))


class _Load:
    """Members who send, until it ends, in a process of their own: they are not to hold up whoever measures."""

    def __init__(self, server: Server, cookies: list[str]) -> None:
        self._server, self._cookies, self.answers = server, cookies, list[int]()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.hostile", str(self._server.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write(json.dumps(self._cookies) + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()
        time.sleep(1)
        return self

    def __exit__(self, *_error: object) -> None:
        said, _ = self._process.communicate()
        self.answers = json.loads(said)


def _look(server: Server, seconds: float) -> list[float]:
    """Milliseconds of each page."""
    spent: list[float] = []
    end = time.monotonic() + seconds

    def ask() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            while time.monotonic() < end:
                began = time.perf_counter()
                connection.request("GET", "/", headers={"Cookie": "imgnom_cookies=none"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != http.HTTPStatus.OK:
                    raise RuntimeError(f"/ answered {answer.status}")
                spent.append(1000 * (time.perf_counter() - began))
                time.sleep(PAUSE)

    threads = [threading.Thread(target=ask) for _ in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return spent


def measure(size: Size) -> Section:
    home: Path = copy_of(
        seeded_home(size, comments=size.comments, popular=size.popular_comments), CACHE / "scratch-hostile"
    )
    start_django(home)
    from imgnom.community.members.models import Member

    cookies = [sign_in(pk) for pk in Member.objects.order_by("pk").values_list("pk", flat=True)[:3]]
    seconds = SECONDS if size.requests > 100 else 4.0
    say(f"files of {', '.join(f'{len(one) / 1e6:.0f} MB' for one in _dear())}")
    figures = []
    with serving(ready="/healthz") as server:
        _look(server, 2)
        quiet = quantile(_look(server, seconds), 0.95)
        figures.append(Figure("a gallery page while nobody sends, 95th of 100", quiet, "ms"))
        for many in (1, 3):
            with _Load(server, cookies[:many]) as load:
                p95 = quantile(_look(server, seconds), 0.95)
            taken = load.answers.count(http.HTTPStatus.CREATED)
            what = f"the same while {many} send{'s' if many == 1 else ''} what is dearest ({taken} of {len(load.answers)} taken)"
            figures.append(
                Figure(what, p95, "ms", "while nobody does", p95 / quiet, f"≤ {MOST:g} ×", p95 <= MOST * quiet)
            )
    return Section("hostile", "Dear pictures", " ".join((__doc__ or "").split()), tuple(figures))


if __name__ == "__main__":
    _send_until_told(int(sys.argv[1]), json.loads(sys.stdin.readline()))
