"""The way into production, tried from outside: each step refuses with one clear line, and starts when all is right."""

import http.client
import json
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.live import ROOT, environment, free_port, wide

pytestmark = pytest.mark.xdist_group("production")
SECONDS = 90
POLICY = ROOT / "tests" / "site" / "real_policy"


class Place:
    """A site's folders and variables, before and after `keys init`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.keyring = folder / "keys"
        self.variables = {
            "IMGNOM_KEYRING": str(self.keyring),
            "IMGNOM_BASE_URL": "https://gallery.example",
            "IMGNOM_POLICY": str(POLICY),
            "IMGNOM_MAIL_URL": f"file://{folder}/mail",
        }

    def run(self, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        environ = environment(self.home, **self.variables)
        for name, value in changes.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
        return subprocess.run(
            [sys.executable, "-m", "imgnom", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS,
            umask=0,
        )  # fmt: skip

    def refused(self, *arguments: str, **changes: str | None) -> str:
        done = self.run(*arguments, **changes)
        assert done.returncode != 0, done.stdout
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("imgnom: ")
        assert "Traceback" not in done.stderr
        return lines[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A site whose keyring has been made; copied by who breaks something."""
    place = Place(tmp_path_factory.mktemp("production"))
    done = place.run("keys", "init")
    assert done.returncode == 0, done.stderr
    assert str(place.keyring) in done.stdout
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    copy = Place(tmp_path / "copy")
    shutil.copytree(made.folder, copy.folder)
    return copy


def _ask(port: int, path: str, host: str = "gallery.example") -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


@contextmanager
def _serving(place: Place, host: str = "gallery.example", **changes: str) -> Iterator[int]:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "imgnom", "serve", "--port", str(port)], cwd=ROOT, env=environment(place.home, **(place.variables | changes)),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, umask=0,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                _ask(port, "/healthz", host)
                break
            except OSError:
                assert server.poll() is None, (server.stderr.read() if server.stderr else b"").decode()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


@pytest.mark.clause("I9")
def test_a_new_keyring_is_private_and_outside_the_home(made: Place) -> None:
    names = sorted(file.name for file in made.keyring.iterdir())
    assert names == ["index.key", "kek-1.key", "kind-of-site", "ledger-signing.key", "pepper-1.key", "secret.key"]
    assert made.keyring.stat().st_mode & 0o777 == 0o700
    for file in made.keyring.glob("*.key"):
        assert file.stat().st_mode & 0o777 == 0o600
        raw = file.read_bytes()
        assert not [other for other in made.home.rglob("*") if other.is_file() and raw.strip() in other.read_bytes()]


@pytest.mark.parametrize("missing", ["IMGNOM_KEYRING", "IMGNOM_BASE_URL"])
@pytest.mark.parametrize("command", [("serve", "--port", "1"), ("keys", "init"), ("check",)])
def test_what_is_missing_is_named_and_nothing_is_written(
    tmp_path: Path, command: tuple[str, ...], missing: str
) -> None:
    place = Place(tmp_path)
    assert missing in place.refused(*command, **{missing: None})
    assert not place.keyring.exists()


def test_a_keyring_is_never_made_over_another_nor_for_stores_that_know_one(place: Place) -> None:
    before = {file.name: file.read_bytes() for file in place.keyring.iterdir()}
    assert "not empty" in place.refused("keys", "init")
    assert {file.name: file.read_bytes() for file in place.keyring.iterdir()} == before
    other = place.folder / "other keys"
    assert "knows another keyring" in place.refused("keys", "init", IMGNOM_KEYRING=str(other))
    assert list(other.iterdir()) == []


