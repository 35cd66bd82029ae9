"""A policy file that does not hold together is refused by one line: which file, which key, what is allowed there."""

import copy
import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgnom.policy.public import PolicyError, earlier_policy, load_policy, policy_from_source
from tests.unit.policies import BOTH, IMGNOM, LANGUAGES, PIPA, ROOT, copied, edited, read_or_refused, text_of

WRONG = [
    ('period = "P3M"', 'period = "three months"', "records.identity_after_leaving.period", "P3M"),
    ('period = "P3M"', 'period = "P"', "records.identity_after_leaving.period", "P3M"),
    ('period = "P3M"', 'period = "P101Y"', "records.identity_after_leaving.period", "P100Y"),
    ('period = "P3M"', 'period = "permanent"', "records.identity_after_leaving.period", "P3M"),
    ('period = "P3M"', "period = 3", "records.identity_after_leaving.period", "a text"),
    ('period = "P5D"', 'period = "PT5H"\nends = "day"', "file", "TOML"),
    ('zone = "Asia/Seoul"', 'zone = "Asia/Nowhere"', "zone", "Asia/Seoul"),
    ('zone = "Asia/Seoul"', 'zone = "../../etc/passwd"', "zone", "Asia/Seoul"),
    ("effective = 2024-03-04", 'effective = "soon"', "effective", "a date"),
    ("effective = 2024-03-04", "effective = 2024-03-04T00:00:00", "effective", "a date"),
    ('id = "imgnom"', "", "id", "a text"),
    ('id = "imgnom"', 'id = "a/b"', "id", "letters"),
    ('version = "1"', 'version = " "', "version", "a text"),
    ('version = "1"', 'version = "1"\nverzion = "1"', "verzion", "version"),
    ('collected = "registration"', 'collected = "whenever"', "items.username.collected", "registration"),
    ('collected = "registration"', 'collected = "planned"', "items.username", "registration"),
    ('store = "vault"', 'store = "drawer"', "items.username.store", "vault"),
    ('category = "pd:Username"', 'category = "Username"', "items.username.category", "pd:"),
    ('category = "pd:Username"', 'category = "pd:"', "items.username.category", "pd:"),
    ('label = { ko = "아이디", en = "ID" }', 'label = { ko = "아이디" }', "items.username.label", "en ="),
    ('label = { ko = "아이디", en = "ID" }', 'label = { ko = "아이디", en = " " }', "items.username.label", "en ="),
    ('label = { ko = "아이디", en = "ID" }', 'label = { ko = "아이디", en = "\\u0000" }', "items.username.label.en", "one line"),
    ('label = { ko = "아이디", en = "ID" }', 'label = "ID"', "items.username.label", "a table"),
    ("[items.access_log]", "[items.something_else]", "items.access_log", "[items.access_log]"),
    ('collected = "upload"\nstore = "default"', 'collected = "never"\nstore = "default"', "items.image_lookalike", "upload"),
    ('store = "vault"', 'store = "default"', "items.username", "vault"),
    ("required = true", "required = false", "items.username.required", "true"),
    ("public = true\n", "", "items.nickname.public", "true"),
    ("required = true\nstore", "required = true\npublic = true\nstore", "items.username.public", "false"),
    ("[items.email]\n", '[items.phone]\nlabel = { ko = "전화", en = "phone" }\ncategory = "pd:Phone"\ncollected = "registration"\nstore = "default"\n[items.email]\n', "items.phone.store", "vault"),
    ("required = true", 'required = "yes"', "items.username.required", "true or false"),
    ('third_party = ["S"]', 'third_party = ["police"]', "items.username.third_party", "A, C, S, W"),
    ('basis = "contract"', 'basis = "because"', "basis", "consent"),
    ('scope = "everyone"', 'scope = "some"', "scope", "everyone"),
    ('starts = "withdrawal"', 'starts = "upload"', "records.identity_after_leaving.starts", "withdrawal"),
    ('scope = "everyone"\nstore = "archive"', 'scope = "everyone"\nstore = "default"', "records.identity_after_leaving.store", "archive"),
    ('article = "A2.1"', 'article = "somewhere"', "purposes.service.article", "A3.1"),
    ('article = "A2.1"', 'article = "A9.9"', "purposes.service.article", "A3.1"),
    ('roles = ["system", "member"]', 'roles = ["king"]', "uses[0].roles", "officer"),
    ('roles = ["system", "member"]', "roles = []", "uses[0].roles", "officer"),
    ('roles = ["system", "member"]', "roles = [[1]]", "uses[0].roles", "officer"),
    ('roles = ["system", "member"]', 'roles = ["system", "system"]', "uses[0].roles", "once"),
    ('purpose = "identity"', 'purpose = "fun"', "uses[0].purpose", "identity"),
    ('item = "username"', 'item = "shoe"', "uses[0].item", "email"),
    ('item = "username"\npurpose = "rights"', 'item = "username"\npurpose = "identity"', "uses[1].item", "once"),
    ('purpose = "retention"\nroles = ["system"]', 'purpose = "retention"\nroles = ["officer"]', "uses.username.retention", "system"),
    ('consent = "marketing"', 'consent = "nothing"', "purposes.marketing.consent", "marketing"),
    ('consent = "marketing"', 'consent = "agree_privacy"', "purposes.marketing.consent", "marketing"),
    ('consent = "marketing"', "", "purposes.marketing.consent", "marketing"),
    ('email = "privacy@imgnom.example"', "", "officer.email", "a text"),
    ('email = "privacy@imgnom.example"', 'email = ""', "officer.email", "a text"),
    ('email = "privacy@imgnom.example"', 'email = "[email protected]"', "officer.email", "privacy@example.org"),
    ('contact = "privacy@imgnom.example"', 'contact = "a@b.c\\nBcc: d@e.f"', "operator.contact", "one line"),
    ("[settings.without_delay_days]\nvalue = 5", "[settings.without_delay_days]\nvalue = 50", "settings.without_delay_days.value", "1 to 10"),
    ("[settings.without_delay_days]\nvalue = 5", "[settings.without_delay_days]\nvalue = true", "settings.without_delay_days.value", "1 to 10"),
    ("[settings.allow_children]\nvalue = false", "[settings.allow_children]\nvalue = true", "settings.allow_children.value", "false"),
    ("[settings.rejoin_wait_days]\nvalue = 0", "[settings.rejoin_wait_days]\nvalue = 30", "settings.rejoin_wait_days.value", "0"),
    ("[settings.banner]", "[settings.bananas]", "settings.bananas", "banner"),
    ("[roles.visitor]", "[roles.visitor]\ncrown = true", "roles.visitor.crown", "staff"),
    ("[roles.visitor]", "[roles.guest]", "roles.visitor", "[roles.visitor]"),
    ("[cookies.imgnom_lang]", '[cookies."Bad Name"]', "cookies.Bad Name", "letter"),
    ('category = "necessary"', 'category = "sweet"', "cookies.imgnom_session.category", "necessary"),
    ('category = "necessary"', 'category = "analytics"', "cookies.imgnom_session", "necessary"),
    ('state = "built"', 'state = "maybe"', "state", "planned"),
    ("[operator]", "[operator", "file", "TOML"),
    ('id = "imgnom"', 'id = "imgnom"\nid = "again"', "file", "TOML"),
    ("[items.email]", "[items.username]", "file", "TOML"),
    ('items = ["username", "email", "nickname", "membership"]', 'items = ["username", "hat"]', "records.identity_after_leaving.items", "email"),
    ('items = ["username", "email", "nickname", "membership"]', 'items = ["username", "comment_text"]', "records.identity_after_leaving.items", "retention"),
    ('items = ["username", "email", "nickname", "membership"]', "items = []", "records.identity_after_leaving.items", "email"),
    ("[records.posts]", "[records.postings]", "records.postings.state", "planned"),
]  # fmt: skip


