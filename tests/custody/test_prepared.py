"""A question composed once answers as Django's own would, each time anew."""

from datetime import datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from imgnom.community.members.models import Letter, Member
from imgnom.custody.prepared import Prepared, as_row, columns_of
from imgnom.custody.vault.models import LastUse

pytestmark = pytest.mark.django_db(databases="__all__")
BY_NICKNAME = Prepared(lambda name: Member.objects.filter(nickname=name).values_list(*columns_of(Member)), str)


def make(nickname: str, now: datetime) -> Member:
    return Member.objects.create(subject=f"s-{nickname}", nickname=nickname, nickname_key=nickname, joined_at=now)


def test_its_rows_are_those_of_the_same_query_and_changed_rows_are_seen(now: datetime) -> None:
    made = make("은수", now)
    found = BY_NICKNAME.first("은수")
    assert found is not None
    row = as_row(Member, found)
    assert row == made
    assert {f.attname: getattr(row, f.attname) for f in Member._meta.concrete_fields} == {
        f.attname: getattr(Member.objects.get(pk=made.pk), f.attname) for f in Member._meta.concrete_fields
    }
    assert row.joined_at == now
    assert row.joined_at.tzinfo is not None
    Member.objects.filter(pk=made.pk).update(role="officer")
    changed = BY_NICKNAME.first("은수")
    assert changed is not None
    assert as_row(Member, changed).role == "officer"
    made.delete()
    assert BY_NICKNAME.first("은수") is None


def test_values_stand_where_they_belong_and_are_never_words_of_the_question(now: datetime) -> None:
    between = Prepared(
        lambda late, name, early: Member.objects.filter(joined_at__lt=late, nickname=name, joined_at__gte=early).values_list("pk"),
        datetime, str, datetime,
    )  # fmt: skip
    first, second = make("x' OR '1'='1", now), make("%s", now + timedelta(days=2))
    assert between(now + timedelta(days=1), "x' OR '1'='1", now) == [(first.pk,)]
    assert between(now + timedelta(days=3), "%s", now) == [(second.pk,)]
    assert between(now, "x' OR '1'='1", now - timedelta(days=1)) == []
    assert between(now + timedelta(days=1), "y' OR '1'='1", now) == []


def test_a_number_may_be_of_any_size(now: datetime) -> None:
    """Also where the store's column is small: the stand-in of a number must not be refused as too large for it."""
    Letter.objects.create(subject="a", template_id="t", tries=3, starts_at=now, ends_at=now)
    tried = Prepared(lambda tries: Letter.objects.filter(tries=tries).values_list("subject"), int)
    assert (tried(3), tried(4)) == ([("a",)], [])
    many = Prepared(lambda *numbers: Letter.objects.filter(pk__in=numbers).values_list("subject"), *[int] * 40)
    pk = Letter.objects.get().pk
    assert many(*[pk] * 40) == [("a",)]
    assert many(*range(2**62, 2**62 + 40)) == []


def test_it_is_one_statement_in_the_store_of_its_room(now: datetime) -> None:
    make("은수", now)
    BY_NICKNAME("은수")
    with CaptureQueriesContext(connection) as asked:
        assert len(BY_NICKNAME("은수")) == 1
    assert len(asked.captured_queries) == 1
    LastUse.objects.create(subject="a", item="email", purpose="notices", role="system", at=now)
    uses = Prepared(lambda subject: LastUse.objects.filter(subject=subject).values_list("at"), str)
    assert uses("a") == [(now,)]


def test_only_some_columns_leave_the_others_to_be_asked_for(now: datetime) -> None:
    made = make("은수", now)
    row = as_row(Member, (made.pk, "은수"), only=("id", "nickname"))
    with CaptureQueriesContext(connection) as asked:
        assert row.nickname == "은수"
        assert asked.captured_queries == []
        assert row.subject == made.subject
    assert len(asked.captured_queries) == 1


def test_a_value_that_the_question_does_not_hold_is_refused_at_once() -> None:
    silent = Prepared(lambda _name: Session.objects.values_list("session_key"), str)
    with pytest.raises(TypeError, match="stands nowhere"):
        silent("x")
