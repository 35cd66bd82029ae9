"""What came back with a copy although its key is gone (A4.1①, A4.2)."""

from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.keys.public import alive_ids


def drop_dead_entries() -> int:
    keys = alive_ids()
    dead = {key for key in ArchivedValue.objects.values_list("key_id", flat=True).distinct() if key not in keys}
    return sum(ArchivedValue.objects.filter(key_id=key).delete()[0] for key in dead)


def archive_owners() -> set[str]:
    """Under which names the keys of the entries that are here were made."""
    return {f"{ref}:{record}" for ref, record in ArchivedValue.objects.values_list("archive_ref", "record").distinct()}
