from django.db import models


class RecordDay(models.Model):
    """All records of one Seoul day and class: they share a key and an end, so that a whole day ends at once."""

    day = models.DateField()
    klass = models.CharField(max_length=8)
    key_id = models.CharField(max_length=32)
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "day": "which day",
        "klass": "member or visitor",
        "key_id": "random",
        "ends_at": "when its records are destroyed",
    }

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "klass"], name="visits_one_row_per_day_and_class")]


class AccessRecord(models.Model):
    """One visit, sign-in or change. Only the sealed part says what was done, from where and with what; older rows have
    `kind`, `route` and `status` beside it. `subject` is empty for visitors and for members who left.
    """

    record_day = models.ForeignKey(RecordDay, on_delete=models.PROTECT)
    at = models.DateTimeField()
    kind = models.CharField(max_length=16)
    subject = models.CharField(max_length=32, null=True)  # noqa: DJ001 - a visitor has none
    route = models.CharField(max_length=80)
    status = models.SmallIntegerField()
    sealed = models.BinaryField()

    personal = {
        "at": "access_log",
        "kind": "service_use_records",
        "route": "access_log",
        "status": "access_log",
        "sealed": "ip_address",
    }
    not_personal = {"id": "a number of the row", "record_day": "which day's key and end", "subject": "random"}

    class Meta:
        indexes = [
            models.Index(
                fields=["subject", "-id"], condition=models.Q(subject__isnull=False), name="visits_of_one_member"
            )
        ]
