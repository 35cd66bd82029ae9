"""What is under way, in numbers: for the board."""

from datetime import datetime

from imgnom.procedures.retention.models import Withdrawal


def count_waiting_withdrawals(*, before: datetime) -> tuple[int, int]:
    """(all withdrawals, those that began before an instant and are not done)."""
    late = Withdrawal.objects.exclude(state="done").filter(starts_at__lt=before).count()
    return Withdrawal.objects.count(), late
