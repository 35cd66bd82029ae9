from datetime import datetime

import pytest

from imgnom.site.clock import set_clock


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)
