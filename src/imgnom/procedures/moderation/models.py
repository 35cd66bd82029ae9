from django.db import models


class HandlerRecord(models.Model):
    """Who of the staff did what, when, from where (shortened), to whose data (a token), with which result."""

    account = models.CharField(max_length=32)
    role = models.CharField(max_length=16)
    at = models.DateTimeField()
    place = models.CharField(max_length=64)
    act = models.CharField(max_length=40)
    what = models.CharField(max_length=64)
    whose = models.CharField(max_length=32, default="")
    reason = models.CharField(max_length=500, default="")
    result = models.CharField(max_length=16)
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {
        "account": "handler_record",
        "at": "handler_record",
        "place": "handler_record",
        "act": "handler_record",
        "what": "handler_record",
        "whose": "handler_record",
        "reason": "handler_record",
    }
    not_personal = {
        "id": "a number of the row",
        "role": "of the account",
        "result": "of the act",
        "ends_at": "when it is destroyed",
    }


class RightGrant(models.Model):
    """Which right an account of the staff was given or lost, when, and by whom."""

    account = models.CharField(max_length=32)
    role = models.CharField(max_length=16)
    change = models.CharField(max_length=8)
    by = models.CharField(max_length=32)
    at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {"account": "right_grants", "role": "right_grants", "at": "right_grants", "by": "right_grants"}
    not_personal = {
        "id": "a number of the row",
        "change": "granted or ended",
        "ends_at": "when it is destroyed",
    }
