"""Pages while others send or read slowly: what everybody else notices, and how soon the slow ones are closed.

Visitors ask for gallery pages with short pauses while nobody is slow, and while eight clients send a body at a few bytes a
second and eight ask for an original of 21 MB and do not read it: strangers from one address, strangers from many, and members who
upload. Then each slow connection is watched until the site closes it. The same behind nginx and Caddy as docs/operating.md
configures them, where they are installed. All limits are those of a site.
"""

import http.client
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.figures import Figure, Section, Size, quantile
from benchmarks.home import CACHE, NOW, copy_of, say, start_django
from benchmarks.pages import seeded_home, sign_in
from benchmarks.proxies import PROXIES, connect, is_here, proxied
from benchmarks.server import free_port, serving

MOST, CLOSED_SECONDS = 2.0, 60.0
SLOW, VISITORS, SECONDS, PAUSE = 8, 4, 12.0, 0.03
LIMITS = {"upload_paths": ["/upload"], "max_upload_bytes": 193 * 1024 * 1024}
type Open = Callable[[str], socket.socket]


def _large_original(member_id: int) -> str:
    """The id of a public picture whose original has 21 MB."""
    import numpy as np
    import pyvips

    from imgnom.community.images.models import Image
    from imgnom.community.images.public import upload_file

    side = 2_650
    noise = np.random.default_rng(5).integers(0, 256, (side, side, 3), dtype=np.uint8)
    content = pyvips.Image.new_from_memory(noise.tobytes(), side, side, 3, "uchar").pngsave_buffer(compression=1)
    upload_file(
        content=content, title="large", description="", alt="", tags="", visibility="public", by_member=member_id, now=NOW
    )  # fmt: skip
    return str(Image.objects.latest("pk").public_id)


def _look(port: int, seconds: float) -> list[float]:
    """Milliseconds of each page of the site itself, or through a proxy when `port` is one's."""
    spent: list[float] = []
    end = time.monotonic() + seconds

    def ask() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
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


def _plain(port: int) -> Open:
    return lambda address: socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0))


