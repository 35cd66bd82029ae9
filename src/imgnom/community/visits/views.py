"""/me/records: a member's own access records, newest first, each with its reason and end (A1.2, A3.2②)."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from imgnom.community.visits.public import RecordRow, records_of, writer
from imgnom.community.visits.words import happening_of
from imgnom.web.guards import step_up_required
from imgnom.web.paging import make_cursor, read_cursor
from imgnom.web.requests import MemberRequest

PAGE = 50
CATCH_UP_SECONDS = 0.5


def _shown(row: RecordRow) -> dict[str, object]:
    return {"row": row, "happening": happening_of(row.kind, row.route), "refused": row.status >= 400}


@require_safe
@step_up_required
def my_records(request: MemberRequest) -> HttpResponse:
    listing = f"access records {request.member.subject}"
    before = read_cursor(listing, request.GET.get("before"))
    if before is None:
        writer().flush(within_seconds=CATCH_UP_SECONDS)  # the first page shows what was done a moment ago
    rows = records_of(request.member.subject, now=request.now, limit=PAGE + 1, before=before)
    older = make_cursor(listing, rows[PAGE - 1].number) if len(rows) > PAGE else None
    context = {"rows": [_shown(row) for row in rows[:PAGE]], "older": older, "first": before is None}
    return render(request, "visits/records.html", context)
