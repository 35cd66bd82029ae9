"""Every variable: read once, also from a file, and one clear line for a wrong value."""

import os
from pathlib import Path

import pytest

from imgnom.site.databases import _where, databases
from imgnom.site.environment import Environment, EnvironmentError_, mode_file, read_environment
from imgnom.site.home import prepare_home
from imgnom.site.secret import read_secret_key

PRODUCTION = {
    "IMGNOM_HOME": "/srv/imgnom/data",
    "IMGNOM_KEYRING": "/etc/imgnom/keys",
    "IMGNOM_BASE_URL": "https://gallery.example",
}


def read(**variables: str) -> Environment:
    return read_environment(PRODUCTION | variables)


def refused(**variables: str) -> str:
    with pytest.raises(EnvironmentError_) as error:
        databases(read(**variables))
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 300
    return line


def test_production_is_the_default_and_needs_three_things() -> None:
    found = read()
    assert (found.mode, found.is_toy, found.may_make_keys, found.is_https) == ("production", False, False, True)
    assert found.host == "gallery.example"
    for name in ("IMGNOM_KEYRING", "IMGNOM_BASE_URL"):
        assert name in refused(**{name: ""})


@pytest.mark.parametrize("mode", ["demo", "rehearsal"])
def test_a_toy_needs_nothing_and_keeps_its_keys_at_home(mode: str) -> None:
    found = read_environment({"IMGNOM_MODE": mode, "IMGNOM_HOME": "/tmp/toy"})
    assert found.is_toy
    assert found.keyring == Path("/tmp/toy/keyring")
    assert not found.is_https


