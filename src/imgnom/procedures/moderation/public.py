"""The door of moderation: how long the desk's own records are kept (X4)."""

from datetime import datetime

from imgnom.procedures.moderation.models import HandlerRecord


def due_handler_records(*, now: datetime) -> int:
    return HandlerRecord.objects.filter(ends_at__lte=now).count()


def destroy_due_handler_records(*, now: datetime) -> int:
    """None is left past its end; returns how many were."""
    return HandlerRecord.objects.filter(ends_at__lte=now).delete()[0]
