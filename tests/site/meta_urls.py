"""The site's own addresses and one that shows the names and values of request.META."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path


def meta(request: HttpRequest) -> JsonResponse:
    return JsonResponse({name: repr(value) for name, value in request.META.items()})


urlpatterns = [path("healthz/meta", meta), path("", include("imgnom.site.urls"))]
handler400 = "imgnom.web.errors.bad_request"
handler403 = "imgnom.web.errors.forbidden"
handler404 = "imgnom.web.errors.not_found"
handler500 = "imgnom.web.errors.server_error"