def test_the_demos_clock_is_every_commands_clock() -> None:
    assert read_environment({"IMGNOM_MODE": "demo", "IMGNOM_HOME": "/tmp/toy"}).clock_file == Path("/tmp/toy/clock")
    assert read_environment({"IMGNOM_MODE": "rehearsal", "IMGNOM_HOME": "/tmp/toy"}).clock_file is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("IMGNOM_MODE", "prod", "production, demo, rehearsal, development"),
        ("IMGNOM_KEYRING", "/srv/imgnom/data/keys", "inside each other"),
        ("IMGNOM_KEYRING", "/srv/imgnom/data/../data/keys", "inside each other"),
        ("IMGNOM_KEYRING", "/srv/imgnom", "inside each other"),
        ("IMGNOM_CLOCK_FILE", "/tmp/clock", "real site"),
        ("IMGNOM_POLICY", "/nowhere", "policy.toml"),
        ("IMGNOM_BASE_URL", "gallery.example", "http(s)"),
        ("IMGNOM_BASE_URL", "ftp://gallery.example", "http(s)"),
        ("IMGNOM_BASE_URL", "https://gallery.example/path", "nothing after it"),
        ("IMGNOM_BASE_URL", "https://gallery.example?a", "nothing after it"),
        ("IMGNOM_BASE_URL", "https://gallery.example#a", "nothing after it"),
        ("IMGNOM_BASE_URL", "https://user:word@gallery.example", "nothing after it"),
        ("IMGNOM_BASE_URL", "https://gallery.example:port", "host[:port]"),
        ("IMGNOM_BASE_URL", "https://gallery.example:99999", "host[:port]"),
        ("IMGNOM_BASE_URL", "https://[::1", "host[:port]"),
        ("IMGNOM_BASE_URL", "https://gal_lery.example", "host[:port]"),
        ("IMGNOM_BASE_URL", "https://*", "host[:port]"),
        ("IMGNOM_BASE_URL", "https://갤러리.example", "host[:port]"),
        ("IMGNOM_TRUSTED_PROXIES", "10.0.0.1, nginx", "nginx is neither"),
        ("IMGNOM_TRUSTED_PROXIES", "10.0.0.300", "neither"),
        ("IMGNOM_TRUSTED_PROXIES", "0.0.0.0/0", "everybody"),
        ("IMGNOM_TRUSTED_PROXIES", "::/0", "everybody"),
        ("IMGNOM_MEDIA_URL", "s3://bucket", "file:"),
        ("IMGNOM_MEDIA_URL", "media", "file:"),
        ("IMGNOM_MEDIA_URL", "file://media", "absolute"),
        ("IMGNOM_MAIL_URL", "https://mail.example", "smtp:, smtps:, file:"),
        ("IMGNOM_MAIL_URL", "smtp://letters:hidden@mail.example:port", "must name a mail server"),
        ("IMGNOM_MAIL_URL", "smtp://mail.example/?tls=never", "must name a mail server"),
        ("IMGNOM_MAIL_URL", "smtps://mail.example?tls=optional", "must name a mail server"),
        ("IMGNOM_MAIL_URL", "smtp:mail.example", "must name a mail server"),
        ("IMGNOM_CACHE_URL", "redis://127.0.0.1", "leave it out"),
        ("IMGNOM_WITNESS", "/nowhere/at/all", "folder that exists"),
        ("IMGNOM_WITNESS", "ftp://witness.example", "folder that exists"),
        ("IMGNOM_WITNESS", "https://", "must name an address"),
        ("IMGNOM_WITNESS", "https://witness.example:port/x", "must name an address"),
        ("IMGNOM_WITNESS", "mailto:", "one mailbox"),
        ("IMGNOM_WITNESS", "mailto:one@a.example,two@b.example", "one mailbox"),
        ("IMGNOM_WITNESS", "mailto:one@a.example?subject=x", "one mailbox"),
        ("IMGNOM_DATABASE_URL", "mysql://127.0.0.1/a", "postgresql:, postgres:, sqlite:"),
        ("IMGNOM_DATABASE_URL", "/srv/a.sqlite3", "sqlite:"),
        ("IMGNOM_DATABASE_URL", "postgresql://[::1/a", "must start with"),
        ("IMGNOM_VAULT_DATABASE_URL", "sqlite://vault.sqlite3", "absolute path"),
        ("IMGNOM_VAULT_DATABASE_URL", "sqlite:vault.sqlite3", "absolute path"),
        ("IMGNOM_VAULT_DATABASE_URL", "sqlite:", "absolute path"),
        ("IMGNOM_VAULT_DATABASE_URL", "sqlite:///srv/", "absolute path"),
        ("IMGNOM_VAULT_DATABASE_URL", "sqlite:///srv/a.sqlite3?mode=ro", "absolute path"),
        ("IMGNOM_KEYS_DATABASE_URL", "postgresql://127.0.0.1", "must name a database"),
        ("IMGNOM_KEYS_DATABASE_URL", "postgresql://127.0.0.1/a/b", "must name a database"),
        ("IMGNOM_KEYS_DATABASE_URL", "postgresql://127.0.0.1:port/a", "the port"),
        ("IMGNOM_KEYS_DATABASE_URL", "postgresql://127.0.0.1/a?pool_size=0", "pool_size"),
        ("IMGNOM_KEYS_DATABASE_URL", "postgresql://127.0.0.1/a?pool_size=many", "pool_size"),
        ("IMGNOM_KEYS_DATABASE_URL", "postgresql://127.0.0.1/a?ssl=yes", "ssl"),
    ],
)  # fmt: skip
def test_a_wrong_value_gets_one_line_that_names_it(name: str, value: str, said: str) -> None:
    line = refused(**{name: value})
    assert name in line
    assert said in line


@pytest.mark.parametrize(
    "value",
    [
        "https://witness.example/imgnom",
        "http://127.0.0.1:9000",
        "http://[::1]:9000/a?b=c",
        "mailto:witness@mail.example",
    ],
)
def test_a_witness_may_be_another_host_or_a_mailbox(value: str) -> None:
    assert read(IMGNOM_WITNESS=value).witness == value


def test_a_wrong_value_is_not_repeated_with_its_password() -> None:
    for url in (
        "postgresql://role:geheim@127.0.0.1:port/a",
        "postgresql://role:geheim@127.0.0.1/a?ssl=1",
        "mysql://role:geheim@127.0.0.1/a",
    ):
        assert "geheim" not in refused(IMGNOM_LOGS_DATABASE_URL=url)


