from django.db import models


class GuardEntry(models.Model):
    """A keyed slow hash of a sanctioned person's canonical e-mail or ID."""

    digest = models.CharField(max_length=64)
    generation = models.SmallIntegerField()
    case = models.CharField(max_length=32, db_index=True)
    added_at = models.DateTimeField()

    personal = {"digest": "one_way_entry"}
    not_personal = {"id": "a number of the row", "generation": "which pepper", "case": "random", "added_at": "when"}
