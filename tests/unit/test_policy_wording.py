"""Text = facts: every sentence of the articles says what the file says, in both languages, whatever an operator edits."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgnom.policy.engine import ITEMS
from imgnom.policy.public import (
    Policy,
    PolicyError,
    load_policy,
    parse_period,
    render_articles,
    render_terms,
    words_for_period,
)
from tests.unit.policies import BOTH, IMGNOM, LANGUAGES, PIPA, copied, edited, text_of

SEED_CLAUSES = [
    "A0.1",
    "A0.2",
    "A0.3",
    "A1.0",
    "A1.1",
    "A1.2",
    "A2.0",
    "A2.1",
    "A2.2",
    "A2.2a",
    "A2.2b",
    "A2.2c",
    "A2.2d",
    "A2.2e",
    "A2.2f",
    "A2.2g",
    "A2.2h",
    "A2.3",
    "A2.3a",
    "A2.3b",
    "A2.3c",
    "A2.3d",
    "A2.4",
    "A3.0a",
    "A3.0b",
    "A3.1",
    "A3.2.0",
    "A3.2①",
    "A3.2②",
    "A3.2③",
    "A3.2④",
    "A4.0",
    "A4.1①",
    "A4.1②",
    "A4.2",
    "A5.0",
    "A5.1",
    "A5.2",
    "A6.1",
    "A6.2",
    "A7.1",
    "A7.2a",
    "A7.2b",
    "A7.2c",
    "A7.2d",
    "A7.3a",
    "A7.3b",
    "A7.4",
    "A8.0",
    "A8.1",
    "A8.2",
    "A8.3",
    "A9.1",
    "A9.2",
    "A9.3",
    "S1",
    "B1",
    "B2",
]
# What each sentence of the published document promises, as words that must not be lost from ours. (Korean, English)
PROMISES = {
    "A0.1": (("정보통신망", "소중"), ("Network Utilization", "dear")), "A0.2": (("목적", "방법|어떻게", "조치"), ("purposes", "ways", "protect")),
    "A0.3": (("공지", "한 사람"), ("announced on the site", "each person")), "A1.0": (("회원가입", "상담", "서비스 신청"), ("joining", "consultation", "applying")),
    "A1.1": (("아이디", "비밀번호", "닉네임", "이메일"), ("ID", "password", "nickname", "e-mail")),
    "A1.2": (
        ("서비스 이용 기록", "접속 기록", "방문 일시", "기기 정보", "쿠키", "IP 주소", "불량 이용 기록"),
        ("service use", "access records", "time of visit", "device information", "cookies", "IP address", "misuse records"),
    ),
    "A2.1": (("서비스", "콘텐츠"), ("agreement on the service", "content")), "A2.2a": (("본인 확인",), ("knowing it is you",)), "A2.2b": (("식별",), ("apart",)),
    "A2.2c": (("불량 회원", "허락 없는"), ("delinquent", "without permission")), "A2.2d": (("가입 의사",), ("mean to join",)), "A2.2e": (("불만",), ("complaints",)),
    "A2.2f": (("여러 계정",), ("several accounts",)), "A2.2g": (("중복 가입",), ("repeated joining",)), "A2.2h": (("고지",), ("notices",)),
    "A2.3a": (("마케팅", "광고"), ("marketing", "advertising")), "A2.3b": (("새 서비스", "특화"), ("new services", "special")), "A2.3c": (("이벤트", "광고"), ("events", "advertising")),
    "A2.3d": (("인구 특성", "서비스", "광고"), ("demographic", "services", "advertising")), "A2.4": (("자주|빈도", "통계"), ("often|frequency", "statistics")),
    "A3.0a": (("목적", "탈퇴", "수집과 제공", "조치"), ("purpose", "leaving", "collection and provision", "destroyed")), "A3.0b": (("내부 방침", "법령"), ("Internal rules", "laws")),
    "A3.1": (("부정 이용자", "기관", "협조", "3개월"), ("misusers", "agencies", "cooperate", "3 months")), "A3.2.0": (("분쟁", "부정", "다시 가입", "여러 번"), ("disputes", "misuse", "again", "several times")),
    "A3.2①": (("닉네임", "사진 파일", "댓글", "기한 없이"), ("nickname", "picture files", "comments", "without end")), "A3.2②": (("접속 기록", "5년", "보거나 쓸 수 없"), ("Access records", "5 years", "view or use")),
    "A3.2③": (("자체는 두지 않", "해시", "일방향", "되돌릴 수 없", "기한 없이"), ("not itself kept", "hashing", "one-way", "irreversible", "without end")),
    "A3.2④": (("분쟁", "이용제한", "기한 없이"), ("disputes", "restrictions", "without end")), "A4.0": (("지체 없이", "원칙"), ("without delay", "principle")),
    "A4.1①": (("분리", "서류함", "내부 방침", "기간"), ("separate database", "cabinet", "internal rules", "period")), "A4.1②": (("법에 따른", "다른 데"), ("law", "nothing but the purpose")),
    "A4.2": (("전자 파일", "되살릴 수 없는", "기술적 방법"), ("electronic files", "technical means", "cannot be brought back")), "A5.0": (("원칙", "바깥"), ("principle", "outside")),
    "A5.1": (("미리 동의",), ("agreed beforehand",)), "A5.2": (("수사기관", "사이버수사대", "경찰서", "절차와 방법"), ("investigating agency", "cyber", "police station", "procedure")),
    "A6.1": (("동의 없이", "업체"), ("without the consent", "company")), "A6.2": (("맡는 곳", "맡기는 일", "먼저 동의"), ("who would be entrusted", "what work", "consent is asked first")),
    "A7.1": (("법정대리인", "14세 미만", "언제든", "해지"), ("legal representatives", "under 14", "any time", "end")), "A7.2a": (("‘개인정보 변경’", "‘회원정보 수정’"), ("“Change personal information”", "“Edit member information”")),
    "A7.2b": (("‘회원탈퇴’", "동의 철회", "본인 확인"), ("“Withdraw membership”", "withdraw consent", "identity check")), "A7.2c": (("직접", "절차를 거친 뒤"), ("yourself", "going through")),
    "A7.2d": (("이메일", "지체 없이"), ("mail", "without delay")), "A7.3a": (("고칠 때까지", "쓰거나 제공하지 않"), ("neither used nor provided",)), "A7.3b": (("제3자", "지체 없이"), ("third party", "without delay")),
    "A7.4": (("해지", "지워진", "3조", "보거나 쓸 수 없"), ("cancelled or deleted", "Article 3", "viewed or used")), "A8.0": (("저장", "찾아내", "서버", "브라우저", "하드디스크"), ("store", "find", "server", "browser", "hard disk")),
    "A8.1": (("회원과 비회원", "빈도", "취향", "자취", "이벤트", "방문 횟수", "마케팅", "맞춤 서비스"), ("members and others", "often", "tastes", "traces", "events", "marketing", "personal services")),
    "A8.2": (("도구 > 인터넷 옵션 > 개인정보",), ("Tools > Internet Options > Privacy",)), "A8.3": (("어렵",), ("hard to use",)), "A9.1": (("관리책임자", "불만"), ("officer", "complaints")),
    "A9.2": (("관리자",), ("Administrator",)), "A9.3": (("privacy@imgnom.example",), ("privacy@imgnom.example",)), "S1": (("2024-03-04", "시행"), ("2024-03-04", "applies")),
    "B1": (("쿠키", "맞추"), ("Cookies", "suit")), "B2": (("계속 방문", "동의"), ("goes on visiting", "agrees")),
}  # fmt: skip


@pytest.mark.clause("A0.2")
@pytest.mark.parametrize("policy", BOTH.values(), ids=BOTH)
def test_every_clause_of_the_document_is_promised_in_a_sentence_of_both_languages(policy: Policy) -> None:
    for lang in LANGUAGES:
        marked = {clause for a in render_articles(policy, lang) for p in a.paragraphs for clause in p.clauses}
        assert set(SEED_CLAUSES) <= marked
        for article in render_articles(policy, lang):
            assert all(p.clauses for p in article.paragraphs), "no sentence stands without its clause"


@pytest.mark.clause("A0.2")
@pytest.mark.parametrize("clause", PROMISES)
def test_no_promise_of_the_published_document_is_lost(clause: str) -> None:
    for lang, words in zip(LANGUAGES, PROMISES[clause], strict=True):
        text = text_of(IMGNOM, lang, clause)
        assert [word for word in words if not re.search(word, text)] == [], text


@pytest.mark.clause("A0.2")
def test_every_figure_of_the_articles_comes_from_the_facts() -> None:
    for policy in BOTH.values():
        for lang in LANGUAGES:
            for article in (*render_articles(policy, lang), *render_terms(policy, lang)):
                for paragraph in article.paragraphs:
                    own = " ".join(s.text for s in paragraph.segments if s.key is None)
                    # Numbers of points, articles, and the age that the law sets are no figures of ours.
                    own = re.sub(r"(?:^|(?<=\s))\d\. |\(?3조\)?|Article 3|만 14세|(?:under |is )14|제3자", "", own)
                    assert not re.search(r"\d", own), own


@pytest.mark.clause("A0.2", "A3.1", "A3.2②")
def test_the_stricter_policy_says_what_it_does_and_not_what_the_other_does() -> None:
    korean, english = (text_of(PIPA, lang, "A3.1", "A3.2②") for lang in LANGUAGES)
    assert "사건이 열려 있는 회원이 탈퇴할 때에만" in korean
    assert "while a misuse case is open" in english
    assert "회원의 것은 방문한 날부터 3개월" in korean
    assert "이용제한이 확정된 날부터 5년" in korean
    assert "of every member" not in english
    assert "약속한 서비스를 드리는 데 필요해서 모읍니다" in text_of(PIPA, "ko", "A1.0")
    assert "동의를 받아 모읍니다" not in text_of(PIPA, "ko", "A1.0")
    assert "지웁니다" in text_of(PIPA, "ko", "A3.2①")
    assert "2년마다" in text_of(PIPA, "ko", "A3.2③", "A3.2④")
    other = text_of(IMGNOM, "ko", "A3.1", "A3.2②")
    assert "회원의 것은 방문한 날부터 5년" in other
    assert "이용제한이 확정된" not in other
    assert "년마다" not in text_of(IMGNOM, "ko", "A3.2③", "A3.2④")


PERIODS = st.builds(lambda n, unit: f"P{n}{unit}", st.integers(1, 90), st.sampled_from("YMD"))
FREE = ("identity_after_leaving", "access_records_member", "access_records_visitor")


@pytest.mark.clause("I1", "A0.2")
@given(st.sampled_from(sorted(BOTH)), st.dictionaries(st.sampled_from(FREE), PERIODS, min_size=1))
def test_a_changed_period_is_what_the_sentence_says_and_the_old_one_is_gone(name: str, periods: dict[str, str]) -> None:
    def change(facts: dict[str, Any]) -> None:
        for record, period in periods.items():
            facts["records"][record]["period"] = period

    policy = edited(BOTH[name], change)
    for lang in LANGUAGES:
        text = text_of(policy, lang, "A3.1", "A3.2②")
        said = set(re.findall(r"\d+(?:년|개월|일)|\d+ (?:year|month|day)s?", text))
        kept = [*FREE, *(["access_records_sanctioned"] if name == "imgnom-pipa" else [])]
        assert said == {words_for_period(policy.records[record].period, lang) for record in kept}
        promise = policy.clauses["A3.1"].promise.get(lang)
        assert words_for_period(policy.records["identity_after_leaving"].period, lang) in promise


@pytest.mark.clause("I1", "A0.2")
@given(
    st.sampled_from(["everyone", "open_case", "final_sanction", "nobody"]), st.sampled_from(["keep", "anonymise", "delete"]), st.integers(1, 10),
    st.integers(7, 365), st.integers(0, 10), st.sampled_from(["both", "site"]), st.sampled_from(["refuse", "review"]), st.sampled_from(["ask", "literal"]),
)  # fmt: skip
def test_the_sentences_turn_with_scope_and_settings(
    scope: str, choice: str, delay: int, lead: int, review: int, notice: str, agency: str, banner: str
) -> None:
    values = {
        "content_without_choice": choice, "without_delay_days": delay, "policy_lead_days": lead, "fraud_review_years": review,
        "policy_notice": notice, "agency_S_requests": agency, "banner": banner,
    }  # fmt: skip

    def change(facts: dict[str, Any]) -> None:
        facts["records"]["identity_after_leaving"]["scope"] = scope
        for name, value in values.items():
            facts["settings"][name]["value"] = value

    policy = edited(IMGNOM, change)
    said = lambda *clauses: text_of(policy, "en", *clauses)  # noqa: E731
    assert ("of every member who leaves" in said("A3.1")) == (scope == "everyone")
    assert ("while a misuse case is open" in said("A3.1")) == (scope == "open_case")
    assert ("under a final restriction" in said("A3.1")) == (scope == "final_sanction")
    assert ("nothing is kept of who has left" in said("A3.1")) == (scope == "nobody")
    assert ("3 months" in said("A3.1")) == (scope != "nobody")
    ends = {"keep": "stay as they are", "anonymise": "lose their name", "delete": "are deleted"}
    assert [word for word in ends.values() if word in said("A3.2①")] == [ends[choice]]
    assert f"within {delay} days" in said("A4.0")
    assert f"within {delay} days" in said("A7.2d")
    assert f"at least {lead} days" in said("A0.3")
    assert (f"Every {review} years" in said("A3.2③")) == (review > 0)
    assert ("Where an item, a purpose" in said("A0.3")) == (notice == "both")
    assert ("are refused" in said("A5.2")) == (agency == "refuse")
    assert ("Silence is refusal" in said("B2")) == (banner == "ask")
    for lang in LANGUAGES:
        assert "{{" not in text_of(policy, lang)


@pytest.mark.clause("I1", "A0.2", "A1.0")
@given(
    st.sampled_from(
        ["registration", "automatic", "upload", "comment", "system", "staff", "consultation", "application"]
    )
)
def test_an_added_item_stands_in_the_articles_wherever_it_is_collected(collected: str) -> None:
    def add(facts: dict[str, Any]) -> None:
        facts["items"]["shoe_size"] = {
            "label": {"ko": "신발 치수", "en": "shoe size"}, "category": "pd:Size", "collected": collected,
            "store": "vault" if collected == "registration" else "browser",
        }  # fmt: skip
        facts["uses"].append({"item": "shoe_size", "purpose": "rights", "roles": ["member"]})

    assert "shoe size" not in text_of(IMGNOM, "en")
    policy = edited(IMGNOM, add)
    assert "신발 치수" in text_of(policy, "ko", "A1.0", "A1.1", "A1.2")
    assert "shoe size" in text_of(policy, "en", "A1.0", "A1.1", "A1.2")
    if collected in ("consultation", "application"):
        assert "are not open yet" not in text_of(policy, "en", "A1.0")
    if collected == "registration":
        assert "5" in policy.clauses["A1.1"].promise.en


OPTIONAL = sorted(
    p.id
    for p in IMGNOM.purposes.values()
    if p.article.startswith("A2.3") or p.id in ("statistics", "complaints", "identification")
)


@pytest.mark.clause("I1", "A0.2", "A2.0")
@given(st.sets(st.sampled_from(OPTIONAL), min_size=1))
def test_a_purpose_that_is_taken_out_is_said_to_be_out_and_its_clause_still_stands(gone: set[str]) -> None:
    def remove(facts: dict[str, Any]) -> None:
        for use in facts["uses"]:
            if (
                use["purpose"] in gone and use["item"] in ITEMS
            ):  # it is kept whatever the file says: for another purpose
                use["purpose"] = "investigation"
        facts["uses"] = list(
            {(use["item"], use["purpose"]): use for use in facts["uses"] if use["purpose"] not in gone}.values()
        )
        used = {use["item"] for use in facts["uses"]}
        for item in [key for key in facts["items"] if key not in used and key != "exif"]:
            del facts["items"][item]
            for name, record in list(facts["records"].items()):
                record["items"] = [i for i in record["items"] if i != item]
                if not record["items"] and record.get("state") == "planned" and name != "dispute_record":
                    del facts["records"][name]
        for purpose in gone:
            del facts["purposes"][purpose]
            facts["consents"].pop(purpose, None)

    policy = edited(IMGNOM, remove)
    for lang in LANGUAGES:
        text = text_of(policy, lang, *(c for c in SEED_CLAUSES if c.startswith("A2")))
        for purpose in gone:
            before = IMGNOM.purposes[purpose]
            clause = text_of(policy, lang, before.article)
            assert clause, "the clause keeps its sentence"
            assert f"- {before.label.get(lang)}" not in text
            none = "이 목적으로는 쓰지 않습니다" if lang == "ko" else "Nothing is used for this"
            assert none in clause


def _words(folder: Path, name: str, old: str, new: str) -> Path:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


@pytest.mark.clause("A0.2")
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("articles.en.md", "[A5.1] ", "", "[A5.1]"), ("articles.ko.md", "[A5.1] ", "", "[A5.1]"), ("articles.en.md", "[A5.1]", "[A5.0]", "A5.1"),
        ("articles.en.md", "## 5. Provision to others", "Provision to others", "articles"), ("articles.en.md", "{{each purposes A2.2}}", "{{each purposes A2.9}}", "A2.9"),
        ("articles.ko.md", "{{records.posts.fate}}", "{{records.posts.fade}}", "fade"), ("articles.en.md", "scope is everyone|members", "scop is everyone", "scop"),
        ("terms.en.md", "## 8. Changes", "Changes", "terms.en.md"), ("terms.ko.md", "{{effective}}", "{{effective.day}}", "effective.day"),
    ],
)  # fmt: skip
def test_words_that_lose_a_clause_or_differ_between_the_languages_are_refused(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    with pytest.raises(PolicyError) as refused:
        load_policy(_words(copied(tmp_path / "policy"), name, old, new))
    assert said in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_an_operators_own_words_replace_a_whole_document_and_may_use_turns(tmp_path: Path) -> None:
    folder = copied(tmp_path / "policy")
    for name, word in (("terms.ko.md", "가"), ("terms.en.md", "a")):
        (folder / name).write_text(
            f"## 1. {word}\n\n{{{{if records.posts.period is permanent and not items.phone}}}}{word}{{{{if settings.dual_control is not two_people}}}}{word}"
            f"{{{{else}}}}x{{{{end}}}}{{{{elif items.phone}}}}y{{{{else}}}}z{{{{end}}}} {{{{records.session.period}}}}\n",
            encoding="utf-8",
        )
    policy = load_policy(folder)
    assert [p.text for a in render_terms(policy, "ko") for p in a.paragraphs] == ["가가 30일"]
    assert [p.text for a in render_terms(policy, "en") for p in a.paragraphs] == ["aa 30 days"]
    assert render_articles(policy, "en") == render_articles(IMGNOM, "en")


def test_words_from_the_facts_are_marked_with_the_key_they_come_from() -> None:
    for lang in LANGUAGES:
        segments = [s for a in render_articles(IMGNOM, lang) for p in a.paragraphs for s in p.segments if s.key]
        keys = {s.key for s in segments}
        assert {
            "records.posts.fate",
            "list.items.registration",
            "settings.without_delay_days",
            "officer.email",
            "effective",
        } <= keys
        fates = {s.key: s.text for s in segments}
        assert words_for_period(parse_period("P3M"), lang) in fates["records.identity_after_leaving.fate"]


def test_a_file_that_calls_itself_by_markup_is_text_and_nothing_else() -> None:
    sly = "{{officer.email}} [A3.1] <b>"
    policy = edited(IMGNOM, lambda f: f["items"]["nickname"]["label"].update(en=sly))
    assert sly in text_of(policy, "en", "A1.1")
