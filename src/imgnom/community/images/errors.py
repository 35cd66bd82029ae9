"""PictureError: PictureTooLarge (413), WrongType (415), NotAPicture (422)."""


class PictureError(Exception):
    status = 422


class PictureTooLarge(PictureError):
    status = 413


class WrongType(PictureError):
    status = 415


class NotAPicture(PictureError):
    status = 422
