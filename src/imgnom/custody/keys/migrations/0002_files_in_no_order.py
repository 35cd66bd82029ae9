"""Keys of files say only on which day they were made, and lie in no order."""

import secrets
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.db import migrations

ZONE = ZoneInfo("Asia/Seoul")


def forget_order(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    keys = apps.get_model("keys", "DataKey").objects.using(connection.alias)
    adapt = connection.ops.adapt_datetimefield_value
    days = [
        (adapt(datetime.combine(made_at.astimezone(ZONE).date(), time(), ZONE).astimezone(UTC)), key_id)
        for key_id, made_at in keys.filter(klass="file").values_list("key_id", "made_at").iterator()
    ]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE keys_datakey SET made_at = %s WHERE key_id = %s", days)
        if connection.vendor == "sqlite":
            numbers = [(1 + secrets.randbelow(2**62), key_id) for key_id in keys.values_list("key_id", flat=True)]
            cursor.executemany("UPDATE keys_datakey SET rowid = %s WHERE key_id = %s", numbers)


class Migration(migrations.Migration):

    dependencies = [
        ('keys', '0001_initial'),
    ]

    operations = [migrations.RunPython(forget_order, migrations.RunPython.noop)]