@pytest.mark.parametrize(
    "name",
    ["IMGNOM_MODE", "IMGNOM_HOME", "IMGNOM_KEYRING", "IMGNOM_POLICY", "IMGNOM_BASE_URL", "IMGNOM_TRUSTED_PROXIES", "IMGNOM_DATABASE_URL", "IMGNOM_LOGS_DATABASE_URL",
     "IMGNOM_VAULT_DATABASE_URL", "IMGNOM_ARCHIVE_DATABASE_URL", "IMGNOM_KEYS_DATABASE_URL", "IMGNOM_LEDGER_DATABASE_URL", "IMGNOM_MEDIA_URL", "IMGNOM_MAIL_URL", "IMGNOM_WITNESS"],
)  # fmt: skip
def test_every_variable_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    values = {
        "IMGNOM_MODE": "development", "IMGNOM_HOME": str(tmp_path / "h"), "IMGNOM_KEYRING": str(tmp_path / "k"), "IMGNOM_POLICY": str(read().policy),
        "IMGNOM_BASE_URL": "http://other.example", "IMGNOM_TRUSTED_PROXIES": "10.1.0.0/16", "IMGNOM_MEDIA_URL": "file:///srv/pictures",
        "IMGNOM_MAIL_URL": "smtp://127.0.0.1:2525", "IMGNOM_WITNESS": str(tmp_path),
    }  # fmt: skip
    value = values.get(name, f"sqlite:///srv/{name.lower()}.sqlite3")
    file = tmp_path / "value"
    file.write_text(f"{value}\n", encoding="utf-8")
    without = {other: text for other, text in PRODUCTION.items() if other != name}
    assert read_environment(without | {f"{name}_FILE": str(file)}) == read(**{name: value})
    with pytest.raises(EnvironmentError_, match="both set"):
        read(**{name: value, f"{name}_FILE": str(file)})
    with pytest.raises(EnvironmentError_, match=f"{name}_FILE names .* cannot be read"):
        read_environment(without | {f"{name}_FILE": str(tmp_path / "missing")})
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EnvironmentError_, match="no text"):
        read_environment(without | {f"{name}_FILE": str(file)})


def test_proxies_are_addresses_and_networks() -> None:
    found = read(IMGNOM_TRUSTED_PROXIES="127.0.0.1, 10.1.2.3/16\n fd00::1").trusted_proxies
    assert found == ("127.0.0.1/32", "10.1.0.0/16", "fd00::1/128")
    assert read().trusted_proxies == ()


def test_a_sqlite_url_is_a_path() -> None:
    made = databases(
        read(
            IMGNOM_VAULT_DATABASE_URL="sqlite:///srv/v%20ault.sqlite3",
            IMGNOM_KEYS_DATABASE_URL="sqlite:////mnt/k.sqlite3",
        )
    )
    assert made["vault"]["NAME"] == "/srv/v ault.sqlite3"
    assert made["keys"]["NAME"] == "/mnt/k.sqlite3"
    assert made["default"]["NAME"] == "/srv/imgnom/data/db/default.sqlite3"
    for store in ("vault", "archive", "keys", "ledger"):
        assert "synchronous=FULL" in made[store]["OPTIONS"]["init_command"]
    for store in made:
        assert "secure_delete=ON" in made[store]["OPTIONS"]["init_command"]
        assert made[store]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_a_postgresql_url_passes_its_options_through() -> None:
    url = "postgresql://r%40le:w%2Frd@db.example:6432/vault?sslmode=verify-full&sslrootcert=/etc/ca.pem&application_name=imgnom&pool_size=9&connect_timeout=3"
    made = databases(read(IMGNOM_VAULT_DATABASE_URL=url))["vault"]
    assert (made["USER"], made["PASSWORD"], made["HOST"], made["PORT"], made["NAME"]) == (
        "r@le",
        "w/rd",
        "db.example",
        "6432",
        "vault",
    )
    options = made["OPTIONS"]
    own = databases(read(IMGNOM_VAULT_DATABASE_URL="postgresql://r@h/vault?options=-c%20lock_timeout%3D5s"))["vault"]
    assert own["OPTIONS"]["options"] == "-c lock_timeout=5s"
    assert options["pool"] == {"min_size": 1, "max_size": 9, "timeout": 4, "reconnect_timeout": 4}
    assert {k: v for k, v in options.items() if k != "pool"} == {
        "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem", "application_name": "imgnom", "connect_timeout": "3", "options": "-c lock_timeout=20000",
        "tcp_user_timeout": "10000", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "2",
    }  # fmt: skip
    socket = databases(read(IMGNOM_VAULT_DATABASE_URL="postgres:///vault?host=/run/postgresql"))["vault"]
    assert socket["HOST"] == ""
    assert socket["OPTIONS"]["host"] == "/run/postgresql"
    assert socket["OPTIONS"]["connect_timeout"] == "5"


