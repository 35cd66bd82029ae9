"""The six stores are really six, and really where the run says they are."""

import pytest
from django.db import connections

from tests.environment import POSTGRES

pytestmark = pytest.mark.django_db(databases="__all__")


def test_the_stores_are_where_this_run_says() -> None:
    vendors = {connections[alias].vendor for alias in connections}
    assert vendors == {"postgresql" if POSTGRES else "sqlite"}


@pytest.mark.clause("A4.1①")
def test_no_two_stores_share_a_database() -> None:
    assert len({str(connections[alias].settings_dict["NAME"]) for alias in connections}) == 6


@pytest.mark.clause("I9")
@pytest.mark.skipif(not POSTGRES, reason="roles are PostgreSQL's")
def test_the_role_of_one_store_may_not_enter_another() -> None:
    import psycopg

    url = POSTGRES.format(store="logs").removesuffix("imgnom_logs") + "imgnom_vault"
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url)
