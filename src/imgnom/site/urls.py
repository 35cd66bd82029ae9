"""All pages. Each room lists its own; this is only the order in which they are asked."""

from django.conf import settings
from django.urls import include, path

from imgnom.site import demo_views, health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("", include("imgnom.web.urls")),
    path("", include("imgnom.community.members.urls")),
    path("", include("imgnom.procedures.rights.urls")),
    path("", include("imgnom.procedures.retention.urls")),
    path("", include("imgnom.procedures.moderation.urls")),
    path("", include("imgnom.procedures.proofs.urls")),
    path("", include("imgnom.procedures.publication.urls")),
    path("", include("imgnom.community.visits.urls")),
    path("", include("imgnom.community.comments.urls")),
    path("", include("imgnom.community.images.urls")),
]
if settings.IMGNOM.mode == "demo":
    urlpatterns = [
        path("demo", demo_views.story, name="demo"),
        path("demo/sign-in", demo_views.sign_in, name="demo-sign-in"),
        path("demo/clock", demo_views.turn_clock, name="demo-clock"),
        path("demo/photograph.jpg", demo_views.photograph, name="demo-photograph"),
        path("outbox", demo_views.outbox, name="demo-outbox"),
        path("outbox/<str:name>", demo_views.letter, name="demo-letter"),
        *urlpatterns,
    ]

handler400 = "imgnom.web.errors.bad_request"
handler403 = "imgnom.web.errors.forbidden"
handler404 = "imgnom.web.errors.not_found"
handler500 = "imgnom.web.errors.server_error"
