from django.db import models


class DataKey(models.Model):
    """A wrapped data key. Its owner is a random token; the key itself opens only with the epoch's KEK."""

    key_id = models.CharField(max_length=32, primary_key=True)
    owner = models.CharField(max_length=64, db_index=True)
    klass = models.CharField(max_length=24)
    wrapped = models.BinaryField()
    epoch = models.IntegerField(db_index=True)
    made_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {
        "key_id": "random",
        "owner": "a random token, a day, or a file's random name",
        "klass": "the kind of record",
        "wrapped": "a key, of no person without the sealed value",
        "epoch": "which KEK wraps it",
        "made_at": "when",
    }


class DestroyedKey(models.Model):
    """The tombstone of a key: so that destroyed is never mistaken for unknown."""

    key_id = models.CharField(max_length=32, primary_key=True)
    destroyed_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {"key_id": "random", "destroyed_at": "when"}


class Epoch(models.Model):
    """An epoch of the KEK, with the fingerprint by which a wrong file is recognised."""

    number = models.IntegerField(primary_key=True)
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=12)
    begun_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {
        "number": "counts up",
        "fingerprint": "recognises the KEK",
        "state": "current, fresh or retired",
        "begun_at": "when",
    }


class KeyringMark(models.Model):
    """Fingerprints of the other files of the keyring."""

    name = models.CharField(max_length=32, primary_key=True)
    fingerprint = models.CharField(max_length=64)

    personal: dict[str, str] = {}
    not_personal = {"name": "the file", "fingerprint": "recognises it"}


class KeysCopy(models.Model):
    """Where the one copy of this store lies. It stands in the store itself, so that every machine knows of it."""

    folder = models.CharField(max_length=1000)
    serial = models.BigIntegerField()
    made_at = models.DateTimeField()
    problem = models.CharField(max_length=400, default="")

    personal: dict[str, str] = {}
    not_personal = {
        "id": "always 1",
        "folder": "a folder of the operator's",
        "serial": "counts the copies",
        "made_at": "when the last one was written",
        "problem": "why the last one could not be renewed",
    }
