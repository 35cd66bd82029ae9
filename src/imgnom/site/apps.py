import atexit

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "imgnom.site"

    def ready(self) -> None:
        from imgnom.site import marks
        from imgnom.site.databases import close_stores
        from imgnom.web.logs import configure_logging

        configure_logging()
        marks.register_check()
        atexit.register(close_stores)
