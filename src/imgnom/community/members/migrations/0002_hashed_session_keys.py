"""Session keys become digests of themselves, so that everybody who is signed in stays so.

The digest is `imgnom.web.session_keys.stored_session_key` as it was when this was written.
"""

import hashlib
import re

from django.db import migrations

PLAIN = re.compile(r"[0-9a-z]{32}")


def _stored(key):
    return hashlib.sha256(b"imgnom session key\0" + key.encode()).hexdigest()[:40]


def store_digests(apps, schema_editor):
    for app, model in (("sessions", "Session"), ("members", "MemberSession")):
        rows = apps.get_model(app, model).objects.using(schema_editor.connection.alias)
        for key in list(rows.values_list("session_key", flat=True)):
            if PLAIN.fullmatch(key):
                rows.filter(session_key=key).update(session_key=_stored(key))


def end_sessions(apps, schema_editor):
    """No key can be made from its digest."""
    for app, model in (("sessions", "Session"), ("members", "MemberSession")):
        apps.get_model(app, model).objects.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):
    dependencies = [("members", "0001_initial"), ("sessions", "0001_initial")]
    operations = [migrations.RunPython(store_digests, end_sessions)]
