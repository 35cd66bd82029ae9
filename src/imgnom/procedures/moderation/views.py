"""Pages of the desk: parse, record, call one use case, answer."""

import csv
import io
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from imgnom.community.images.public import one_line
from imgnom.community.members.public import STAFF_IDLE, STAFF_LONGEST
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import words_for_period
from imgnom.procedures.moderation.errors import AlreadyRemoved, NothingThere
from imgnom.procedures.moderation.forms import DownloadForm, ReasonForm
from imgnom.procedures.moderation.guards import desk_page, place_of
from imgnom.procedures.moderation.handling import PAGE, HandlerRow, grant_rows, handler_rows, record_handling
from imgnom.procedures.moderation.queries import DeskItem, desk_page_of, find_item
from imgnom.procedures.moderation.remove_content import remove_content
from imgnom.web.errors import plain
from imgnom.web.paging import make_cursor, read_cursor
from imgnom.web.requests import MemberRequest
from imgnom.web.responses import see_other
from imgnom.web.search import MAX_QUERY_CHARS
from imgnom.web.words import current_language

# The auditor sees the records and no content; whoever runs the machine sees no records of who handled what.
KEEPERS = ("moderator", "officer", "administrator")
READERS = ("officer", "auditor")
RECORDS = "handler records"
SHOWN = ("all", "pictures", "comments", "removed")


def _frame(request: MemberRequest, place: str) -> dict[str, Any]:
    """What the desk's menu says on every page."""
    limits = {
        "idle_minutes": STAFF_IDLE // timedelta(minutes=1),
        "longest_hours": STAFF_LONGEST // timedelta(hours=1),
    }
    return {"place": place, "reads_records": request.member.role in READERS} | limits


def _look(request: MemberRequest, act: str, what: str, whose: str = "", **facts: str) -> None:
    record_handling(
        by=request.actor, place=place_of(request), act=act, what=what, whose=whose, now=request.now, **facts
    )


def _desk(request: MemberRequest, *, item: DeskItem | None, form: ReasonForm | None, status: int = 200) -> HttpResponse:
    show = request.GET.get("show", "all")
    words = one_line(request.GET.get("q", ""))[:MAX_QUERY_CHARS]
    page = desk_page_of(show=show if show in SHOWN else "all", words=words, after=request.GET.get("after"))
    context = {
        "page": page, "show": show if show in SHOWN else "all", "words": words, "item": item, "form": form or ReasonForm(),
        "now": request.now,
    }  # fmt: skip
    return render(request, "moderation/desk.html", context | _frame(request, "desk"), status=status)


@require_safe
@desk_page(*KEEPERS, "auditor")
def desk(request: MemberRequest) -> HttpResponse:
    if request.member.role == "auditor":
        return see_other("/desk/records")
    searched = bool(request.GET.get("q", "").strip())
    _look(request, "search" if searched else "look", "desk")
    return _desk(request, item=None, form=None)


@require_safe
@desk_page(*KEEPERS)
def one(request: MemberRequest, kind: str, key: str) -> HttpResponse:
    item = find_item(kind, key)
    what = f"{kind} {key}"
    if item is None:
        _look(request, "look", what, result="missing")
        raise Http404
    _look(request, "look", what, item.whose)
    return _desk(request, item=item, form=None)


@require_POST
@desk_page(*KEEPERS)
def remove(request: MemberRequest, kind: str, key: str) -> HttpResponse:
    form = ReasonForm(request.POST)
    if not form.is_valid():
        item = find_item(kind, key)
        if item is None:
            _look(request, "remove", f"{kind} {key}", result="missing")
            raise Http404
        _look(request, "remove", f"{kind} {key}", item.whose, result="invalid")
        return plain(request, 409) if item.removed_reason else _desk(request, item=item, form=form, status=422)
    try:
        remove_content(
            kind=kind, key=key, reason=form.cleaned_data["reason"], by=request.actor, place=place_of(request), now=request.now
        )  # fmt: skip
    except NothingThere:
        raise Http404 from None
    except AlreadyRemoved:
        return plain(request, 409)
    return see_other("/desk")


def _records(request: MemberRequest, form: DownloadForm, status: int = 200) -> HttpResponse:
    rows = handler_rows(now=request.now, before=read_cursor(RECORDS, request.GET.get("before")))
    period = words_for_period(policy_in_force().records["handler_records"].period, current_language())
    context: dict[str, Any] = {
        "rows": rows, "older": make_cursor(RECORDS, rows[-1].number) if len(rows) == PAGE else None, "grants": grant_rows(now=request.now), "form": form, "period": period,
    }  # fmt: skip
    return render(request, "moderation/records.html", context | _frame(request, "records"), status=status)


def _csv(rows: tuple[HandlerRow, ...]) -> str:
    target = io.StringIO()
    table = csv.writer(target)
    table.writerow(("at", "account", "role", "place", "act", "what", "whose", "reason", "result"))
    for row in rows:
        # A spreadsheet takes a leading = + - @ for a formula.
        cells = (row.account, row.role, row.place, row.act, row.what, row.whose, row.reason, row.result)
        table.writerow(
            (row.at.isoformat(), *(f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells))
        )
    return target.getvalue()


@require_http_methods(["GET", "HEAD", "POST"])
@desk_page(*READERS)
def records(request: MemberRequest) -> HttpResponse:
    if request.method != "POST":
        _look(request, "look", "handler records")
        return _records(request, DownloadForm())
    form = DownloadForm(request.POST)
    if not form.is_valid():
        _look(request, "download", "handler records", result="invalid")
        return _records(request, form, 422)
    _look(request, "download", "handler records", reason=form.cleaned_data["reason"])
    response = HttpResponse(_csv(handler_rows(now=request.now, limit=None)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="handler-records.csv"'
    return response
