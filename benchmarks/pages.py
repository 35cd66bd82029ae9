"""CPU time of a page in the whole application, every visit recorded: over a socket in the web server's process, and
through the WSGI door in this process.

Held against the floor: Django answering thirteen bytes without middleware, served and measured the same way in the same
run. The targets were set on another machine, where that floor costs 0.12 ms over a socket; a page's milliseconds are
scaled by it before they are compared with a target.
"""

import io
import random
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Section, Size, cpu_ms_each
from benchmarks.home import CACHE, NOW, copy_of, say, schema_mark, start_django
from benchmarks.peers import FLOOR_THERE_MS, beside_peers
from benchmarks.server import serving

DEEP_PAGES = 400
MAX_MIB = 150


def seeded_home(size: Size, *, comments: int, popular: int) -> Path:
    """A home with the community in it, made once and kept beside the benchmarks."""
    name = f"community-{size.pictures}-{comments}"
    home = CACHE / f"{name}-{schema_mark()}"
    if (home / "seeded").exists():
        return home
    for stale in CACHE.glob(f"{name}*"):
        shutil.rmtree(stale)
    import subprocess
    import sys

    code = (
        "from pathlib import Path; from benchmarks.home import start_django; from benchmarks.seed import seed_community; "
        f"start_django(Path({str(home)!r})); seed_community(pictures={size.pictures}, comments={comments}, "
        f"members={size.members}, popular_comments={popular})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    (home / "seeded").touch()
    return home


class Browser:
    """Asks the application as a web server would, without a socket."""

    def __init__(self, application: Callable[..., Any], *, cookie: str = "") -> None:
        self._application, self.cookie = application, cookie

    def get(self, path: str) -> bytes:
        """The body of a 200; anything else ends the benchmark."""
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "127.0.0.1:8000", "HTTP_ACCEPT_LANGUAGE": "ko",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "HTTP_COOKIE": "imgnom_cookies=none; " + self.cookie, "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        }  # fmt: skip
        seen: list[str] = []
        answer = self._application(environ, lambda status, _headers: seen.append(status))
        body = b"".join(answer)
        answer.close()
        if not seen[0].startswith("200"):
            raise RuntimeError(f"{path} answered {seen[0]}")
        return body


def sign_in(member_id: int) -> str:
    """The cookie of a session begun as the sign-in page begins one."""
    from django.conf import settings
    from django.http import HttpRequest

    from imgnom.community.members.enter import start_session
    from imgnom.community.members.models import Member
    from imgnom.site.sessions import SessionStore

    request: Any = HttpRequest()
    request.session, request.now = SessionStore(), NOW
    start_session(request, Member.objects.get(pk=member_id))
    request.session.save()
    return f"{settings.SESSION_COOKIE_NAME}={request.session.session_key}"


def floor_ms(size: Size) -> float:
    """Django's own request handling for thirteen bytes, without middleware."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.test.utils import override_settings
    from django.urls import path as route

    urls = type("Urls", (), {"urlpatterns": [route("bare", lambda _request: HttpResponse(b"hello, world!"))]})
    with override_settings(MIDDLEWARE=[], ROOT_URLCONF=urls):
        browser = Browser(WSGIHandler())
        calls = [partial(browser.get, "/bare")] * (size.requests * 10)
        return cpu_ms_each(calls, rounds=size.rounds)


def queries_of(get: Callable[[], object]) -> int:
    from django.db import connections, reset_queries

    for connection in connections.all():
        connection.force_debug_cursor = True
    reset_queries()
    get()
    count = sum(
        not q["sql"].startswith(("PRAGMA", "BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")) for c in connections.all() for q in c.queries_log
    )  # fmt: skip
    for connection in connections.all():
        connection.force_debug_cursor = False
    return count


def _cursors(pages: int) -> list[str]:
    from imgnom.community.images.public import visible_images
    from imgnom.community.images.queries import PAGE

    numbers = list(visible_images().order_by("-pk").values_list("pk", flat=True)[: pages * PAGE : PAGE])
    return [f"/?after={number}" for number in numbers[1:]]


def _picture_pages() -> tuple[str, list[str]]:
    """The picture with very many comments, and pictures with about ten."""
    from django.db.models import Count

    from imgnom.community.comments.models import Comment
    from imgnom.community.images.models import Image

    popular = Image.objects.order_by("position").values_list("public_id", flat=True)[0]
    some = Comment.objects.values("image").annotate(n=Count("id")).filter(n=10).values_list("image", flat=True)
    found = list(Image.objects.filter(pk__in=list(some[:300])).values_list("public_id", flat=True))
    return f"/i/{popular}", [f"/i/{name}" for name in found]


def _few_comments_ms(size: Size) -> float:
    """CPU ms of a picture page where the site has a hundredth of the comments; in a process of its own."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.few", "quick" if size.requests < 100 else "whole"], check=True, capture_output=True, text=True
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def _over_a_socket(size: Size, lists: list[str], ten: list[str], cookie: str) -> list[Figure]:
    """The pages that have targets, and the floor, each in a server of its own."""
    dice = random.Random(13)
    with serving(ready="/bare", module="benchmarks.floor") as server:
        floor = server.cpu_ms_each(["/bare"] * (size.requests * 20), rounds=size.rounds)
    found = [Figure("the floor: Django, 13 bytes, no middleware", floor, "CPU ms")]
    with serving(ready="/healthz") as server:
        for what, paths, who, limit in (
            ("gallery, a visitor", lists, "", 2.0), ("gallery, a member", lists, cookie, 3.0),
            ("picture with 10 comments, a visitor", ten, "", 3.0), ("picture with 10 comments, a member", ten, cookie, 3.0),
        ):  # fmt: skip
            say(f"over a socket: {what}")
            asked = [dice.choice(paths) for _ in range(size.requests)]
            ms = server.cpu_ms_each(asked, rounds=size.rounds, cookie=who)
            scaled = ms * FLOOR_THERE_MS / floor
            target = f"≤ {limit / FLOOR_THERE_MS:.0f} × ({limit} ms at a floor of {FLOOR_THERE_MS})"
            found.append(Figure(what, ms, "CPU ms", "the floor", ms / floor, target, scaled <= limit))
            found += beside_peers(what, ms, floor)
        mib = server.memory_mib()
        found.append(
            Figure(
                "memory of a web worker after all of these", mib, "MiB", target=f"≤ {MAX_MIB} MiB", met=mib <= MAX_MIB
            )
        )
    return found


