"""A site whose web server has lesser roles on PostgreSQL, lived through by somebody who leaves; then the server's whole
folder is searched for what they were (A4.1①, A4.2, threats P11).
"""

import fcntl
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from imgnom.site.database_roles import RIGHTS
from imgnom.site.rehearsal.hunt import forms_of
from imgnom.site.rehearsal.visitor import Visitor
from tests.environment import POSTGRES
from tests.live import ROOT, Site, environment, free_port, running
from tests.site.test_contract import PASSWORD, code_for, fields_of, jpeg

STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
WORD = secrets.token_hex(12)
NAME = f"k{secrets.token_hex(5)}"


def _variable(store: str) -> str:
    return "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"


def _url(urls: dict[str, str], store: str, *, role: str = "", word: str = "") -> str:
    """Of a store's database, for its owner or for another role; the superuser has the owner's word."""
    url = urls[_variable(store)].partition("?")[0]
    owner, _, rest = url.removeprefix("postgresql://").partition(":")
    own_word, _, place = rest.partition("@")
    return f"postgresql://{role or owner}:{word or own_word}@{place}"


def _as_super(urls: dict[str, str], store: str) -> psycopg.Connection[Any]:
    return psycopg.connect(_url(urls, store, role="postgres"), autocommit=True)


def _as_web(urls: dict[str, str], store: str) -> psycopg.Connection[Any]:
    return psycopg.connect(_url(urls, store, role=f"imgnom_{store}_web", word=WORD), autocommit=True)


@pytest.fixture(scope="module")
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Roles belong to the whole server: of several test processes one has them at a time."""
    with (tmp_path_factory.getbasetemp().parent / "roles.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def variables(
    _alone: None, tmp_path_factory: pytest.TempPathFactory, fresh_urls: dict[str, str]
) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("roles")
    (folder / "word").write_text(WORD)
    (folder / "clock").write_text("2028-03-05T12:00:00+09:00")
    # The owner's URL stands in a file, as on a real site: the web server's process must not be led to it.
    (folder / "vault").write_text(fresh_urls["IMGNOM_VAULT_DATABASE_URL"])
    urls = {name: url for name, url in fresh_urls.items() if name != "IMGNOM_VAULT_DATABASE_URL"}
    yield {
        "IMGNOM_MODE": "rehearsal", "IMGNOM_CLOCK_FILE": str(folder / "clock"), "IMGNOM_WEB_DATABASE_PASSWORD_FILE": str(folder / "word"),
        "IMGNOM_VAULT_DATABASE_URL_FILE": str(folder / "vault"), **urls,
    }  # fmt: skip
    for store in STORES:
        with _as_super(fresh_urls, store) as link:
            link.execute(f"DROP OWNED BY imgnom_{store}_web")
            link.execute(f"DROP ROLE imgnom_{store}_web")


def _command(home: Path, variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imgnom", *words], cwd=ROOT, env=environment(home, **variables), capture_output=True, text=True, check=False, timeout=120
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str], fresh_urls: dict[str, str]
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("roles-home") / "home"
    refused = _command(home, variables, "serve", "--port", str(free_port()))
    assert refused.returncode == 1
    assert "the server knows no role imgnom_default_web" in refused.stderr
    done = _command(home, variables, "database", "roles", "--json")
    assert done.returncode == 0, done.stderr
    assert WORD not in done.stdout
    for store, sql in json.loads(done.stdout)["sql"].items():
        for _ in range(2):  # running it again is harmless
            with _as_super(fresh_urls, store) as link:
                link.execute(sql)
    with running(home, **variables) as one:
        yield one


def _until(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _found(folder: Path, patterns: dict[bytes, str]) -> set[str]:
    """The names of the patterns that stand anywhere in the server's files."""
    left, found = dict(patterns), set()
    for file in folder.rglob("*"):
        try:
            content = file.read_bytes() if file.is_file() else b""
        except FileNotFoundError:
            continue
        found |= {f"{name} in {file.relative_to(folder)}" for pattern, name in left.items() if pattern in content}
    return found


