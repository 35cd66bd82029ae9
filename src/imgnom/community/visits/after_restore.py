"""Days that came back with a copy although their key is gone (A3.2②)."""

from imgnom.community.visits.models import AccessRecord, RecordDay
from imgnom.custody.keys.public import alive_ids


def drop_dead_days() -> int:
    """Their records are gone; how many there were."""
    keys, gone = alive_ids(), 0
    for day in RecordDay.objects.all():
        if day.key_id not in keys:
            gone += AccessRecord.objects.filter(record_day=day).delete()[0]
            day.delete()
    return gone


def day_keys() -> set[str]:
    return set(RecordDay.objects.values_list("key_id", flat=True))