def measure(size: Size) -> Section:
    few = seeded_home(size, comments=size.comments // 100, popular=0)
    home = copy_of(seeded_home(size, comments=size.comments, popular=size.popular_comments), CACHE / "scratch-pages")
    copy_of(few, CACHE / "scratch-few")
    few_ms = _few_comments_ms(size)
    start_django(home)
    from imgnom.community.members.models import Member
    from imgnom.community.visits.public import writer
    from imgnom.site.wsgi import application

    dice = random.Random(11)
    floor = floor_ms(size)
    visitor = Browser(application)
    members = [Browser(application, cookie=sign_in(pk)) for pk in Member.objects.values_list("pk", flat=True)[:50]]
    lists = ["/", *_cursors(20)]
    deep = _cursors(min(DEEP_PAGES, size.pictures // 40 - 1))[-1]
    popular, ten = _picture_pages()
    some = range(size.requests)
    asked: dict[str, list[Callable[[], object]]] = {
        "gallery, a visitor": [partial(visitor.get, dice.choice(lists)) for _ in some],
        "gallery, a member": [partial(dice.choice(members).get, dice.choice(lists)) for _ in some],
        "first page": [partial(visitor.get, "/")] * size.requests,
        "deep page": [partial(visitor.get, deep)] * size.requests,
        "picture with 10 comments, a visitor": [partial(visitor.get, dice.choice(ten)) for _ in some],
        "picture with 10 comments, a member": [partial(dice.choice(members).get, dice.choice(ten)) for _ in some],
        "picture with very many comments": [partial(visitor.get, popular)] * size.requests,
    }
    cost: dict[str, float] = {}
    for what, calls in asked.items():
        say(what)
        cost[what] = cpu_ms_each([*calls, partial(writer().flush, within_seconds=30)], rounds=size.rounds)
    figures = [*_over_a_socket(size, lists, ten, members[0].cookie)]
    figures.append(Figure("in process: the floor", floor, "CPU ms"))
    figures += [Figure(f"in process: {what}", ms, "CPU ms", "the floor", ms / floor) for what, ms in cost.items()]
    pairs = (
        ("deep page", "first page", cost["deep page"], cost["first page"], 1.2),
        (
            f"picture page at {size.comments} comments", f"the same at {size.comments // 100}", cost["picture with 10 comments, a visitor"], few_ms, 1.2,
        ),
    )  # fmt: skip
    for what, against, mine, other, limit in pairs:
        figures.append(
            Figure(what, mine, "CPU ms", against, mine / other, f"≤ {limit} ×", mine <= limit * other)
        )  # fmt: skip
    for what, browser, path in (
        ("gallery, a visitor", visitor, lists[1]), ("gallery, a member", members[0], lists[1]), ("picture page, a visitor", visitor, ten[0]),
        ("picture page, a member", members[0], ten[0]),
    ):  # fmt: skip
        count = queries_of(partial(browser.get, path))
        figures.append(Figure(f"queries: {what}", count, "queries", target="≤ 6", met=count <= 6))
    tiles = len(re.findall(rb'href="/i/', visitor.get("/")))
    figures.append(Figure("pictures on a gallery page", tiles, "pictures"))
    return Section("pages", "Pages", " ".join((__doc__ or "").split()), tuple(figures))
