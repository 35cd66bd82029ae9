"""Contacts that stand for nobody are told from real ones, the bundled policies' among them (V11)."""

import pytest

from imgnom.policy.examples import (
    example_contacts,
    is_example_address,
    is_example_host,
    is_example_name,
    is_example_number,
)
from imgnom.policy.public import BUNDLED, load_policy


@pytest.mark.clause("A9.1", "A9.2", "A9.3")
@pytest.mark.parametrize("name", ["imgnom", "imgnom-pipa"])
def test_every_bundled_contact_is_example(name: str) -> None:
    policy = load_policy(BUNDLED / name)
    found = {key for key, _ in example_contacts(policy)}
    assert found == {f"operator.{key}" for key in policy.operator} | {f"officer.{key}" for key in policy.officer}


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "a@EXAMPLE.org", "a@mail.example.net", "a@site.example", "a@b.test", "a@b.invalid", "a@localhost", "a@x.localhost",
     "a@example.co.kr", "a@example.com.", "a@127.0.0.1", "changeme@gmail.com", "@gmail.com", "nobody",
     "a@[127.0.0.1]", "a@mailhost", "a@example.com, b@moonlight.kr", "Privacy <a@example.com>", "b@moonlight.kr;a@x.test"],
)  # fmt: skip
def test_reserved_addresses_are_examples(address: str) -> None:
    assert is_example_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "privacy@moonlight.kr",
        "Privacy <a@moonlight.kr>",
        "a@moonlight.kr, b@moonlight.kr",
        "admin@exampleton.com",
        "test@naver.com",
        "a@testing.org",
        "invalid@gmail.com",
    ],
)
def test_addresses_that_somebody_may_own_are_not_examples(address: str) -> None:
    assert not is_example_address(address)


@pytest.mark.parametrize(
    "name",
    [
        "관리자",
        " Administrator ",
        "홍길동",
        "홍 길동",
        "JohnDoe",
        "JOHN  DOE",
        "<이름>",
        "[회사명]",
        "Example Corp",
        "-",
        "xxx",
        "TODO",
        "예시 주식회사",
    ],
)
def test_names_of_nobody_are_examples(name: str) -> None:
    assert is_example_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "김관리",
        "달빛사진관",
        "Todor Todorov",
        "Exampleton Ltd",
        "개인정보보호팀",
        "Namé",
        "관리자 김달빛",
        "관리자(김달빛)",
    ],
)
def test_names_of_people_and_departments_are_not_examples(name: str) -> None:
    assert not is_example_name(name)


def test_telephone_numbers_of_nobody_are_examples() -> None:
    assert all(
        map(is_example_number, ["02-000-0000", "010-0000-0000", "010-1234-5678", "+82 10 1234 5678", "(555) 555-0123"])
    )
    assert not any(map(is_example_number, ["02-720-8431", "010-2222-7777", "+82 2 6324 1100", "2024-03-04", "Seoul"]))


def test_example_hosts_are_told_from_others() -> None:
    assert all(map(is_example_host, ["gallery.example", "example.com", "www.example.org", "localhost", "a.test"]))
    assert not any(map(is_example_host, ["gallery.kr", "example-photos.com", "contest.org"]))
