from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "imgnom.site"

    def ready(self) -> None:
        from imgnom.site import marks
        from imgnom.web import fragments
        from imgnom.web.logs import configure_logging

        configure_logging()
        marks.register_check()
        fragments.register("after_main", "publication/_cookie_banner.html")
