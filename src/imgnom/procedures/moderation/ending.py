"""The end of this room's records, for retention's table of destroyers."""

from datetime import datetime

from imgnom.procedures.moderation.models import HandlerRecord, RightGrant


def due_handler_records(*, now: datetime) -> int:
    return HandlerRecord.objects.filter(ends_at__lte=now).count()


def destroy_handler_records(*, now: datetime) -> int:
    return HandlerRecord.objects.filter(ends_at__lte=now).delete()[0]


def due_right_grants(*, now: datetime) -> int:
    return RightGrant.objects.filter(ends_at__lte=now).count()


def destroy_right_grants(*, now: datetime) -> int:
    return RightGrant.objects.filter(ends_at__lte=now).delete()[0]