@pytest.mark.clause("I1", "A0.2")
@pytest.mark.parametrize(("old", "new", "key", "allowed"), WRONG, ids=[f"{n}-{row[2]}" for n, row in enumerate(WRONG)])
def test_a_policy_that_does_not_hold_together_is_refused_by_file_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, key: str, allowed: str
) -> None:
    folder = copied(tmp_path / "policy")
    text = (folder / "policy.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "policy.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policy(folder)
    assert key in refused.value.key
    assert allowed in refused.value.allowed
    assert str(folder / "policy.toml") in str(refused.value)
    assert "\n" not in str(refused.value)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, one in inside for path in _paths(one, (*at, key)))]


PATHS = _paths(IMGNOM.source["facts"])[1:]
DELETE = object()
VALUES = st.sampled_from([
    DELETE, 0, -1, 1.5, float("nan"), True, "", "  ", "\0", "x", [], {}, [1], [[]], [{}], [None], {"ko": 1}, date(2024, 1, 1), datetime(2024, 1, 1),
    "{{", "}}", "{{if x}}", "{{records.nope.period}}", "P1M", "permanent", "가" * 500, {"ko": "가", "en": "a", "fr": "a"}, 10**30,
])  # fmt: skip


@pytest.mark.clause("I1")
@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_whatever_is_put_anywhere_the_file_holds_together_or_is_refused_with_words(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    kept = copy.deepcopy(dict(IMGNOM.source))
    for path, value in changes:
        place: Any = kept["facts"]
        try:
            for step in path[:-1]:
                place = place[step]
            if value is DELETE:
                del place[path[-1]]
            else:
                place[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    found = read_or_refused(kept)
    if isinstance(found, PolicyError):
        assert found.key
        assert found.allowed
        assert "\n" not in str(found)
    else:
        assert all(text_of(found, lang) for lang in LANGUAGES)


@pytest.mark.clause("I1")
@pytest.mark.parametrize("table", sorted(k for k, v in IMGNOM.source["facts"].items() if isinstance(v, dict | list)))
@pytest.mark.parametrize("value", [1, "x", [], {}, [1], {"a": 1}, True], ids=repr)
def test_a_whole_table_of_the_wrong_kind_is_refused_with_its_name(table: str, value: Any) -> None:
    kept = copy.deepcopy(dict(IMGNOM.source))
    kept["facts"][table] = value
    found = read_or_refused(kept)
    assert isinstance(found, PolicyError)
    assert re.match(r"\w+", found.key)
    assert found.allowed


@pytest.mark.clause("I1", "A0.2")
@pytest.mark.parametrize(
    "table", ["items", "purposes", "uses", "records", "cookies", "roles", "consents", "settings", "clauses", "operator", "officer"]
)  # fmt: skip
def test_a_mandatory_part_that_is_empty_or_missing_is_refused_and_named(table: str) -> None:
    for change in (lambda facts: facts.pop(table), lambda facts: facts.update({table: [] if table == "uses" else {}})):
        with pytest.raises(PolicyError) as refused:
            edited(IMGNOM, change)
        assert table in str(refused.value)


# ── files as they come ───────────────────────────────────────────────────────────────────────────────────────────────


def _write(folder: Path, content: bytes, name: str = "policy.toml") -> Path:
    (folder / name).write_bytes(content)
    return folder


RAW = (ROOT / "imgnom" / "policy.toml").read_bytes()
FILES = {
    "empty": b"", "blank": b" \n\t\n", "one byte": b"\xff", "utf-16": RAW.decode().encode("utf-16"), "euc-kr": RAW.decode().encode("euc-kr", "replace"),
    "cut in a letter": RAW[: RAW.index("아".encode()) + 1], "cut in half": RAW[: len(RAW) // 2], "nul": RAW.replace(b"imgnom", b"img\0nom", 1),
    "huge": b"# " + b"x" * 1_100_000, "deep": b"a = " + b"[" * 5000 + b"]" * 5000, "json": b'{"id": "imgnom"}', "binary": bytes(range(256)) * 50,
    "long number": b"version = 1" + b"0" * 10_000,
}  # fmt: skip


@pytest.mark.clause("I1")
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_policy_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    folder = _write(copied(tmp_path / "policy"), FILES[name])
    with pytest.raises(PolicyError) as refused:
        load_policy(folder)
    assert str(folder / "policy.toml") in str(refused.value)
    assert refused.value.allowed
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["articles.ko.md", "articles.en.md", "terms.ko.md", "terms.en.md"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"), (b"", "is empty"), (b"\xff\xfe", "UTF-8"), (b"words without a heading", "before the first heading"),
        (b"## 1. Title\n", "has no sentence"), (b"## 1. A\n\n{{records.nope.period}}\n", "names nothing"), (b"## 1. A\n\n{{if}}a{{end}}\n", "asks nothing"),
        (b"## 1. A\n\n{{if items.email}}a\n", "{{end}}"), (b"## 1. A\n\na{{end}}\n", "without an if"), (b"## 1. A\n\na{{\n", "not closed"),
        (b"## 1. A\n\n{{if items.email}}a{{else}}b{{else}}c{{end}}\n", "after {{else}}"), (b"## 1. A\n\n[A0.1 Z9] b\n", "no clause"),
        (b"## 1. A\n\n{{if settings.nope is 1}}a{{end}}\n", "names nothing"), (b"## 1. A\n\n{{if settings.banner}}a{{end}}\n", "has a value"),
        (b"## 1. A\n\n" + b"{{if items.email}}" * 3000 + b"a" + b"{{end}}" * 3000, ""), (b"x" * 1_100_000, "larger"), (b"## 1. A\n\n\0", "zero byte"),
    ],
    ids=range(17),
)  # fmt: skip
def test_words_that_are_missing_or_broken_are_refused_by_their_file(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    folder = copied(tmp_path / "policy")
    if content is None:
        (folder / name).unlink()
    else:
        _write(folder, content, name)
    with pytest.raises(PolicyError) as refused:
        load_policy(folder)
    assert str(folder / name) in str(refused.value)
    assert said in str(refused.value)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    folder = copied(tmp_path / "policy")
    for file in folder.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_policy(folder).digest == IMGNOM.digest


@pytest.mark.parametrize("place", ["nowhere", "a file", "a folder named policy.toml", "\0"])
def test_a_place_without_a_policy_is_refused(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    if place == "a file":
        folder.write_text("x")
    if place.startswith("a folder"):
        (folder / "policy.toml").mkdir(parents=True)
    with pytest.raises(PolicyError, match=r"policy\.toml|is no folder"):
        load_policy(folder)


# ── one policy over another ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["name", "absolute", "relative", "beside", "chain", "same name"])
def test_an_operators_differences_extend_a_policy_wherever_both_lie(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "operators" / ("imgnom" if how == "same name" else "ours")
    folder.mkdir(parents=True)
    name = "imgnom"
    if how == "absolute":
        name = str(ROOT / "imgnom")
    if how == "relative":
        copied(tmp_path / "elsewhere" / "base")
        name = "../../elsewhere/base"
    if how == "beside":
        copied(tmp_path / "operators" / "base")
        name = "base"
    if how == "chain":
        name = "imgnom-pipa"
    facts = f'extends = {json.dumps(name)}\nid = "ours"\n[records.identity_after_leaving]\nperiod = "P6M"\n'
    (folder / "policy.toml").write_text(facts, encoding="utf-8")
    policy = load_policy(folder)
    assert policy.id == "ours"
    assert str(policy.records["identity_after_leaving"].period) == "P6M"
    assert policy.records["identity_after_leaving"].scope == ("open_case" if how == "chain" else "everyone")
    assert "6개월" in text_of(policy, "ko", "A3.1")
    assert policy.clauses.keys() == IMGNOM.clauses.keys()


@pytest.mark.parametrize(
    ("facts", "key", "said"),
    [
        ('extends = "."', "extends", "circle"), ('extends = "../b"', "extends", "circle"), ('extends = "nowhere"', "extends", "imgnom"),
        ("extends = 3", "extends", "bundled"), ('extends = ""', "extends", "bundled"), ('extends = "\\u0000"', "extends", "bundled"),
        ('extends = "imgnom"\nremove = "items.email"', "remove", "list"), ('extends = "imgnom"\nremove = [1]', "remove", "list"),
        ('extends = "imgnom"\nremove = ["items.shoe"]', "remove: items.shoe", "nothing of that name"),
        ('extends = "imgnom"\nremove = ["uses.email.shoe"]', "remove: uses.email.shoe", "nothing of that name"),
        ('extends = "imgnom"\nremove = ["purposes.statistics"]', "uses", "statistics"),
        ('extends = "imgnom"\nremove = ["clauses.A3.2①"]', "article", "A3.2①"),
        ('extends = "imgnom"\nuses = 3', "uses", "list of tables"), ('extends = "imgnom"\nuses = [3]', "uses", "table"),
    ],
)  # fmt: skip
def test_differences_that_lead_nowhere_are_refused(tmp_path: Path, facts: str, key: str, said: str) -> None:
    for name, text in (("a", facts), ("b", 'extends = "../a"')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policy(tmp_path / "a")
    assert key in refused.value.key
    assert said in str(refused.value)


def test_an_error_names_the_file_that_said_it(tmp_path: Path) -> None:
    base = copied(tmp_path / "base")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "policy.toml").write_text('extends = "base"\nid = "ours"\n', encoding="utf-8")
    text = (base / "policy.toml").read_text(encoding="utf-8")
    (base / "policy.toml").write_text(text.replace('period = "P3M"', 'period = "soon"', 1), encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policy(tmp_path / "ours")
    assert refused.value.file == str(base / "policy.toml")


@pytest.mark.clause("A0.3", "S1")
@pytest.mark.parametrize("policy", BOTH.values(), ids=BOTH)
def test_a_policy_read_back_from_what_was_kept_is_the_same_to_the_byte(policy: Any) -> None:
    kept = json.loads(json.dumps(policy.source))
    again = policy_from_source(kept)
    assert again.digest == policy.digest
    assert [text_of(again, lang) for lang in LANGUAGES] == [text_of(policy, lang) for lang in LANGUAGES]
    kept["wording"]["articles.en.md"] += " "
    assert policy_from_source(kept).digest != policy.digest


# ── the inventory and the settings of the bundled policies ───────────────────────────────────────────────────────────


@pytest.mark.clause("A1.0", "A2.0", "A3.0b")
@pytest.mark.parametrize("policy", BOTH.values(), ids=BOTH)
def test_every_item_says_what_for_on_which_basis_who_sees_it_and_how_long(policy: Any) -> None:
    for item in policy.items.values():
        assert item.fides
        if item.collected == "never":
            assert not policy.purposes_of(item.id)
            continue
        assert [purpose.basis for purpose in policy.purposes_of(item.id)]
        assert all(use.roles for use in policy.uses_of(item.id))
        records = policy.records_of(item.id)
        assert records or item.store == "browser"
        if item.collected == "planned":
            assert all(record.state == "planned" for record in records)


@pytest.mark.parametrize("policy", BOTH.values(), ids=BOTH)
def test_every_ambiguity_of_the_document_is_decided_by_somebody_for_a_reason(policy: Any) -> None:
    decided = {number for one in policy.settings.values() for number in re.findall(r"\bQ(\d+)\b", one.why)}
    assert decided == {str(number) for number in range(1, 38)}
    assert all(one.decided_by and len(one.why) > 20 for one in policy.settings.values())


@pytest.mark.clause("A3.1", "A3.2②", "A3.2③")
def test_the_two_policies_differ_as_their_table_says() -> None:
    for name, scope, member, choice, basis in (
        ("imgnom", "everyone", "P5Y", "keep", "consent"), ("imgnom-pipa", "open_case", "P3M", "delete", "contract"),
    ):  # fmt: skip
        policy = BOTH[name]
        assert policy.records["identity_after_leaving"].scope == scope
        assert str(policy.records["identity_after_leaving"].period) == "P3M"
        assert str(policy.records["access_records_member"].period) == member
        assert str(policy.records["access_records_visitor"].period) == "P3M"
        assert policy.setting("content_without_choice") == choice
        assert policy.purposes["service"].basis == basis
        assert {policy.records[key].scope for key in ("one_way_entry", "dispute_record")} == {"final_sanction"}
    assert "access_records_sanctioned" not in IMGNOM.records
    sanctioned = PIPA.records["access_records_sanctioned"]
    assert (str(sanctioned.period), sanctioned.starts, sanctioned.scope) == ("P5Y", "final_sanction", "final_sanction")
    assert (IMGNOM.setting("fraud_review_years"), PIPA.setting("fraud_review_years")) == (0, 2)


def test_a_version_kept_before_a_cookie_was_needed_is_read_and_files_must_name_it() -> None:
    """An upgraded home still reads what it approved, or it could not even ask for the approval of the new file."""
    kept = json.loads(json.dumps(IMGNOM.source))
    before = kept["facts"]["cookies"].pop("imgnom_device")
    assert before["category"] == "necessary"
    with pytest.raises(PolicyError, match="imgnom_device"):
        policy_from_source(kept)
    policy = earlier_policy(kept)
    assert "imgnom_device" not in policy.cookies
    assert policy.digest != IMGNOM.digest
