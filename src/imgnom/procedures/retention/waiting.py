"""What is under way, in numbers: for the board and for whoever waits."""

import time
from datetime import datetime

from imgnom.procedures.retention.models import Withdrawal


def count_waiting_withdrawals(*, before: datetime) -> tuple[int, int]:
    """(all withdrawals, those that began before an instant and are not done)."""
    late = Withdrawal.objects.exclude(state="done").filter(starts_at__lt=before).count()
    return Withdrawal.objects.count(), late


def count_waiting(*, held_only: bool = False) -> int:
    """Withdrawals that are not done; or of them those that somebody holds just now."""
    waiting = Withdrawal.objects.exclude(state="done")
    return (waiting.filter(leased_until__gte=time.time()) if held_only else waiting).count()
