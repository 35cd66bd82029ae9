"""The variables of the contract: what is read, what is refused, and with which one line."""

from pathlib import Path

import pytest

from imgnom.site.environment import EnvironmentError_, mode_file, read_environment


@pytest.mark.clause("I9")
def test_a_real_site_needs_a_keyring_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / "home"
    given = {"IMGNOM_HOME": str(home), "IMGNOM_BASE_URL": "https://example.org"}
    with pytest.raises(EnvironmentError_, match="IMGNOM_KEYRING"):
        read_environment(given)
    with pytest.raises(EnvironmentError_, match="under IMGNOM_HOME"):
        read_environment(given | {"IMGNOM_KEYRING": str(home / "keys")})
    made = read_environment(given | {"IMGNOM_KEYRING": str(tmp_path / "keys")})
    assert (made.mode, made.is_https, made.host) == ("production", True, "example.org")


@pytest.mark.clause("I12")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("IMGNOM_MODE", "fun", "production, demo"),
        ("IMGNOM_BASE_URL", "example.org", "http"),
        ("IMGNOM_BASE_URL", "https://example.org/path", "nothing after"),
        ("IMGNOM_DATABASE_URL", "mysql://x", "postgresql"),
        ("IMGNOM_KEYS_DATABASE_URL", "nonsense", "postgresql"),
        ("IMGNOM_MAIL_URL", "ftp://x", "smtp"),
        ("IMGNOM_POLICY", "/nowhere/at/all", "policy.toml"),
        ("IMGNOM_SECRET_KEY_FILE_FILE", "/nowhere", "cannot be read"),
        ("IMGNOM_CLOCK_FILE", "/tmp/clock", "demo and rehearsal only"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(tmp_path: Path, name: str, value: str, words: str) -> None:
    given = {
        "IMGNOM_HOME": str(tmp_path / "home"),
        "IMGNOM_KEYRING": str(tmp_path / "keys"),
        "IMGNOM_BASE_URL": "https://example.org",
    }
    with pytest.raises(EnvironmentError_, match=words) as caught:
        read_environment(given | {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.clause("I9")
def test_a_home_remembers_that_it_is_a_toy(tmp_path: Path) -> None:
    mode_file(tmp_path).write_text("demo", encoding="ascii")
    beside = read_environment({"IMGNOM_HOME": str(tmp_path)})
    assert beside.mode == "demo"
    assert beside.clock_file == tmp_path / "clock", "a command beside the demo lives by the demo's clock"
    with pytest.raises(EnvironmentError_, match="holds a demo site"):
        read_environment({"IMGNOM_HOME": str(tmp_path), "IMGNOM_MODE": "production"})


@pytest.mark.clause("I9")
def test_a_toy_does_not_move_into_a_real_home(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with pytest.raises(EnvironmentError_, match="holds a real site"):
        read_environment({"IMGNOM_HOME": str(tmp_path), "IMGNOM_MODE": "demo"})


@pytest.mark.clause("I9")
def test_each_variable_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://vault:secret@db/vault\n", encoding="utf-8")
    given = {"IMGNOM_HOME": str(tmp_path / "home"), "IMGNOM_MODE": "rehearsal"}
    made = read_environment(given | {"IMGNOM_VAULT_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert made.database_urls["vault"] == "postgresql://vault:secret@db/vault"
    with pytest.raises(EnvironmentError_, match="both set"):
        read_environment(
            given | {"IMGNOM_VAULT_DATABASE_URL_FILE": str(tmp_path / "url"), "IMGNOM_VAULT_DATABASE_URL": "sqlite:x"}
        )
