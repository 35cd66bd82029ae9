from django.db import models


class SealedValue(models.Model):
    """One personal value, sealed under its subject's data key."""

    subject = models.CharField(max_length=32, db_index=True)
    item = models.CharField(max_length=40)
    row = models.CharField(max_length=64, default="")
    sealed = models.BinaryField()
    key_id = models.CharField(max_length=32)
    sealed_at = models.DateTimeField()

    personal = {"sealed": "email"}
    not_personal = {
        "id": "a number of the row",
        "subject": "random",
        "item": "the item's name",
        "row": "which of several",
        "key_id": "random",
        "sealed_at": "when it was last written",
    }

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "item", "row"], name="vault_one_value_per_row")]


class BlindIndex(models.Model):
    """A keyed digest by which a confirmed value is found."""

    item = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    subject = models.CharField(max_length=32, db_index=True)

    personal = {"digest": "email_index"}
    not_personal = {"id": "a number of the row", "item": "the item's name", "subject": "random"}

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "digest"], name="vault_one_subject_per_value")]


class HeldName(models.Model):
    """A keyed digest of a freed ID or nickname, so that nobody else appears under it."""

    item = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {"digest": "freed_name_index"}
    not_personal = {
        "id": "a number of the row",
        "item": "the item's name",
        "starts_at": "when it was freed",
        "ends_at": "when it is free again",
    }

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "digest"], name="vault_one_hold_per_name")]


class LastUse(models.Model):
    """When a value was last read or used for a purpose, by which role; a look by staff keeps a row of its own (A2.0)."""

    subject = models.CharField(max_length=32)
    item = models.CharField(max_length=40)
    purpose = models.CharField(max_length=40)
    role = models.CharField(max_length=24)
    look = models.CharField(max_length=32, default="")
    at = models.DateTimeField()

    personal = {"at": "use_record", "purpose": "use_record", "role": "use_record"}
    not_personal = {
        "id": "a number of the row",
        "subject": "random",
        "item": "the item's name",
        "look": "the ledger's entry of a look by staff; empty for all others",
    }

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "item", "purpose", "role", "look"], name="vault_one_last_use_per_purpose"
            )
        ]


class Correction(models.Model):
    """That a value was corrected: of the one before only a keyed digest is left (A7.2a)."""

    subject = models.CharField(max_length=32, db_index=True)
    item = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()

    personal = {"digest": "former_value", "at": "former_value"}
    not_personal = {"id": "a number of the row", "subject": "random", "item": "the item's name"}


class Fence(models.Model):
    """No value may be written for this subject any more."""

    subject = models.CharField(max_length=32, unique=True)
    fenced_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {"id": "a number of the row", "subject": "random, of nobody once destroyed", "fenced_at": "when"}


class Restriction(models.Model):
    """An item that rests until a correction is done (A7.3a)."""

    subject = models.CharField(max_length=32)
    item = models.CharField(max_length=40)

    personal: dict[str, str] = {}
    not_personal = {"id": "a number of the row", "subject": "random", "item": "the item's name"}

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "item"], name="vault_one_restriction_per_item")]
