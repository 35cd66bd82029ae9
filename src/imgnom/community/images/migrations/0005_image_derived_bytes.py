"""Sizes of the display files of each picture, measured where they are."""

from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import migrations, models

BATCH = 500


def measure(apps, schema_editor):
    images = apps.get_model("images", "Image").objects.using(schema_editor.connection.alias)
    root = Path(settings.IMGNOM.media_root) / "derived"
    batch = []
    for image in images.only("pk", "media_token").iterator(chunk_size=BATCH):
        for size in ("thumbnail", "preview"):
            for shown_as in ("avif", "webp"):
                with suppress(OSError):
                    image.derived_bytes += (root / image.media_token[:2] / f"{image.media_token}-{size}.{shown_as}").stat().st_size
        batch.append(image)
        if len(batch) == BATCH:
            images.bulk_update(batch, ["derived_bytes"])
            batch = []
    images.bulk_update(batch, ["derived_bytes"])


class Migration(migrations.Migration):
    dependencies = [("images", "0004_order_by_place")]

    operations = [
        migrations.AddField("image", "derived_bytes", models.IntegerField(default=0)),
        migrations.RunPython(measure, migrations.RunPython.noop),
    ]
