from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from imgnom.community.visits.public import records_of
from imgnom.web.guards import step_up_required
from imgnom.web.requests import MemberRequest


@require_safe
@step_up_required
def my_records(request: MemberRequest) -> HttpResponse:
    return render(request, "visits/records.html", {"rows": records_of(request.member.subject, now=request.now)})
