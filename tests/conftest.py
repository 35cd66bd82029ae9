"""A throw-away home for each test process; all six stores; the network closed but for loopback."""

import ipaddress
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.environment import HOME, POSTGRES

# A loaded machine is slow and not wrong.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # noon in Seoul, a Sunday


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_connect = socket.socket.connect


def _guarded_connect(self: socket.socket, address: Any) -> None:
    if not _is_loopback(address):
        raise RuntimeError(f"A test tried to reach {address!r}; only loopback is open.")
    _connect(self, address)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign]


def pytest_report_header() -> str:
    return f"stores: {'PostgreSQL' if POSTGRES else 'SQLite'}"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite stores are files, as on a real site: one in memory has no log, no lock and no bytes to look at."""
    from django.db import connections

    for alias in connections if not POSTGRES else ():
        connections[alias].settings_dict["TEST"]["NAME"] = str(HOME / f"{alias}.sqlite3")


@pytest.fixture
def now() -> datetime:
    return NOON


@pytest.fixture(autouse=True)
def _no_clock_left_behind() -> Iterator[None]:
    yield
    for name in ("clock", "clock.highest"):
        (HOME / name).unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _passwords_cost_little(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id as it is, at a hundredth of its cost: else a third of the rooms' time goes there. The site's own cost is
    looked at where `real_cost` is marked, and in every test that starts a site."""
    if request.node.get_closest_marker("real_cost") is None:
        monkeypatch.setattr("django.contrib.auth.hashers.Argon2PasswordHasher.memory_cost", 1024)
        monkeypatch.setattr("django.contrib.auth.hashers.Argon2PasswordHasher.time_cost", 1)


@pytest.fixture
def home() -> Path:
    return HOME


@pytest.fixture
def stores(db: None) -> None:
    """All six stores are open to the test; ask for databases='__all__' in the django_db mark."""


def make_keyring() -> None:
    """A keyring that the (empty) stores know."""
    from imgnom.custody.keys.public import ensure_keyring

    for name in [file.name for file in (HOME / "keyring").glob("*")]:
        if name != "secret.key":
            (HOME / "keyring" / name).unlink()
    ensure_keyring(now=NOON)


@pytest.fixture(autouse=True)
def _room_of_this_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """A room test starts with a keyring of its own and nothing in the media folder."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None:
        yield
        return
    request.getfixturevalue("_django_db_helper")
    make_keyring()
    yield
    for folder in ("media", "outbox", "cache"):
        shutil.rmtree(HOME / folder, ignore_errors=True)