@pytest.mark.clause("A4.1①")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://a:x@db.example/imgnom", "postgresql://b:y@db.example/imgnom"), ("postgresql:///i?host=/run/pg", "postgres://u@/i?host=/run/pg"),
        ("sqlite:///srv/one.sqlite3", "sqlite:////srv/one.sqlite3"), ("", "sqlite:///srv/imgnom/data/db/vault.sqlite3"),
    ],
)  # fmt: skip
def test_two_stores_in_one_database_are_refused(one: str, other: str) -> None:
    line = refused(IMGNOM_VAULT_DATABASE_URL=one, IMGNOM_KEYS_DATABASE_URL=other)
    assert "IMGNOM_KEYS_DATABASE_URL names the same database as IMGNOM_VAULT_DATABASE_URL" in line
    databases(
        read(
            IMGNOM_VAULT_DATABASE_URL="postgresql://a@one.example/i",
            IMGNOM_KEYS_DATABASE_URL="postgresql://a@two.example/i",
        )
    )


def _site(tmp_path: Path, mode: str, home: str = "home", keyring: str = "keys") -> Environment:
    return read_environment(
        PRODUCTION
        | {"IMGNOM_MODE": mode, "IMGNOM_HOME": str(tmp_path / home), "IMGNOM_KEYRING": str(tmp_path / keyring)}
    )


@pytest.mark.parametrize("real", ["production", "development"])
@pytest.mark.parametrize("toy", ["demo", "rehearsal"])
def test_toys_and_real_sites_open_neither_each_others_home_nor_keyring(tmp_path: Path, real: str, toy: str) -> None:
    (tmp_path / "keys").mkdir()
    prepare_home(_site(tmp_path, real))
    prepare_home(_site(tmp_path, real))
    with pytest.raises(EnvironmentError_, match=r"IMGNOM_HOME: .* belongs to a real site"):
        prepare_home(_site(tmp_path, toy))
    with pytest.raises(EnvironmentError_, match=r"IMGNOM_KEYRING: .* belongs to a real site"):
        prepare_home(_site(tmp_path, toy, home="other"))
    (tmp_path / "toy keys").mkdir()
    prepare_home(_site(tmp_path, toy, "toy", "toy keys"))
    with pytest.raises(EnvironmentError_, match="made by a demo"):
        prepare_home(_site(tmp_path, real, "toy", "keys"))
    with pytest.raises(EnvironmentError_, match="made by a demo"):
        prepare_home(_site(tmp_path, real, "home", "toy keys"))


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file", encoding="ascii")
    with pytest.raises(EnvironmentError_, match="IMGNOM_HOME"):
        prepare_home(_site(tmp_path, "production"))


@pytest.mark.clause("I9")
def test_the_secret_is_made_in_a_toy_only_and_never_twice(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match="keys init"):
        read_secret_key(_site(tmp_path, "production"))
    toy = _site(tmp_path, "demo")
    made = read_secret_key(toy)
    assert read_secret_key(toy) == made
    assert toy.secret_key_file.stat().st_mode & 0o777 == 0o600
    assert [f.name for f in toy.secret_key_file.parent.iterdir()] == ["secret.key"]


@pytest.mark.parametrize(
    ("content", "said"), [("short", "fewer than 50"), ("", "fewer than 50"), ("\udcff" * 60, "something else")]
)
def test_a_cut_secret_is_refused(tmp_path: Path, content: str, said: str) -> None:
    site = _site(tmp_path, "production")
    site.secret_key_file.parent.mkdir()
    site.secret_key_file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(EnvironmentError_, match=said):
        read_secret_key(site)


def test_an_unreadable_secret_is_refused(tmp_path: Path) -> None:
    site = _site(tmp_path, "production")
    site.secret_key_file.mkdir(parents=True)
    with pytest.raises(EnvironmentError_, match="cannot be read"):
        read_secret_key(site)


def test_a_home_remembers_that_it_is_a_toy(tmp_path: Path) -> None:
    """A command beside a running demo needs no variable and lives by the demo's clock."""
    mode_file(tmp_path).write_text("demo", encoding="ascii")
    beside = read_environment({"IMGNOM_HOME": str(tmp_path)})
    assert (beside.mode, beside.clock_file) == ("demo", tmp_path / "clock")
    mode_file(tmp_path).write_text("production\n", encoding="ascii")
    with pytest.raises(EnvironmentError_, match="IMGNOM_KEYRING"):
        read_environment({"IMGNOM_HOME": str(tmp_path)})


def test_a_store_on_a_disk_that_takes_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vault.sqlite3"
    assert _where(file) == str(file)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root is let in everywhere but on a read-only disk
    assert _where(file) == f"{file}, in a folder that cannot be written"
    assert _where(tmp_path / "nowhere" / "x") == f"{tmp_path / 'nowhere' / 'x'}"
