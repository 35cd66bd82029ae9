from django.db import models


class ArchivedValue(models.Model):
    """One value kept apart, under a key of this archive entry; nothing here points to the community."""

    archive_ref = models.CharField(max_length=32, db_index=True)
    record = models.CharField(max_length=40)
    item = models.CharField(max_length=40)
    sealed = models.BinaryField()
    key_id = models.CharField(max_length=32)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {"sealed": "email"}
    not_personal = {
        "id": "a number of the row",
        "archive_ref": "random, made for the archive",
        "record": "the record's name",
        "item": "the item's name",
        "key_id": "random",
        "starts_at": "when its period began",
        "ends_at": "when it is destroyed",
    }

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["archive_ref", "record", "item"], name="archive_one_value_per_item")
        ]
