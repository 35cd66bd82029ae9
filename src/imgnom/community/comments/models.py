from django.db import models


class Comment(models.Model):
    image = models.ForeignKey("images.Image", on_delete=models.PROTECT)
    author = models.ForeignKey("members.Member", on_delete=models.PROTECT, null=True)
    author_name = models.CharField(max_length=40, default="")
    body = models.TextField(max_length=2000)
    removed_reason = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField()

    personal = {
        "author": "comment_text",
        "author_name": "nickname",
        "body": "comment_text",
        "created_at": "comment_text",
    }
    not_personal = {
        "id": "a number of the row",
        "image": "a number",
        "removed_reason": "written by staff about the comment",
    }

    class Meta:
        indexes = [models.Index(fields=["image", "-id"])]

    @property
    def shown_name(self) -> str:
        return self.author.nickname if self.author_id and self.author else self.author_name
