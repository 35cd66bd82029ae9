"""The end of this room's records, for retention's table of destroyers."""

from datetime import datetime

from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import ends_at
from imgnom.procedures.moderation.models import HandlerRecord, RightGrant


def recompute_records_of_handling() -> int:
    """After a change of the policy: the end of each row from its own time; how many changed."""
    policy = policy_in_force()
    changed = 0
    for kind, record in ((HandlerRecord, "handler_records"), (RightGrant, "right_grants")):
        declared = policy.records[record]
        for number, at, before in kind._default_manager.values_list("pk", "at", "ends_at"):
            end = ends_at(declared, at, policy.zone)
            if end != before:
                kind._default_manager.filter(pk=number).update(ends_at=end)
                changed += 1
    return changed


def due_handler_records(*, now: datetime) -> int:
    return HandlerRecord.objects.filter(ends_at__lte=now).count()


def destroy_handler_records(*, now: datetime) -> int:
    return HandlerRecord.objects.filter(ends_at__lte=now).delete()[0]


def due_right_grants(*, now: datetime) -> int:
    return RightGrant.objects.filter(ends_at__lte=now).count()


def destroy_right_grants(*, now: datetime) -> int:
    return RightGrant.objects.filter(ends_at__lte=now).delete()[0]