def test_a_site_without_keyring_does_not_start_and_makes_none(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert "keys init" in place.refused("serve", "--port", str(free_port()))
    assert not place.keyring.exists()


@pytest.mark.clause("I9")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kek-1.key", "00" * 32, "kek-1.key of the keyring belongs to another site or was swapped"), ("kek-1.key", "00" * 8, "was cut"), ("kek-1.key", None, "kek-1.key is missing"),
        ("pepper-1.key", "11" * 32, "pepper-1.key"), ("index.key", "no key", "index.key"), ("ledger-signing.key", None, "ledger-signing.key"),
        ("secret.key", "short", "fewer than 50"), ("secret.key", None, "secret.key is missing"),
    ],
)  # fmt: skip
def test_a_broken_keyring_stops_the_start(place: Place, name: str, content: str | None, said: str) -> None:
    file = place.keyring / name
    if content is None:
        file.unlink()
    else:
        file.write_text(content, encoding="ascii")
    line = place.refused("serve", "--port", str(free_port()))
    assert said in line
    assert file.exists() == (content is not None)


def test_open_home_and_keyring_are_closed_at_start(place: Place) -> None:
    outside = place.folder / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").touch(mode=0o644)
    outside.chmod(0o755)
    (outside / "file").chmod(0o644)
    for each in (place.home, place.keyring, *place.home.rglob("*"), *place.keyring.rglob("*")):
        each.chmod(each.stat().st_mode | (0o055 if each.is_dir() else 0o044))
    (place.home / "link").symlink_to(outside)
    (place.home / "link-to-file").symlink_to(outside / "file")
    told = place.run("check")
    assert (told.returncode, "is open to others" in told.stdout) == (1, True)
    assert "failure permissions" in place.run("doctor").stdout
    with _serving(place):
        assert wide(place.home, place.keyring) == []
    assert [each.stat().st_mode & 0o777 for each in (outside, outside / "file")] == [0o755, 0o644]
    assert "is a link that leads out" in place.run("doctor").stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"IMGNOM_CLOCK_FILE": "/tmp/clock"}, "IMGNOM_CLOCK_FILE"),
        ({"IMGNOM_BASE_URL": "gallery.example"}, "IMGNOM_BASE_URL"),
        ({"IMGNOM_TRUSTED_PROXIES": "everyone"}, "IMGNOM_TRUSTED_PROXIES"),
        ({"IMGNOM_SECRET_KEY_FILE": "/nowhere/secret"}, "/nowhere/secret is missing"),
        ({"IMGNOM_POLICY": "/nowhere"}, "IMGNOM_POLICY"),
        ({"IMGNOM_MODE": "live"}, "IMGNOM_MODE"),
        ({"IMGNOM_VAULT_DATABASE_URL": "sqlite:///nowhere/at/all/vault.sqlite3"}, "/nowhere/at/all/vault.sqlite3"),
        ({"IMGNOM_KEYS_DATABASE_URL": "postgresql://role:geheim@127.0.0.1:9/keys"}, "IMGNOM_KEYS_DATABASE_URL"),
        ({"IMGNOM_LOGS_DATABASE_URL": "postgresql://127.0.0.1:9/logs?sslmode=sometimes"}, "IMGNOM_LOGS_DATABASE_URL"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_a_wrong_value_stops_the_start(made: Place, changes: dict[str, str], said: str) -> None:
    line = made.refused("serve", "--port", str(free_port()), **changes)
    assert said in line
    assert "geheim" not in line


def test_the_keyring_may_not_lie_with_the_data(made: Place) -> None:
    assert "inside each other" in made.refused(
        "serve", "--port", str(free_port()), IMGNOM_KEYRING=str(made.home / "keys")
    )
    assert "inside each other" in made.refused("keys", "init", IMGNOM_KEYRING=str(made.home / "keys"))


def test_demo_and_rehearsal_are_never_pointed_at_a_real_site(place: Place) -> None:
    before = {file: file.read_bytes() for file in place.folder.rglob("*") if file.is_file()}
    for mode in ("demo", "rehearsal"):
        assert "real site" in place.refused("check", IMGNOM_MODE=mode)
    assert "real site" in place.refused("serve", "--demo", "--port", str(free_port()))
    assert "real site" in place.refused(
        "serve", "--demo", "--port", str(free_port()), IMGNOM_HOME=str(place.folder / "new")
    )
    stores = {
        name: f"sqlite://{place.home}/db/{store}.sqlite3"
        for store, name in [("default", "IMGNOM_DATABASE_URL")] + [(s, f"IMGNOM_{s.upper()}_DATABASE_URL") for s in ("logs", "vault", "archive", "keys", "ledger")]
    }  # fmt: skip
    line = place.refused(
        "serve",
        "--demo",
        "--port",
        str(free_port()),
        IMGNOM_HOME=str(place.folder / "third"),
        IMGNOM_KEYRING=None,
        **stores,
    )
    assert "keyring" in line
    after = {file: file.read_bytes() for file in before if file.suffix in (".sqlite3", ".key")}
    assert after == {file: raw for file, raw in before.items() if file in after}


def _policy(place: Place, **changes: str) -> str:
    """The folder of a policy in which one fact of operator or officer is another."""
    folder = place.folder / "another policy"
    folder.mkdir(exist_ok=True)
    facts = tomllib.loads((POLICY / "policy.toml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        table, _, name = key.partition("_")
        facts[table][name] = value
    lines = ['extends = "imgnom"', 'id = "another"']
    for table in ("operator", "officer"):
        lines.append(f"[{table}]")
        for name, value in facts[table].items():
            both = value if isinstance(value, dict) else {"ko": value, "en": value}
            text = json.dumps(value, ensure_ascii=False) if name in ("contact", "email") else None
            lines.append(
                f"{name} = {text or '{ ' + ', '.join(f'{k} = {json.dumps(v, ensure_ascii=False)}' for k, v in both.items()) + ' }'}"
            )
    (folder / "policy.toml").write_text("\n".join(lines), encoding="utf-8")
    return str(folder)


@pytest.mark.clause("A9.1", "A9.2", "A9.3")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("officer_email", "privacy@gallery.example"),
        ("operator_contact", "someone@EXAMPLE.com"),
        ("officer_name", "관리자"),
        ("operator_name", "홍길동"),
        ("operator_phone", "02-000-0000"),
    ],
)
def test_production_refuses_example_contacts_in_one_line(made: Place, key: str, value: str) -> None:
    line = made.refused("serve", "--port", str(free_port()), IMGNOM_POLICY=_policy(made, **{key: value}))
    assert key.replace("_", ".") in line
    assert value in line
    assert "policy.toml" in line


def test_worker_and_wsgi_refuse_what_serve_refuses(made: Place) -> None:
    """The bundled policy names nobody; no mail server; no TLS. Commands that mend a site work all the same."""
    made.run("manage", "migrate")
    for changes, said in (
        ({"IMGNOM_POLICY": None}, "operator.name is 'imgnom 운영자'"),
        ({"IMGNOM_MAIL_URL": None}, "IMGNOM_MAIL_URL must say how mail is sent"),
        ({"IMGNOM_BASE_URL": "http://gallery.kr"}, "set it to the https:// address"),
    ):
        for command in (("serve", "--port", str(free_port())), ("worker",)):
            assert said in made.refused(*command, **changes)
        told = made.run("doctor", **changes)
        assert (told.returncode, "failure " in told.stdout) == (1, True)
    environ = environment(made.home, **(made.variables | {"IMGNOM_BASE_URL": "http://gallery.kr"}))
    done = subprocess.run(
        [sys.executable, "-c", "import imgnom.site.wsgi"], env=environ, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("imgnom: IMGNOM_BASE_URL is http://gallery.kr: set it")


@pytest.mark.clause("A9.1", "A9.2", "A9.3")
def test_board_of_site_whose_mail_reaches_nobody_is_not_green_on_officer(place: Place) -> None:
    with _serving(place) as port:
        deadline = time.monotonic() + SECONDS
        while True:
            rows = {row["id"]: row for row in json.loads(_ask(port, "/privacy/board.json")[2])["clauses"]}
            if rows["A2.0"]["state"] == "green":
                break
            assert time.monotonic() < deadline
            time.sleep(0.3)
        for clause in ("A9.1", "A9.2", "A9.3"):
            assert rows[clause]["state"] == "planned"
            assert "메일을 파일로만 저장" in rows[clause]["evidence"]
        told = {row["what"]: row["state"] for row in json.loads(place.run("doctor", "--json").stdout)["findings"]}
        assert (told["mail"], told["backup"], told["witness"], told["worker"]) == (
            "warning",
            "warning",
            "warning",
            "ok",
        )
        assert told["addresses"] == "ok"


def test_site_made_by_the_steps_in_operating_md_starts(tmp_path: Path) -> None:
    """Word for word, with names that are somebody's and folders of the test."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("## A site of your own")[2]
    policy = page.partition("```toml")[2].partition("```")[0].replace("gallery.example", "moonlight-photos.kr")
    shell = page.partition("```sh")[2].partition("```")[0].replace("gallery.example", "moonlight-photos.kr")
    for folder, name in (("/etc/imgnom/", "etc"), ("/srv/imgnom/", "srv")):
        (tmp_path / name).mkdir()
        shell = shell.replace(folder, f"{tmp_path / name}/")
    (tmp_path / "etc" / "policy").mkdir()
    (tmp_path / "etc" / "policy" / "policy.toml").write_text(policy, encoding="utf-8")
    (tmp_path / "etc" / "mail").write_text("smtp://letters:password@127.0.0.1:9", encoding="utf-8")
    place = Place(tmp_path)
    words = [
        word.partition("=") for line in shell.splitlines() if line.startswith("export ") for word in line.split()[1:]
    ]
    place.variables = {name: value for name, _, value in words}
    place.home = Path(place.variables.pop("IMGNOM_HOME"))
    assert "./run keys init" in shell
    assert place.run("keys", "init").returncode == 0
    assert place.run("policy", "check").returncode == 0
    with _serving(place, "moonlight-photos.kr") as port:
        page = _ask(port, "/privacy", "moonlight-photos.kr")[2].decode()
        assert "officer@moonlight-photos.kr" in page


@pytest.mark.clause("I9")
def test_a_site_over_https(place: Place) -> None:
    """`Secure` and `__Host-`, its own name only, no debug pages, and readyz tells a keyring that goes away."""
    with _serving(place) as port:
        status, headers, _ = _ask(port, "/login")
        assert status == 200
        cookies = headers.get_all("Set-Cookie") or []
        assert cookies
        for cookie in cookies:
            assert cookie.startswith("__Host-")
            assert "Secure" in cookie
            assert "Path=/" in cookie
            assert "Domain" not in cookie
        status, _, content = _ask(port, "/nowhere/at/all")
        assert status == 404
        for word in (b"Traceback", b"URLconf", b"DEBUG", b"settings"):
            assert word not in content
        for host in ("evil.example", "127.0.0.1", "localhost"):
            assert _ask(port, "/", host)[0] == 400
        assert _ask(port, "/demo")[0] == 404
        assert _ask(port, "/outbox")[0] == 404
        assert _ask(port, "/readyz")[0] == 200
        file = place.keyring / "pepper-1.key"
        raw = file.read_bytes()
        file.write_text("00" * 32, encoding="ascii")
        try:
            status, _, content = _ask(port, "/readyz")
            assert status == 503
            assert json.loads(content)["ready"] is False
            assert _ask(port, "/healthz")[0] == 200
        finally:
            file.write_bytes(raw)
        assert _ask(port, "/readyz")[0] == 200


def test_a_site_over_http_says_so_in_its_cookies(place: Place) -> None:
    with _serving(place, "localhost", IMGNOM_BASE_URL="http://localhost:8080") as port:
        status, headers, _ = _ask(port, "/login", "localhost:8080")
        assert status == 200
        for cookie in headers.get_all("Set-Cookie") or []:
            assert cookie.startswith("imgnom_")
            assert "Secure" not in cookie


def test_doctor_and_check_tell_programs(place: Place) -> None:
    place.run("manage", "migrate")
    for verb, key in (("doctor", "findings"), ("check", "invariants")):
        done = place.run(verb, "--json")
        told = json.loads(done.stdout)
        assert done.returncode == 0, done.stdout
        assert verb == "doctor" or all(row["ok"] for row in told[key])
    (place.keyring / "index.key").unlink()
    done = place.run("doctor", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (1, False)
    assert [row["what"] for row in told["findings"] if row["state"] == "failure"] == ["keyring"]
    assert "failure keyring" in place.run("doctor").stdout


@pytest.mark.parametrize("mode", ["production", "demo", "rehearsal", "development"])
def test_debug_is_never_on(tmp_path: Path, mode: str) -> None:
    place = Place(tmp_path)
    look = "import django; django.setup(); from django.conf import settings as s; print(s.DEBUG, s.ALLOWED_HOSTS, s.CSRF_TRUSTED_ORIGINS)"
    if mode == "production":
        assert place.run("keys", "init").returncode == 0
    environ = environment(
        place.home,
        **place.variables,
        IMGNOM_MODE=mode,
        DEBUG="1",
        DJANGO_DEBUG="1",
        DJANGO_SETTINGS_MODULE="imgnom.site.settings",
    )
    if mode in ("demo", "rehearsal"):
        del environ["IMGNOM_KEYRING"]
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.stdout.startswith("False"), done.stderr
    assert "'*'" not in done.stdout
    if mode == "production":
        assert done.stdout == "False ['gallery.example'] ['https://gallery.example']\n"


@pytest.mark.clause("A0.3", "I1")
def test_a_changed_policy_needs_the_operators_approval_before_the_site_starts_with_it(place: Place) -> None:
    folder = place.folder / "policy"
    shutil.copytree(ROOT / "policies" / "imgnom", folder)
    text = (folder / "policy.toml").read_text(encoding="utf-8")
    for shipped, ours in (
        ("privacy@imgnom.example", "privacy@moonlight-photos.kr"),
        ('{ ko = "imgnom 운영자", en = "The operator of imgnom" }', '"Moonlight Photos"'),
        ('{ ko = "관리자", en = "Administrator" }', '"Dalbit Kim"'),
    ):
        text = text.replace(shipped, ours)
    (folder / "policy.toml").write_text(text, encoding="utf-8")
    place.variables["IMGNOM_POLICY"] = str(folder)
    file = folder / "policy.toml"

    def change() -> None:
        file.write_text(
            file.read_text(encoding="utf-8").replace('period = "P3M"', 'period = "P6M"', 1), encoding="utf-8"
        )

    with _serving(place) as port:
        assert "3개월 동안" in _ask(port, "/privacy")[2].decode()
        change()
        assert "3개월 동안" in _ask(port, "/privacy")[2].decode(), "a file changed under a running site changes nothing"
    line = place.refused("serve", "--port", str(free_port()))
    assert "is not the approved one" in line
    version = line.partition("version ")[2][:12]
    assert f"imgnom policy approve {version}" in line
    shown = place.run("policy", "diff")
    assert shown.returncode == 0
    assert "records.identity_after_leaving.period: P3M → P6M" in shown.stdout
    assert place.run("policy", "approve").returncode == 1
    assert place.run("policy", "approve", "0" * 12).returncode == 1
    assert "is not the approved one" in place.refused("serve", "--port", str(free_port()))
    doctor = json.loads(place.run("doctor", "--json").stdout)
    assert [row["state"] for row in doctor["findings"] if row["what"] == "policy"] == ["failure"]
    assert place.run("policy", "approve", version).returncode == 0
    with _serving(place) as port:
        assert "6개월 동안" in _ask(port, "/privacy")[2].decode()
        versions = _ask(port, "/privacy/versions")[2].decode()
        assert versions.count('<li class="sheet stack tight" id="version-') == 2
