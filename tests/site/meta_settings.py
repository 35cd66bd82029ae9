"""The site's own settings with one page more, which shows what a request carries. For the test of `wsgi` only."""

from imgnom.site.settings import *  # noqa: F403

ROOT_URLCONF = "tests.site.meta_urls"
