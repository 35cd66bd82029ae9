"""What an error page says: the fact, what became of what was sent, and what to do next. Nothing it cannot know.

A refusal that comes before anything is done may say that nothing changed. A breakdown may not: nobody knows how far the
work had gone.
"""

from dataclasses import dataclass

from imgnom.web.dates import wait_words
from imgnom.web.language import Language


@dataclass(frozen=True)
class Words:
    title: str
    lead: str


_TEXTS: dict[str, dict[Language, Words]] = {
    "400": {
        "ko": Words(
            "알아볼 수 없는 요청입니다",
            "보낸 것이 깨진 채로 와서 아무 일도 하지 않았습니다. 앞 페이지로 돌아가 처음부터 다시 해 보세요.",
        ),
        "en": Words(
            "This request cannot be read",
            "What was sent arrived damaged, so nothing was done with it. Go back one page and start again.",
        ),
    },
    "401": {
        "ko": Words("로그인이 필요합니다", "로그인하면 이 페이지가 열립니다."),
        "en": Words("This page needs a sign-in", "Once you are signed in, it opens."),
    },
    "403": {
        "ko": Words(
            "이 페이지는 열려 있지 않습니다",
            "볼 수 있는 사람이 정해진 곳입니다. 볼 수 있는 계정이 있으면 그 계정으로 로그인해 주세요.",
        ),
        "en": Words(
            "This page is not open to you",
            "Only some accounts may see it. If one of them is yours, sign in with that one.",
        ),
    },
    "csrf": {
        "ko": Words(
            "양식이 오래되어 받지 않았습니다",
            "보낸 것이 이 사이트의 양식에서 왔는지 확인하지 못해 아무것도 바꾸지 않았습니다. 앞 페이지로 돌아가 "
            "새로 고친 뒤 다시 보내 주세요. 브라우저가 쿠키를 막고 있다면 이 사이트만 허락해 주세요.",
        ),
        "en": Words(
            "This form was too old to accept",
            "It could not be shown to come from a form of this site, so nothing was changed. Go back, reload the page "
            "and send it again. If your browser blocks cookies, allow them for this site.",
        ),
    },
    "404": {
        "ko": Words(
            "여기에는 아무것도 없습니다",
            "지워졌거나, 볼 수 있는 사람이 정해져 있거나, 주소가 다릅니다.",
        ),
        "en": Words(
            "There is nothing here",
            "It was deleted, or it is open to some people only, or the address is wrong.",
        ),
    },
    "405": {
        "ko": Words(
            "이 주소는 이렇게 열 수 없습니다",
            "양식을 보낼 때만 쓰는 주소입니다. 아무 일도 하지 않았습니다. 앞 페이지의 단추를 눌러 주세요.",
        ),
        "en": Words(
            "This address does not open like this",
            "It only answers a form. Nothing was done. Use the button on the page before.",
        ),
    },
    "409": {
        "ko": Words(
            "이미 한 일입니다",
            "같은 일을 두 번 하지 않았습니다. 처음 한 것은 그대로 남아 있습니다.",
        ),
        "en": Words(
            "This has been done already", "It was not done a second time. What came of the first still stands."
        ),
    },
    "413": {
        "ko": Words(
            "받을 수 있는 크기를 넘었습니다",
            "너무 커서 아무것도 저장하지 않았습니다. 파일을 줄이거나 나누어 다시 보내 주세요.",
        ),
        "en": Words(
            "This is larger than we accept",
            "Nothing of it was stored. Make the file smaller, or send fewer at a time.",
        ),
    },
    "414": {
        "ko": Words(
            "주소가 너무 깁니다",
            "주소가 받을 수 있는 길이를 넘어 열지 않았습니다. 주소를 줄이거나 첫 화면에서 찾아가 주세요.",
        ),
        "en": Words(
            "This address is too long",
            "The address is longer than we accept, so nothing was opened. Shorten it, or start from the front page.",
        ),
    },
    "415": {
        "ko": Words(
            "받지 않는 종류의 파일입니다",
            "아무것도 저장하지 않았습니다. JPEG, PNG, WebP, GIF, AVIF 사진으로 바꾸어 다시 보내 주세요.",
        ),
        "en": Words(
            "This kind of file is not accepted",
            "Nothing was stored. Save it as a JPEG, PNG, WebP, GIF or AVIF picture and send it again.",
        ),
    },
    "422": {
        "ko": Words(
            "고칠 곳이 있습니다",
            "적은 것 가운데 맞지 않는 것이 있어 받지 않았습니다. 앞 페이지로 돌아가 고쳐 주세요.",
        ),
        "en": Words(
            "Something needs mending",
            "Part of what was entered does not fit, so it was not accepted. Go back one page and change it.",
        ),
    },
    "429": {
        "ko": Words(
            "너무 여러 번 해서 잠시 멈췄습니다",
            "이번 것은 하지 않았습니다. {wait} 뒤에 다시 해 주세요.",
        ),
        "en": Words(
            "Too many tries, so this one was held",
            "What you just asked for was not done. Try again in {wait}.",
        ),
    },
    "431": {
        "ko": Words(
            "브라우저가 보낸 쿠키가 너무 많습니다",
            "쿠키가 받을 수 있는 길이를 넘어 열지 않았습니다. 이 사이트의 쿠키를 지우고 다시 열어 주세요.",
        ),
        "en": Words(
            "Your browser sent too many cookies",
            "They are longer than we accept, so nothing was opened. Delete this site's cookies and try again.",
        ),
    },
    "500": {
        "ko": Words(
            "우리 쪽에서 고장이 났습니다",
            "하던 일이 어디까지 되었는지 알 수 없습니다. 다시 하기 전에 되었는지 먼저 살펴봐 주세요. "
            "어느 곳이 고장 났는지만 기록했고, 적은 내용은 기록하지 않았습니다.",
        ),
        "en": Words(
            "Something broke on our side",
            "How far the work had gone is not known: look whether it was done before doing it again. "
            "Only the place that broke was noted, nothing of what you entered.",
        ),
    },
    "503": {
        "ko": Words(
            "지금은 답할 수 없습니다",
            "하던 일이 되었는지는 다시 열렸을 때 먼저 살펴봐 주세요. {wait} 뒤에 다시 열어 주세요.",
        ),
        "en": Words(
            "The site cannot answer just now",
            "Come back in {wait}, and look first whether what you were doing was done.",
        ),
    },
    "507": {
        "ko": Words(
            "새로 저장할 자리가 없습니다",
            "보낸 것은 저장하지 못했습니다. 보는 일, 로그인, 회원탈퇴는 그대로 됩니다. {wait} 뒤에 다시 보내 주세요.",
        ),
        "en": Words(
            "There is no room to store more",
            "What you sent was not stored. Looking, signing in and leaving still work. Send it again in {wait}.",
        ),
    },
}
_LIKE = dict.fromkeys(range(400, 500), "400") | dict.fromkeys(range(500, 600), "500")
DEFAULT_WAIT_SECONDS = 30


def words_for(kind: int | str, lang: Language, *, retry_after: int | None = None) -> Words:
    """The words of a status, or of `csrf`. `retry_after` in seconds."""
    texts = _TEXTS.get(str(kind)) or _TEXTS[_LIKE.get(int(kind), "500")]
    words = texts[lang]
    wait = wait_words(retry_after if retry_after is not None else DEFAULT_WAIT_SECONDS, lang)
    return Words(words.title, words.lead.replace("{wait}", wait))
