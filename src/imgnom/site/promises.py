"""What only the assembled site can check of itself, and how badges on pages ask the board."""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.apps import apps
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from imgnom.community.members.public import registration_fields
from imgnom.custody.in_force import policy_in_force, trouble
from imgnom.policy.public import Text
from imgnom.procedures.proofs.public import Board, Check, Finding, read_board, register_check
from imgnom.site.clock import stamped
from imgnom.site.marks import find_unmarked
from imgnom.web import board_states


def _columns(at: datetime) -> Finding:
    models = apps.get_models(include_auto_created=True)
    fields = sum(len(model._meta.get_fields()) for model in models)
    return Finding(fields, len(find_unmarked(models)))


def _form(at: datetime) -> Finding:
    """The registration form asks for the file's items and nothing else."""
    listed = {item.id for item in policy_in_force().items.values() if item.collected == "registration"}
    asked = registration_fields()
    return Finding(len(asked), len(asked ^ listed))


def _views(patterns: list[URLPattern | URLResolver], lead: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    for one in patterns:
        route = lead + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _views(one.url_patterns, route)
        else:
            yield route, one.callback


def _desk(at: datetime) -> Finding:
    """Every page of the desk names the roles that may open it; the guard behind that asks for the second factor."""
    pages = [view for route, view in _views(get_resolver().url_patterns) if route.startswith("desk")]
    return Finding(len(pages), sum(not getattr(view, "roles", ()) for view in pages) + (not pages))


def _cookies(at: datetime) -> Finding:
    """The guard that holds back undeclared cookies is in its place, before anything that sets one."""
    guards = [name for name in settings.MIDDLEWARE if name.endswith("OnlyDeclaredCookies")]
    sessions = next(i for i, name in enumerate(settings.MIDDLEWARE) if name.endswith("SessionMiddleware"))
    placed = bool(guards) and settings.MIDDLEWARE.index(guards[0]) < sessions
    return Finding(len(policy_in_force().cookies), int(not placed))


def _hashing(at: datetime) -> Finding:
    """Passwords are kept by one memory-hard, one-way hash."""
    first = settings.PASSWORD_HASHERS[0]
    return Finding(1, int("Argon2" not in first and "argon2" not in first))


def _policy_files(at: datetime) -> Finding:
    """What lies on disk is what is in force."""
    return Finding(len(policy_in_force().records), int(bool(trouble())))


CHECKS = (
    Check(
        "policy files",
        ("I1", "A0.3"),
        Text("방침 파일이 시행 중인 방침과 같습니다", "the policy file is the policy in force"),
        Text(
            "방침 파일이 시행 중인 방침과 다르거나 앞뒤가 맞지 않습니다 (imgnom policy check)",
            "the policy file is not what is in force, or does not hold together (imgnom policy check)",
        ),
        _policy_files,
    ),
    Check(
        "columns",
        ("A1.0", "I1"),
        Text("데이터베이스의 칸 {seen}개가 모두 항목표에 있습니다", "all {seen} database fields are in the inventory"),
        Text("칸 {faults}개가 항목표에 없습니다", "{faults} database fields are not in the inventory"),
        _columns,
    ),
    Check(
        "form",
        ("A1.1", "A1.0", "I1"),
        Text("가입할 때 적힌 {seen}가지만 묻습니다", "joining asks for the {seen} items listed and nothing else"),
        Text("가입 양식이 방침과 {faults}곳 다릅니다", "the form differs from the policy in {faults} places"),
        _form,
    ),
    Check(
        "desk",
        ("I10", "X4"),
        Text("운영실 {seen}쪽이 모두 역할과 두 번째 인증을 묻습니다", "all {seen} desk pages ask for a role and a second factor"),
        Text("운영실 {faults}쪽이 열려 있습니다", "{faults} desk pages stand open"),
        _desk,
    ),
    Check(
        "cookies",
        ("A8.0", "A8.1", "B1"),
        Text("적힌 쿠키 {seen}개 말고는 나가지 않습니다", "nothing but the {seen} cookies declared is ever set"),
        Text("적히지 않은 쿠키를 막지 못합니다", "undeclared cookies are not held back"),
        _cookies,
    ),
    Check(
        "hashing",
        ("A1.1",),
        Text("비밀번호는 Argon2id로 되돌릴 수 없게 둡니다", "passwords are kept one-way with Argon2id"),
        Text("비밀번호를 약하게 보관합니다", "passwords are kept by a weak hash"),
        _hashing,
    ),
)  # fmt: skip

_last: list[tuple[datetime, Board]] = []
KEEP_SECONDS = 20


def _state(clause: str) -> str | None:
    """A page has many badges: one board serves them all for a few seconds of the site's clock."""
    at = stamped()
    if not _last or not 0 <= (at - _last[0][0]).total_seconds() < KEEP_SECONDS:
        _last[:] = [(at, read_board(now=at))]
    return _last[0][1].state_of(clause)


def register() -> None:
    for check in CHECKS:
        register_check(check)
    board_states.register(_state)
