"""Leaked passwords are refused wherever one is set (A1.1)."""

from datetime import datetime
from pathlib import Path

import pytest
from django.test import Client

from tests.rooms.members.people import FIELDS, PASSWORD, join

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.mark.clause("A1.1")
def test_leaked_password_is_refused_at_signup_and_change(home: Path, now: datetime) -> None:
    for word in ("007coolman", "letmein123", "sunshine1", "Dragon1987"):
        answer = Client().post("/signup", FIELDS | {"password1": word})
        assert answer.status_code == 422, word
        assert list(answer.context["form"].errors) == ["password1"], word
    client = join(home, now)
    for word in ("00cherokee", "iloveyou12", "p4ssw0rd"):
        assert client.post("/me/password", {"password": PASSWORD, "password1": word}).status_code == 422, word
