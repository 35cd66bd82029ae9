from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "imgnom.site"

    def ready(self) -> None:
        from imgnom.web.logs import configure_logging

        from imgnom.site import marks

        configure_logging()
        marks.register_check()
