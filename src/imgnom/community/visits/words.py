"""What a record says in plain words: by its kind, and for visits and changes by the page it was."""

from imgnom.web.words import say

_KINDS = {
    "login": say(ko="로그인", en="Signed in"),
    "logout": say(ko="로그아웃", en="Signed out"),
    "failed_login": say(ko="로그인 실패", en="Sign-in failed"),
    "step_up": say(ko="본인 확인", en="Proved it was you"),
}
# The beginning of a route, longest first, and what looking and doing there are called.
_PAGES = (
    ("i/<str:public_id>/comments", say(ko="댓글", en="Comments"), say(ko="댓글 쓰기", en="Wrote a comment")),
    ("i/", say(ko="사진 보기", en="Looked at a picture"), say(ko="사진 바꾸기", en="Changed a picture")),
    ("comments/", say(ko="댓글 보기", en="Looked at a comment"), say(ko="댓글 바꾸기", en="Changed a comment")),
    ("upload", say(ko="올리기 화면", en="Opened the upload page"), say(ko="사진 올리기", en="Uploaded")),
    ("me/records", say(ko="접속 기록 보기", en="Read access records"), say(ko="접속 기록", en="Access records")),
    ("me/export", say(ko="내 것 받기 화면", en="Opened the download page"), say(ko="내 것 받기", en="Downloaded")),
    ("me/consents", say(ko="동의 보기", en="Read consents"), say(ko="동의 바꾸기", en="Changed consents")),
    ("me/withdraw", say(ko="탈퇴 화면", en="Opened the withdrawal page"), say(ko="회원탈퇴", en="Withdrew")),
    ("me/", say(ko="내 정보 보기", en="Read own details"), say(ko="내 정보 바꾸기", en="Changed own details")),
    ("signup", say(ko="가입 화면", en="Opened the sign-up page"), say(ko="가입", en="Signed up")),
    ("login", say(ko="로그인 화면", en="Opened the sign-in page"), say(ko="로그인 시도", en="Tried to sign in")),
    ("step-up", say(ko="본인 확인 화면", en="Asked for proof"), say(ko="본인 확인", en="Proved it was you")),
    ("privacy", say(ko="개인정보처리방침 보기", en="Read the privacy policy"), say(ko="쿠키 고르기", en="Chose cookies")),
    ("search", say(ko="찾기", en="Searched"), say(ko="찾기", en="Searched")),
    ("a/", say(ko="앨범 보기", en="Looked at an album"), say(ko="앨범 바꾸기", en="Changed an album")),
    ("desk", say(ko="운영실 보기", en="Looked at the desk"), say(ko="운영실에서 처리", en="Acted at the desk")),
)  # fmt: skip
_VISIT, _CHANGE = say(ko="방문", en="Visit"), say(ko="바꿈", en="Change")
_GALLERY = say(ko="둘러보기", en="Looked around")


def happening_of(kind: str, route: str) -> str:
    """One short phrase in the reader's language."""
    if kind in _KINDS:
        return _KINDS[kind]
    for beginning, looked, did in _PAGES:
        if route.startswith(beginning):
            return looked if kind == "visit" else did
    if not route:
        return _GALLERY
    return _VISIT if kind == "visit" else _CHANGE
