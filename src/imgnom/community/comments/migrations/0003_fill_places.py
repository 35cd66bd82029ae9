"""Comments get their places; comments and pictures get random row numbers."""

from collections.abc import Iterator
from typing import Any

from django.db import migrations

from imgnom.web.row_order import day_of, next_place, number_from, positions_in_day, random_row_id

ZONE = "Asia/Seoul"


def places(rows: Any) -> Iterator[tuple[Any, int, int, int]]:
    """(created_at, position, new id, id) in the order of the number; what has no author is coarsened to its day."""
    last = 0
    for number, author, created_at in rows.order_by("id").values_list("id", "author_id", "created_at").iterator():
        if author is None:
            day = day_of(created_at, ZONE)
            yield day, next(iter(positions_in_day(day, 1, in_order=False))), number_from("comment", number), number
        else:
            last = next_place(last, created_at)
            yield created_at, last, number_from("comment", number), number


def fill(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    comments, images = apps.get_model("comments", "Comment"), apps.get_model("images", "Image")
    adapt = connection.ops.adapt_datetimefield_value
    found = [(adapt(at), *rest) for at, *rest in places(comments.objects.using(connection.alias))]
    pictures = list(images.objects.using(connection.alias).values_list("id", flat=True))
    fresh = [(random_row_id(), number) for number in pictures]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE comments_comment SET created_at = %s, position = %s, id = %s WHERE id = %s", found)
        for table, column in (("images_imagetag", "image_id"), ("comments_comment", "image_id"), ("images_image", "id")):
            cursor.executemany(f"UPDATE {table} SET {column} = %s WHERE {column} = %s", fresh)  # noqa: S608 - names of ours


class Migration(migrations.Migration):

    dependencies = [
        ('comments', '0002_places_in_lists'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