@pytest.mark.clause("A4.1①", "A4.2", "A3.1", "A7.2b", "I9")
def test_a_life_under_lesser_roles_leaves_no_byte_in_the_servers_folder(
    site: Site, variables: dict[str, str], fresh_urls: dict[str, str]
) -> None:
    agent = f"Mozilla/5.0 {NAME}-agent"
    browser = Visitor(site.port, agent=agent)
    assert browser.post("/signup", fields_of(NAME)).status == 303
    assert browser.post("/signup/confirm", {"code": code_for(site, f"{NAME}@example.org")}).status == 303
    sent = browser.upload({"title": f"{NAME}-title", "tags": "강", "visibility": "public"}, [("a.jpg", jpeg())])
    assert sent.status == 201, sent.text
    picture = sent.json()["files"][0]["id"]
    assert browser.post(f"/i/{picture}/comments", {"body": f"{NAME}-words"}, page=f"/i/{picture}").status == 303
    assert f"{NAME}@example.org" in browser.get("/me/privacy").text, "the web server reveals, under its own role"
    for page in ("/", f"/i/{picture}", "/me/records", "/me/consents", "/privacy", "/privacy/board", "/readyz"):
        assert browser.get(page).status == 200, page
    assert browser.post("/logout", {}, page="/").status == 303
    wrong = Visitor(site.port, agent=agent).post("/login", {"login": f"{NAME}-login", "password": "nothing like it"})
    assert wrong.status == 422
    assert browser.post("/login", {"login": f"{NAME}-login", "password": PASSWORD}).status == 303

    with _as_super(fresh_urls, "default") as link:
        users = {
            name
            for (name,) in link.execute("SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'imgnom%'")
        }
        folder = Path(link.execute("SHOW data_directory").fetchone()[0])
    assert {f"imgnom_{store}_web" for store in ("default", "logs", "vault", "keys", "ledger")} <= users

    with _as_super(fresh_urls, "logs") as link:
        parts = "SELECT DISTINCT tableoid::regclass::text FROM visits_accessrecord"
        _until(lambda: link.execute(parts).fetchall() == [("visits_accessrecord_2028_03",)])

    canaries: dict[bytes, str] = {}
    for end in ("-login", "nick", "@example.org", "-title", "-words", "-agent"):
        canaries |= {
            pattern: f"{end} ({form})" for pattern, form in forms_of(NAME + end).items() if form in ("plain", "hex")
        }
    with (
        _as_super(fresh_urls, "vault") as vault,
        _as_super(fresh_urls, "keys") as keys,
        _as_super(fresh_urls, "archive") as archive,
    ):
        subject = vault.execute("SELECT subject FROM vault_sealedvalue LIMIT 1").fetchone()[0]
        canaries |= {bytes(row): "sealed" for (row,) in vault.execute("SELECT sealed FROM vault_sealedvalue")}
        canaries |= {row.encode(): "index" for (row,) in vault.execute("SELECT digest FROM vault_blindindex")}
        canaries |= {
            bytes(row): "wrapped"
            for (row,) in keys.execute("SELECT wrapped FROM keys_datakey WHERE owner = %s", [subject])
        }
        # Asked while they live: a key's row may be overwritten before the server ever writes it to its file.
        keys.execute("CHECKPOINT")
        seen = {name.partition(" in ")[0] for name in _found(folder, canaries)}

        assert browser.post("/me/withdraw", {"content": "delete", "confirm": "yes"}).status == 303
        _until(lambda: bool(archive.execute("SELECT count(*) FROM archive_archivedvalue").fetchone()[0]))
        for (row,) in archive.execute("SELECT sealed FROM archive_archivedvalue"):
            canaries[bytes(row)] = "sealed, archived"
        canaries |= {
            bytes(row): "wrapped, archived"
            for (row,) in keys.execute("SELECT wrapped FROM keys_datakey WHERE klass = 'archive'")
        }
        archive.execute("CHECKPOINT")
    seen |= {name.partition(" in ")[0] for name in _found(folder, canaries)}
    assert {
        "nick (plain)",
        "-title (plain)",
        "sealed",
        "index",
        "wrapped",
        "sealed, archived",
        "wrapped, archived",
    } <= seen

    with _as_super(fresh_urls, "default") as link:
        _until(lambda: link.execute("SELECT state FROM retention_withdrawal").fetchone()[0] == "done")
    clock = Path(variables["IMGNOM_CLOCK_FILE"])
    clock.write_text((datetime.fromisoformat(clock.read_text()) + timedelta(days=6 * 366)).isoformat())
    ran = site.command("retention", "run", "--json")
    assert ran.returncode == 0, ran.stderr
    facts = json.loads(ran.stdout)
    assert facts["errors"] == {}
    assert facts["residue"] == {}
    with _as_super(fresh_urls, "logs") as link:
        whole = link.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'visits_accessrecord'::regclass"
        )
        assert ("visits_accessrecord_2028_03",) not in whole.fetchall(), "its last day has ended"
    # Nothing of it is anywhere: tables, indexes, statistics, the server's log and what it wrote about errors.
    assert _found(folder.parent, canaries) == set()
    told = json.loads(site.command("doctor", "--json").stdout)["findings"]
    assert [row["words"] for row in told if row["what"].startswith("roles")] == [
        "each store has its own, and the web server lesser ones"
    ]


