"""One figure in a process of its own: a picture page on a site with few comments."""

import random
import sys
from functools import partial

from benchmarks.figures import QUICK, WHOLE, cpu_ms_each
from benchmarks.home import CACHE, start_django
from benchmarks.pages import Browser, _picture_pages

if __name__ == "__main__":
    size = QUICK if sys.argv[1] == "quick" else WHOLE
    start_django(CACHE / "scratch-few")
    from imgnom.community.visits.public import writer
    from imgnom.site.wsgi import application

    browser, dice = Browser(application), random.Random(11)
    _, ten = _picture_pages()
    calls = [partial(browser.get, dice.choice(ten)) for _ in range(size.requests)]
    print(cpu_ms_each([*calls, partial(writer().flush, within_seconds=30)], rounds=size.rounds))
