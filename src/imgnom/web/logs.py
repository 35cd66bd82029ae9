"""Logging: one line per event, control characters escaped, no tracebacks with values, to standard error."""

import logging


class OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.exc_info = record.exc_text = record.stack_info = None
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in super().format(record))


def configure_logging() -> None:
    root = logging.getLogger()
    if any(isinstance(handler.formatter, OneLine) for handler in root.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("django.request").setLevel(logging.CRITICAL)  # its lines hold paths
    logging.getLogger("django.security").setLevel(logging.CRITICAL)
