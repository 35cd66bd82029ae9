from django.db import models


class AccessRecord(models.Model):
    """One visit, sign-in or change. Only the sealed part says from where and with what."""

    day = models.DateField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=16)
    klass = models.CharField(max_length=8)
    subject = models.CharField(max_length=32, null=True, db_index=True)  # noqa: DJ001 - a visitor has none
    route = models.CharField(max_length=80)
    status = models.SmallIntegerField()
    key_id = models.CharField(max_length=32)
    sealed = models.BinaryField()
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {
        "at": "access_log",
        "kind": "service_use_records",
        "route": "access_log",
        "status": "access_log",
        "sealed": "ip_address",
    }
    not_personal = {
        "id": "a number of the row",
        "day": "which day's key",
        "klass": "member or visitor",
        "subject": "random",
        "key_id": "random",
        "ends_at": "when it is destroyed",
    }
