"""The demo site as a stranger runs it, with its six stores on PostgreSQL."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest

from imgnom.site.rehearsal.visitor import Visitor
from tests.live import Site, running
from tests.site.test_contract import PASSWORD, code_for, fields_of, jpeg

pytestmark = pytest.mark.xdist_group("live on PostgreSQL")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, fresh_urls: dict[str, str]) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("postgres") / "home", "--demo", IMGNOM_MODE="demo", **fresh_urls) as one:
        yield one


def _rows(urls: dict[str, str], store: str, question: str) -> list[tuple[object, ...]]:
    variable = "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"
    with psycopg.connect(urls[variable].partition("?")[0]) as connection:
        return connection.execute(question).fetchall()


@pytest.mark.clause("A1.1", "A2.1", "A3.1", "A4.1①", "A4.2", "A7.2b")
def test_a_whole_life_on_postgresql(site: Site, fresh_urls: dict[str, str]) -> None:
    browser = Visitor(site.port, agent="Mozilla/5.0 PostgreSQL")
    assert browser.post("/signup", fields_of("pgsql")).status == 303
    assert browser.post("/signup/confirm", {"code": code_for(site, "pgsql@example.org")}).status == 303
    answer = browser.upload({"title": "강가", "tags": "하나, 둘", "visibility": "public"}, [("a.jpg", jpeg())])
    assert answer.status == 201
    name = answer.json()["files"][0]["id"]
    assert "pgsql@example.org" in browser.get("/me/privacy").text
    assert _rows(fresh_urls, "vault", "SELECT count(*) FROM vault_blindindex WHERE item = 'email'") != [(0,)]

    left = browser.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    assert left.status == 303
    number = left.location.rpartition("/")[2]
    assert Visitor(site.port, agent="x").get(f"/i/{name}").status == 404
    again = Visitor(site.port, agent="x").post("/login", {"login": "pgsql-login", "password": PASSWORD})
    assert again.status == 422
    kept = _rows(fresh_urls, "archive", "SELECT DISTINCT record FROM archive_archivedvalue")
    assert kept == [("identity_after_leaving",)]

    clock = site.home / "clock"
    later = datetime.fromisoformat(browser.get(f"/receipt/{number}.json").json()["withdrawn_at"]) + timedelta(days=120)
    clock.write_text(later.isoformat(), encoding="utf-8")
    ran = site.command("retention", "run", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["errors"] == {}
    assert _rows(fresh_urls, "archive", "SELECT count(*) FROM archive_archivedvalue") == [(0,)]
    receipt = Visitor(site.port, agent="x").get(f"/receipt/{number}.json").json()
    states = {line["record"]: line["state"] for line in receipt["lines"]}
    assert states["identity_after_leaving"] == "destroyed"

    for command in (["ledger", "verify"], ["check"], ["doctor"], ["keys", "status"]):
        done = site.command(*command, "--json")
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.clause("A1.1")
def test_no_store_holds_a_readable_address(site: Site, fresh_urls: dict[str, str]) -> None:
    browser = Visitor(site.port, agent="Mozilla/5.0 PostgreSQL")
    assert browser.post("/signup", fields_of("hunted")).status == 303
    assert browser.post("/signup/confirm", {"code": code_for(site, "hunted@example.org")}).status == 303
    for variable, url in fresh_urls.items():
        with psycopg.connect(url.partition("?")[0]) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                rows = connection.execute(f'SELECT t::text FROM "{table}" t').fetchall()
                assert not [r for (r,) in rows if re.search("hunted@|hunted-login", r)], (variable, table)


def test_a_crowd_is_served_by_a_bounded_number_of_connections(site: Site, fresh_urls: dict[str, str]) -> None:
    """Web and worker hold at most a pool each; the parent that watches them holds none."""
    with ThreadPoolExecutor(24) as crowd:
        answers = list(crowd.map(lambda _: Visitor(site.port, agent="x").get("/").status, range(120)))
    assert set(answers) == {200}
    question = "SELECT datname, count(*) FROM pg_stat_activity GROUP BY datname"
    names = {url.partition("?")[0].rpartition("/")[2] for url in fresh_urls.values()}
    open_now = {str(name): int(str(count)) for name, count in _rows(fresh_urls, "vault", question) if name in names}
    assert set(open_now) == names
    assert max(open_now.values()) <= 2 * 4 + 1, "and the one that asks"
