"""A personal value refuses every way out but the one on purpose."""

import copy
import dataclasses
import io
import json
import logging
import marshal
import operator
import pickle
import traceback
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.template import Context, Template
from django.utils.html import escape, format_html

from imgnom.custody.outbox.models import Outbox
from imgnom.custody.vault.personal import Personal
from imgnom.custody.vault.public import PersonalNotOpened

VALUE = "canary-90ad@mail.example"


@dataclasses.dataclass(frozen=True)
class Card:
    email: Personal


LEAKS: dict[str, Callable[[Personal], object]] = {
    "str": str, "format": "{}".format, "format spec": lambda v: format(v, ">40"), "f-string": lambda v: f"{v}", "percent": lambda v: operator.mod("%s", v),
    "join": lambda v: str.join(", ", iter((v,))), "write": lambda v: io.StringIO().write(v), "encode": lambda v: urlencode({"to": v}), "print": print, "concatenation": lambda v: v + "", "concatenation right": lambda v: "" + v,
    "bytes": bytes, "bool": bool, "list": list, "reversed": reversed, "tuple": tuple, "sorted": sorted, "len": len, "index": lambda v: v[0], "slice": lambda v: v[:3],
    "contains": lambda v: "@" in v, "in a string": lambda v: v in VALUE, "equal": lambda v: v == VALUE, "equal from the left": lambda v: operator.eq(VALUE, v),
    "unequal": lambda v: v != VALUE, "less": lambda v: v < "z", "greater": lambda v: v >= "a", "hash": hash, "in a set": lambda v: {v},
    "as a key": lambda v: {v: 1}, "int": int, "times": lambda v: v * 2,
    "pickle": pickle.dumps, "pickle 0": lambda v: pickle.dumps(v, protocol=0), "marshal": marshal.dumps, "copy": copy.copy, "deepcopy": copy.deepcopy,
    "json": json.dumps, "json in a list": lambda v: json.dumps([v]), "json by str": lambda v: json.dumps(v, default=str), "django json": lambda v: json.dumps(v, cls=DjangoJSONEncoder),
    "vars": vars, "state": lambda v: v.__getstate__(), "reduce": lambda v: v.__reduce_ex__(2),
    "asdict": lambda v: dataclasses.asdict(Card(v)), "pickled card": lambda v: pickle.dumps(Card(v)), "hashed card": lambda v: hash(Card(v)),
    "equal cards": lambda v: Card(v) == Card(Personal(VALUE)), "escape": escape, "format_html": lambda v: format_html("{}", v), "change": lambda v: setattr(v, "_value", "x"),
    "forget": lambda v: delattr(v, "_value"), "more": lambda v: setattr(v, "note", "x"),
}  # fmt: skip


@pytest.mark.clause("A2.0")
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_every_way_out_is_refused_and_says_nothing(leak: Callable[[Personal], object]) -> None:
    value = Personal(VALUE)
    with pytest.raises((TypeError, ValueError)) as refused:
        leak(value)
    assert VALUE not in "".join(traceback.format_exception(refused.value))
    assert value.open() == VALUE


def test_what_shows_objects_shows_a_name() -> None:
    value = Personal(VALUE)
    for shown in (
        repr(value),
        f"{value!r}",
        operator.mod("%r", value),
        repr([value]),
        repr(Card(value)),
        repr({"email": value}),
        ascii(value),
    ):
        assert VALUE not in shown
        assert "<Personal>" in shown


def test_a_traceback_with_its_locals_says_nothing() -> None:
    def page(email: Personal, card: Card, many: list[Personal]) -> None:
        raise RuntimeError("broken on the way")

    try:
        page(Personal(VALUE), Card(Personal(VALUE)), [Personal(VALUE)])
    except RuntimeError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "<Personal>" in told
    assert VALUE not in told


def test_a_log_line_with_it_is_lost_rather_than_told(capsys: pytest.CaptureFixture[str]) -> None:
    value = Personal(VALUE)
    record = logging.LogRecord("imgnom", logging.WARNING, __file__, 1, "to %s", (value,), None)
    with pytest.raises(PersonalNotOpened):
        record.getMessage()
    logging.StreamHandler().handle(record)
    shown = capsys.readouterr()
    assert VALUE not in shown.err + shown.out
    assert "<Personal>" in shown.err


@pytest.mark.parametrize(
    "words",
    ["{{ value }}", "{{ value|upper }}", "{{ value|default:'x' }}", "{% for c in value %}{{ c }}{% endfor %}", "{{ card.email }}"],
)  # fmt: skip
def test_a_template_cannot_print_it(words: str) -> None:
    with pytest.raises(TypeError) as refused:
        Template(words).render(Context({"value": Personal(VALUE), "card": Card(Personal(VALUE))}))
    assert VALUE not in str(refused.value)


def test_a_template_cannot_open_it() -> None:
    assert Template("[{{ value.open }}]").render(Context({"value": Personal(VALUE)})) == "[]"


@pytest.mark.django_db(databases="__all__")
def test_a_table_does_not_take_it(now: datetime) -> None:
    with pytest.raises(TypeError):
        Outbox.objects.using("vault").create(leaf_id="x", payload=Personal(VALUE), created_at=now)
    with pytest.raises(TypeError):
        Outbox.objects.using("vault").filter(payload=Personal(VALUE)).exists()


def test_nobody_derives_a_weaker_one() -> None:
    assert not hasattr(Personal("x"), "__dict__")
    assert Personal.__final__  # type: ignore[attr-defined]
