from django.db import models

from imgnom.web.row_order import random_row_id


class Comment(models.Model):
    """`settling` is the number of an author who is leaving, until the comment's time is coarsened to its day."""

    id = models.BigAutoField(primary_key=True, default=random_row_id)
    image = models.ForeignKey("images.Image", on_delete=models.PROTECT)
    author = models.ForeignKey("members.Member", on_delete=models.PROTECT, null=True)
    author_name = models.CharField(max_length=40, default="")
    body = models.TextField(max_length=2000)
    removed_reason = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField()
    position = models.BigIntegerField(db_index=True)
    settling = models.BigIntegerField(null=True)

    personal = {
        "author": "comment_text",
        "author_name": "nickname",
        "body": "comment_text",
        "created_at": "comment_text",
        "position": "comment_text",
        "settling": "comment_text",
    }
    not_personal = {
        "id": "random",
        "image": "a number",
        "removed_reason": "written by staff about the comment",
    }

    class Meta:
        indexes = [
            models.Index(fields=["image", "-position"]),
            models.Index(fields=["settling"], condition=models.Q(settling__isnull=False), name="comments_of_who_left"),
        ]

    @property
    def shown_name(self) -> str:
        return self.author.nickname if self.author_id and self.author else self.author_name
