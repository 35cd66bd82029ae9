from django.db import models


class Consent(models.Model):
    """One act of consent or of taking it back. Rows are added, never changed."""

    subject = models.CharField(max_length=32, db_index=True)
    kind = models.CharField(max_length=40)
    given = models.BooleanField()
    text_digest = models.CharField(max_length=64)
    policy_digest = models.CharField(max_length=64)
    way = models.CharField(max_length=24)
    at = models.DateTimeField()
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {"kind": "consent_record", "given": "consent_record", "at": "consent_record", "way": "consent_record"}
    not_personal = {
        "id": "a number of the row",
        "subject": "random; a fresh one after leaving",
        "text_digest": "which text",
        "policy_digest": "which policy",
        "starts_at": "when its period began",
        "ends_at": "when the row is destroyed",
    }


class PolicyVersion(models.Model):
    """A policy that was in force."""

    digest = models.CharField(max_length=64, unique=True)
    policy_id = models.CharField(max_length=64)
    version = models.CharField(max_length=32)
    effective = models.DateField()
    adopted_at = models.DateTimeField()
    facts = models.JSONField()
    wording = models.JSONField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "digest": "of the policy",
        "policy_id": "of the policy",
        "version": "of the policy",
        "effective": "of the policy",
        "adopted_at": "when the site took it",
        "facts": "public",
        "wording": "public",
    }