@pytest.mark.clause("A4.1①", "I9")
@pytest.mark.parametrize(
    ("store", "statement"),
    [
        ("archive", "SELECT 1 FROM archive_archivedvalue"),
        ("archive", "INSERT INTO archive_archivedvalue DEFAULT VALUES"),
        ("archive", "SELECT 1 FROM outbox_outbox"),
        ("ledger", "UPDATE ledger_leaf SET payload = ''"),
        ("ledger", "DELETE FROM ledger_leaf"),
        ("ledger", "INSERT INTO ledger_leaf DEFAULT VALUES"),
        ("ledger", "DELETE FROM outbox_outbox"),
        ("ledger", "DELETE FROM ledger_intent"),
        ("ledger", "INSERT INTO ledger_checkpoint DEFAULT VALUES"),
        ("logs", "DELETE FROM visits_accessrecord"),
        ("logs", "SELECT 1 FROM visits_accessrecord_others"),
        ("logs", "INSERT INTO visits_accessrecord_others DEFAULT VALUES"),
        ("logs", "CREATE TABLE visits_accessrecord_2100_01 (id int)"),
        ("logs", "UPDATE visits_accessrecord SET route = ''"),
        ("logs", "UPDATE visits_recordday SET ends_at = NULL"),
        ("vault", "DELETE FROM vault_fence"),
        ("vault", "UPDATE consent_consent SET given = true"),
        ("vault", "UPDATE consent_policyversion SET digest = ''"),
        ("keys", "UPDATE keys_datakey SET owner = ''"),
        ("keys", "DELETE FROM keys_destroyedkey"),
        ("default", "INSERT INTO proofs_evidence DEFAULT VALUES"),
        ("default", "UPDATE moderation_handlerrecord SET at = now()"),
        ("default", "INSERT INTO moderation_rightgrant DEFAULT VALUES"),
        ("default", "TRUNCATE images_image CASCADE"),
        ("vault", "CREATE TABLE mine (x int)"),
        ("keys", "SELECT pg_switch_wal()"),
    ],
)
def test_postgresql_refuses_the_web_servers_role(
    site: Site, fresh_urls: dict[str, str], store: str, statement: str
) -> None:
    with _as_web(fresh_urls, store) as link, pytest.raises(psycopg.errors.InsufficientPrivilege):
        link.execute(statement)


@pytest.mark.clause("I9")
@pytest.mark.parametrize("role", ["", "_web"])
def test_no_role_reaches_two_stores(site: Site, fresh_urls: dict[str, str], role: str) -> None:
    for one in STORES:
        for other in STORES:
            if one != other:
                word = WORD if role else ""
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    psycopg.connect(_url(fresh_urls, other, role=f"imgnom_{one}{role}", word=word))


def test_the_web_servers_process_holds_no_owners_word(site: Site, fresh_urls: dict[str, str]) -> None:
    owners = fresh_urls["IMGNOM_KEYS_DATABASE_URL"].partition("@")[0].rpartition(":")[2]
    environs = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, environ = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"IMGNOM_HOME={site.home}".encode() in environ and b"imgnom.site.server" in words:
            environs[folder.name] = environ
    assert environs
    assert not [pid for pid, environ in environs.items() if owners.encode() in environ or b"_WEB_DATABASE" in environ]


@pytest.mark.clause("I9")
def test_doctor_finds_a_right_too_many_and_a_start_takes_it_back(site: Site, fresh_urls: dict[str, str]) -> None:
    with psycopg.connect(_url(fresh_urls, "archive"), autocommit=True) as owner:
        owner.execute("GRANT SELECT ON archive_archivedvalue TO imgnom_archive_web")
    told = site.command("doctor").stdout
    assert "roles, archive: the web server's role may do more than it must: SELECT on archive_archivedvalue" in told
    with psycopg.connect(_url(fresh_urls, "archive"), autocommit=True) as owner:
        owner.execute("REVOKE SELECT ON archive_archivedvalue FROM imgnom_archive_web")


def test_every_table_that_has_rights_exists(site: Site, fresh_urls: dict[str, str]) -> None:
    for store, rights in RIGHTS.items():
        with _as_super(fresh_urls, store) as link:
            there = {name for (name,) in link.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        assert set(rights) - {""} <= there


def test_the_throw_away_server_is_the_one_that_is_searched() -> None:
    with psycopg.connect(POSTGRES.format(store="default")) as link:
        assert link.execute("SHOW wal_recycle").fetchone() == ("off",)
