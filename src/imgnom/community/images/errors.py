"""PictureError: OwnerGone (410), PictureTooLarge (413), WrongType (415), NotAPicture (422), NoDecoder (503, the site's fault),
Busy (503).
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


class Busy(PictureError):
    """As many pictures are being opened as may be at once."""

    status = 503
