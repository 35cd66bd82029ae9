"""Pictures that came back with a copy although their key is gone (A4.2)."""

from imgnom.community.images.models import Image
from imgnom.custody.keys.public import alive_owners
from imgnom.custody.vault.public import FILE


def dead_pictures() -> list[Image]:
    """Rows that stand as if their file could still be opened."""
    alive = alive_owners(FILE)
    return [image for image in Image.objects.filter(removed_reason="").order_by("pk") if image.media_token not in alive]


def see_again_as(public_id: str, visibility: str) -> bool:
    """Who may see the picture is as its owner said last; False when it was so already."""
    rows = Image.objects.filter(public_id=public_id).exclude(visibility=visibility)
    return bool(rows.update(visibility=visibility))


def file_owners() -> set[str]:
    """Under which names the keys of the pictures that are here were made."""
    return set(Image.objects.filter(removed_reason="").values_list("media_token", flat=True))
