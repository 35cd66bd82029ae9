"""A kill at any change of upload, leaving, retention and turn: the worker's next round makes it good (F1 to F4, F12, F13).

Here a sample of the points, another one at each workflow; `python -m benchmarks.faults` takes every one.
"""

from datetime import datetime

import pytest

from imgnom.site.clock import set_clock
from tests.fault_lives import LIVES, live
from tests.faults import count_changes, worker_pass

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
POINTS = 3


@pytest.mark.clause("I2", "A4.2", "A4.1①")
@pytest.mark.parametrize("name", sorted(LIVES))
def test_killed_at_any_change_it_is_made_good_by_the_worker(now: datetime, name: str) -> None:
    life = LIVES[name]
    set_clock(now)
    state, at = life.begin(now), now + life.acts_after
    set_clock(at)
    changes = count_changes(lambda: life.act(state, at))
    worker_pass(at)
    life.ensure(state, at)
    assert changes > 8
    for point in range(POINTS):
        number = 1 + (changes - 1) * point // (POINTS - 1)
        died, at = live(name, number, at)
        assert died is not None or point == POINTS - 1, number
