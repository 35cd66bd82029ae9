from django.db import models


class HandlerRecord(models.Model):
    """Who looked or acted, when, from where (shortened), at what, with which result."""

    account = models.CharField(max_length=32)
    role = models.CharField(max_length=16)
    at = models.DateTimeField()
    place = models.CharField(max_length=64)
    act = models.CharField(max_length=40)
    what = models.CharField(max_length=64)
    result = models.CharField(max_length=16)
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {
        "account": "handler_record",
        "at": "handler_record",
        "place": "handler_record",
        "act": "handler_record",
        "what": "handler_record",
    }
    not_personal = {
        "id": "a number of the row",
        "role": "of the account",
        "result": "of the act",
        "ends_at": "when it is destroyed",
    }
