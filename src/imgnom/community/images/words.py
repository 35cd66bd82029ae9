"""What is told about a file: what was taken out of it, and why another one was refused."""

from collections.abc import Iterable

from imgnom.community.images.errors import (
    Busy,
    NoDecoder,
    OneAtATime,
    OwnerGone,
    PictureError,
    PictureTooLarge,
    StorageFull,
    WrongType,
)
from imgnom.community.images.quota import size_words
from imgnom.community.images.take_in import MAX_BYTES
from imgnom.web.uploads import MAX_HELD_BYTES
from imgnom.web.words import say

MAX_MEGABYTES = MAX_BYTES // 1048576
MAX_MEGABYTES_TOGETHER = MAX_HELD_BYTES // 1048576

# In the order in which people care.
KINDS = {
    "place": say(ko="촬영 위치(GPS)", en="place (GPS)"),
    "camera": say(ko="카메라와 촬영 정보", en="camera and shooting data"),
    "time": say(ko="찍은 시각", en="time it was taken"),
    "thumbnail": say(ko="파일 속 작은 미리보기", en="preview hidden in the file"),
    "description": say(ko="파일에 적힌 설명", en="description in the file"),
    "comment": say(ko="파일에 적힌 메모", en="comment in the file"),
    "trailing": say(ko="파일 끝에 덧붙은 것", en="data after the picture's end"),
    "other": say(ko="그 밖의 숨은 정보", en="other hidden data"),
}

_HEIC = say(
    ko="HEIC는 받지 않습니다. 이 사진을 JPEG로 저장해 올려 주세요. 아이폰은 설정 › 카메라 › 포맷에서 ‘높은 호환성’을 고르면 다음부터 JPEG로 찍습니다.",
    en="HEIC is not accepted. Save this picture as JPEG and upload that. On an iPhone, Settings › Camera › Formats › Most Compatible takes JPEG from then on.",
)
_MOVING = say(
    ko="움직이는 AVIF는 받지 않습니다. 움직이는 WebP나 GIF로, 또는 한 장면을 JPEG로 저장해 올려 주세요.",
    en="Moving AVIF is not accepted. Save it as a moving WebP or GIF, or one frame of it as JPEG, and upload that.",
)
_TYPES = say(
    ko="JPEG, PNG, WebP, GIF, AVIF 사진만 받습니다. 그 가운데 하나로 저장해 다시 올려 주세요.",
    en="Only JPEG, PNG, WebP, GIF and AVIF pictures are accepted. Save it as one of these and upload it again.",
)
_REASONS = {
    "too-many-pixels": say(
        ko="한 변 16,384픽셀, 모두 6천만 픽셀까지 받습니다. 크기를 줄여 다시 올려 주세요.",
        en="Up to 16,384 px a side and 60 million pixels in all. Make it smaller and upload it again.",
    ),
    "bomb": say(
        ko="파일 크기에 견주어 그림이 너무 크거나 장면이 너무 많습니다. 줄여서 다시 올려 주세요.",
        en="The picture is far too large for its file, or has too many frames. Reduce it and upload it again.",
    ),
    "too-much-room": say(
        ko="이 파일은 펼치는 데 메모리가 너무 많이 듭니다. AVIF는 2,400만 픽셀까지 받습니다. 크기를 줄이거나 프로그레시브가 아닌 보통 JPEG로 저장해 다시 올려 주세요.",
        en="Opening this file takes too much memory. AVIF is accepted up to 24 million pixels. Make it smaller, or save it as a plain JPEG, not a progressive one.",
    ),
    "cut-off": say(
        ko="파일이 중간에 끊겨 있습니다. 원본에서 다시 내보내 올려 주세요.",
        en="The file ends in the middle. Export it again from the original and upload that.",
    ),
    "too-slow": say(
        ko="여는 데 너무 오래 걸려 그만두었습니다. 크기를 줄여 다시 올려 주세요.",
        en="Opening it took too long. Make it smaller and upload it again.",
    ),
}
_BROKEN = say(
    ko="사진으로 열리지 않는 파일입니다. 파일이 상했을 수 있으니 원본에서 다시 저장해 보세요.",
    en="This file does not open as a picture. It may be damaged: save it again from the original.",
)
_TOO_LARGE = say(
    ko=f"{MAX_MEGABYTES} MB까지 받습니다. 크기를 줄여 다시 올려 주세요.",
    en=f"Up to {MAX_MEGABYTES} MB. Make it smaller and upload it again.",
)
_BUSY = say(
    ko="지금 처리 중인 사진이 많아 대기 줄이 가득 찼습니다. 잠시 뒤에 다시 올려 주세요.",
    en="Many pictures are being processed and the waiting line is full. Upload it again in a moment.",
)
_ONE_AT_A_TIME = say(
    ko="앞서 올린 사진을 아직 처리하고 있습니다. 한 번에 한 장씩 차례대로 처리하니, 끝난 뒤 다시 올려 주세요.",
    en="Your earlier pictures are still being processed, one at a time. Upload this one again when they are done.",
)
_OWNER_GONE = say(
    ko="그사이 회원탈퇴가 되어 이 사진은 남기지 않았습니다.",
    en="You left meanwhile, so this picture was not kept.",
)
_NO_DECODER = say(
    ko="지금은 사진을 열 수 없습니다. 파일 탓이 아닙니다. 잠시 뒤 다시 올려 주세요.",
    en="Pictures cannot be opened just now. It is not your file: upload it again in a moment.",
)
_TOGETHER = say(
    ko=f"한 번에 모두 {MAX_MEGABYTES_TOGETHER} MB까지 받습니다. 이 파일은 따로 올려 주세요.",
    en=f"Up to {MAX_MEGABYTES_TOGETHER} MB at a time. Upload this one by itself.",
)


def removed_words(kinds: Iterable[str]) -> list[str]:
    """In the reader's language; a kind that has no word yet is told as other hidden data, never left out."""
    found = set(kinds)
    named = [str(words) for kind, words in KINDS.items() if kind in found and kind != "other"]
    return [*named, str(KINDS["other"])] if found - (KINDS.keys() - {"other"}) else named


def _storage_full(error: StorageFull) -> str:
    used, limit = size_words(error.used), size_words(error.limit)
    return str(
        say(
            ko=f"저장 공간이 부족해 이 사진을 올리지 못했습니다. 한 회원의 한도 {limit} 가운데 {used}를 쓰고 있습니다. 올린 사진을 삭제하면 그만큼 다시 올릴 수 있습니다.",
            en=f"Not enough storage for this picture: you use {used} of the {limit} each member has. Delete pictures you no longer need, then upload it again.",
        )
    )


def refusal_words(error: PictureError) -> str:
    match error:
        case StorageFull():
            return _storage_full(error)
        case OneAtATime():
            return str(_ONE_AT_A_TIME)
        case PictureTooLarge():
            return str(_TOGETHER if "together" in error.args else _TOO_LARGE)
        case NoDecoder():
            return str(_NO_DECODER)
        case OwnerGone():
            return str(_OWNER_GONE)
        case Busy():
            return str(_BUSY)
        case WrongType():
            return str({"heic": _HEIC, "avif-moving": _MOVING}.get(str(error.args[0]) if error.args else "", _TYPES))
        case _:
            return str(_REASONS.get(str(error.args[0]) if error.args else "", _BROKEN))
