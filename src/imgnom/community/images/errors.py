"""PictureError: OwnerGone (410), PictureTooLarge and StorageFull (413), WrongType (415), NotAPicture (422), NoDecoder (503, the
site's fault), Busy (503), and of those OneAtATime (429).
"""


class PictureError(Exception):
    status = 422


class PictureTooLarge(PictureError):
    status = 413


class WrongType(PictureError):
    status = 415


class NotAPicture(PictureError):
    status = 422


class NoDecoder(PictureError):
    status = 503


class OwnerGone(PictureError):
    """Whoever sent it left while it was being opened; nothing of it is kept."""

    status = 410


class StorageFull(PictureError):
    """The member's files take as much room as they may: bytes used, limit."""

    status = 413

    def __init__(self, used: int, limit: int) -> None:
        super().__init__(used, limit)
        self.used, self.limit = used, limit


class Busy(PictureError):
    """As many pictures are being opened, and wait, as may."""

    status = 503


class OneAtATime(Busy):
    """One picture of this member is being opened and another one waits."""

    status = 429