class _Slow:
    """Eight senders and eight readers. `watch` returns after how many seconds each was closed, None for one that was not."""

    def __init__(self, stack: ExitStack, open_one: Open, host: str, picture: str, *, many: bool, cookie: str) -> None:
        path = "/upload" if cookie else "/login"
        kind = "multipart/form-data; boundary=line" if cookie else "application/x-www-form-urlencoded"
        base = f"Host: {host}\r\nCookie: imgnom_cookies=none; {cookie}\r\n"
        post = f"POST {path} HTTP/1.1\r\n{base}Content-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n"
        get = f"GET /media/{picture}/original HTTP/1.1\r\n{base}\r\n"
        self._senders, self._readers = [], []
        for number in range(SLOW):
            address = f"127.0.{20 + number}.{number + 1}" if many else "127.0.0.1"
            self._senders.append(stack.enter_context(open_one(address)))
            self._senders[-1].sendall(post.encode())
            reader = stack.enter_context(open_one(address))
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            reader.sendall(get.encode())
            self._readers.append(reader)
        self._began = time.monotonic()
        self._closed: dict[socket.socket, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def _go_on(self) -> None:
        waiting = select.poll()
        for line in self._readers:
            waiting.register(line, 0)
        while not self._end.is_set() and len(self._closed) < 2 * SLOW:
            gone = {fd for fd, _ in waiting.poll(0)}
            for line in self._readers:
                if line.fileno() in gone and line not in self._closed:
                    self._closed[line] = time.monotonic() - self._began
            for line in self._senders:
                if line not in self._closed and not self._sends(line):
                    self._closed[line] = time.monotonic() - self._began
            self._end.wait(0.2)

    @staticmethod
    def _sends(line: socket.socket) -> bool:
        try:
            line.sendall(b"a")
            if select.select([line], [], [], 0)[0]:
                return bool(line.recv(65536))
        except OSError:
            return False
        return True

    def end(self) -> None:
        self._end.set()
        self._thread.join()

    def watch(self) -> tuple[list[float], list[float]]:
        """Seconds of the senders and of the readers that were closed."""
        self._thread.join(max(0.0, self._began + CLOSED_SECONDS + 10 - time.monotonic()))
        self.end()
        senders, readers = (
            [self._closed[one] for one in lines if one in self._closed] for lines in (self._senders, self._readers)
        )
        return senders, readers


def _held_connections(port: int) -> int:
    """How many established connections the server on this port has (Linux)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def _seconds_until_free(port: int) -> float:
    began = time.monotonic()
    while _held_connections(port) and time.monotonic() < began + CLOSED_SECONDS + 10:
        time.sleep(0.2)
    return time.monotonic() - began


def _p95s(what: str, port: int, seconds: float) -> Iterator[Figure]:
    """Latency of pages without slow clients, and again with them."""
    quiet = quantile(_look(port, seconds), 0.95)
    yield Figure(f"{what}: a gallery page while nobody is slow, 95th of 100", quiet, "ms")
    time.sleep(1)
    p95 = quantile(_look(port, seconds), 0.95)
    yield Figure(
        f"{what}: while 8 send and 8 read slowly", p95, "ms", "while nobody is", p95 / quiet, f"≤ {MOST:g} ×", p95 <= MOST * quiet
    )  # fmt: skip


def _directly(what: str, port: int, picture: str, seconds: float, *, many: bool, cookie: str) -> Iterator[Figure]:
    p95s = _p95s(what, port, seconds)
    yield next(p95s)
    with ExitStack() as stack:
        slow = _Slow(stack, _plain(port), f"127.0.0.1:{port}", picture, many=many, cookie=cookie)
        yield next(p95s)
        for kind, closed in zip(("senders", "readers"), slow.watch(), strict=True):
            last, met = max(closed, default=0.0), len(closed) == SLOW and max(closed) <= CLOSED_SECONDS
            yield Figure(
                f"{what}: the last of {len(closed)} closed slow {kind}",
                last,
                "s",
                target=f"all {SLOW} within {CLOSED_SECONDS:g} s",
                met=met,
            )


def _behind(proxy: str, picture: str, seconds: float) -> Iterator[Figure]:
    """A proxy may keep a client that costs the site nothing: what counts is when the site is free of all of them.

    Caddy holds a body back until it has four kilobytes of it, so the site may see readers only.
    """
    folder, port, what = CACHE / f"proxy-{proxy}", free_port(), f"behind {proxy}"
    shutil.rmtree(folder, ignore_errors=True)
    with (
        serving(ready="/healthz", limits=LIMITS, proxies=["127.0.0.1/32"]) as server,
        proxied(proxy, folder, site_port=server.port, port=port),
        ExitStack() as stack,
    ):
        _look(server.port, 2)
        p95s = _p95s(what, server.port, seconds)
        yield next(p95s)
        began = time.monotonic()
        slow = _Slow(stack, lambda address: connect(port, address), f"localhost:{port}", picture, many=True, cookie="")
        held = 0
        while held < 2 * SLOW and time.monotonic() < began + 10:
            held = max(held, _held_connections(server.port))
        yield next(p95s)
        _seconds_until_free(server.port)
        free, met = time.monotonic() - began, held >= SLOW and not _held_connections(server.port)
        slow.end()
        yield Figure(
            f"{what}: the site is free of the {held} connections of slow clients", free, "s", target=f"within {CLOSED_SECONDS:g} s", met=met and free <= CLOSED_SECONDS
        )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)


def measure(size: Size) -> Section:
    home: Path = copy_of(
        seeded_home(size, comments=size.comments, popular=size.popular_comments), CACHE / "scratch-slow"
    )
    start_django(home)
    from imgnom.community.members.models import Member

    member = Member.objects.order_by("pk").values_list("pk", flat=True)[0]
    picture, cookie = _large_original(member), sign_in(member)
    seconds = SECONDS if size.requests > 100 else 6.0
    figures: list[Figure] = []
    with serving(ready="/healthz", limits=LIMITS) as server:
        _look(server.port, 2)
        for what, many, who in (
            ("strangers, one address", False, ""), ("strangers, many addresses", True, ""), ("members, many addresses", True, cookie),
        ):  # fmt: skip
            say(what)
            figures += _directly(what, server.port, picture, seconds, many=many, cookie=who)
    for proxy in filter(is_here, PROXIES):
        say(proxy)
        figures += _behind(proxy, picture, seconds)
    return Section("slow", "Slow clients", " ".join((__doc__ or "").split()), tuple(figures))
