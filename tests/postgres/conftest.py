"""Tests of a whole site on PostgreSQL: run by `./run test postgres`, silent elsewhere."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from tests.environment import POSTGRES

STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
collect_ignore_glob = [] if POSTGRES else ["test_*.py"]


@pytest.fixture(scope="module")
def fresh_urls() -> Iterator[dict[str, str]]:
    """The variables of six new empty databases, each owned by its store's role."""
    suffix = secrets.token_hex(4)
    made = {}
    for store in STORES:
        url, name = POSTGRES.format(store=store), f"imgnom_{store}_{suffix}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        variable = "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"
        made[variable] = url.rpartition("/")[0] + f"/{name}?application_name=imgnom-test&pool_size=4"
    yield made
    for store in STORES:
        with psycopg.connect(POSTGRES.format(store=store), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS imgnom_{store}_{suffix} WITH (FORCE)")
