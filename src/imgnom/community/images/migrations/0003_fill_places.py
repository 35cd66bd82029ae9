"""Pictures and tags get their places; tags get random row numbers. Numbers of pictures follow in the room of the comments."""

from collections.abc import Iterator
from typing import Any

from django.db import migrations

from imgnom.web.row_order import day_of, next_place, positions_in_day, random_row_id

ZONE = "Asia/Seoul"


def places(rows: Any) -> Iterator[tuple[Any, int, int]]:
    """(created_at, position, id) of every row in the order of its number; what has no author is coarsened to its day."""
    last = 0
    for number, author, created_at in rows.order_by("id").values_list("id", "author_id", "created_at").iterator():
        if author is None:
            day = day_of(created_at, ZONE)
            yield day, next(iter(positions_in_day(day, 1, in_order=False))), number
        else:
            last = next_place(last, created_at)
            yield created_at, last, number


def fill(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    images, tags, links = (apps.get_model("images", name) for name in ("Image", "Tag", "ImageTag"))
    adapt = connection.ops.adapt_datetimefield_value
    found = [(adapt(at), place, number) for at, place, number in places(images.objects.using(connection.alias))]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE images_image SET created_at = %s, position = %s WHERE id = %s", found)
        place, image_before = 0, None
        moved = []
        for number, image in links.objects.using(connection.alias).order_by("image_id", "id").values_list("id", "image_id"):
            place = place + 1 if image == image_before else 0
            image_before = image
            moved.append((random_row_id(), place, number))
        cursor.executemany("UPDATE images_imagetag SET id = %s, place = %s WHERE id = %s", moved)
        names = list(tags.objects.using(connection.alias).values_list("id", flat=True))
        fresh = [(random_row_id(), number) for number in names]
        cursor.executemany("UPDATE images_imagetag SET tag_id = %s WHERE tag_id = %s", fresh)
        cursor.executemany("UPDATE images_tag SET id = %s WHERE id = %s", fresh)


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0002_places_in_lists'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
