from django.db import models

from imgnom.web.row_order import random_row_id


class Image(models.Model):
    """A picture. Its files have a random name and a key of their own that hangs on no person.

    `settling` is the number of an author who is leaving, until the picture's time is coarsened to its day.
    """

    id = models.BigAutoField(primary_key=True, default=random_row_id)
    public_id = models.CharField(max_length=16, unique=True)
    author = models.ForeignKey("members.Member", on_delete=models.PROTECT, null=True)
    author_name = models.CharField(max_length=40, default="")
    title = models.CharField(max_length=200)
    description = models.TextField(max_length=5000)
    alt = models.CharField(max_length=1000)
    visibility = models.CharField(max_length=8, db_index=True)
    removed_reason = models.CharField(max_length=500, default="")
    format = models.CharField(max_length=8)
    bytes = models.IntegerField()
    derived_bytes = models.IntegerField(
        default=0
    )  # all display sizes together; 0 until they are made again after a restore
    width = models.IntegerField()
    height = models.IntegerField()
    frames = models.IntegerField()
    thumbnail_width = models.IntegerField()
    thumbnail_height = models.IntegerField()
    preview_width = models.IntegerField()
    preview_height = models.IntegerField()
    removed = models.JSONField()
    media_token = models.CharField(max_length=32, unique=True)
    placeholder = models.CharField(max_length=64)
    lookalike = models.CharField(max_length=16)
    created_at = models.DateTimeField()
    position = models.BigIntegerField(db_index=True)
    settling = models.BigIntegerField(null=True)

    personal = {
        "author": "image_text", "author_name": "nickname", "title": "image_text", "description": "image_text", "alt": "image_text",
        "placeholder": "image_file", "lookalike": "image_lookalike", "created_at": "image_text",
        "position": "image_text", "settling": "image_text",
    }  # fmt: skip
    not_personal = {
        "id": "random", "public_id": "random", "visibility": "public, unlisted or private", "removed_reason": "written by staff about the picture",
        "format": "of the file", "bytes": "of the file", "derived_bytes": "of the files", "width": "of the file", "height": "of the file", "frames": "of the file",
        "thumbnail_width": "of the file", "thumbnail_height": "of the file", "preview_width": "of the file", "preview_height": "of the file",
        "removed": "kinds of things removed", "media_token": "random",
    }  # fmt: skip

    class Meta:
        indexes = [
            models.Index(fields=["author", "-position"]),
            models.Index(fields=["visibility", "-position"]),
            models.Index(fields=["settling"], condition=models.Q(settling__isnull=False), name="images_of_who_left"),
        ]

    @property
    def shown_name(self) -> str:
        return self.author.nickname if self.author_id and self.author else self.author_name


class Tag(models.Model):
    id = models.BigAutoField(primary_key=True, default=random_row_id)
    name = models.CharField(max_length=40, unique=True)

    personal = {"name": "image_text"}
    not_personal = {"id": "random"}


class ImageTag(models.Model):
    """`place` is the tag's place among those of its picture, from 0."""

    id = models.BigAutoField(primary_key=True, default=random_row_id)
    image = models.ForeignKey(Image, on_delete=models.PROTECT)
    tag = models.ForeignKey(Tag, on_delete=models.PROTECT)
    place = models.SmallIntegerField(default=0)

    personal = {"tag": "image_text"}
    not_personal = {"id": "random", "image": "a number", "place": "its place among the picture's tags"}

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "tag"], name="images_one_tag_per_image")]
