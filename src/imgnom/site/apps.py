import atexit

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "imgnom.site"

    def ready(self) -> None:
        from imgnom.custody.consent.public import approved_source
        from imgnom.custody.in_force import register_approved
        from imgnom.site import marks, promises
        from imgnom.site.databases import close_stores
        from imgnom.web import fragments
        from imgnom.web.logs import configure_logging

        configure_logging()
        register_approved(approved_source)
        marks.register_check()
        promises.register()
        fragments.register("after_main", "publication/_cookie_banner.html")
        atexit.register(close_stores)
