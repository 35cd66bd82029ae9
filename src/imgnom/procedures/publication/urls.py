from django.urls import path

from imgnom.procedures.publication import views

app_name = "publication"
urlpatterns = [
    path("privacy", views.privacy, name="privacy"),
    path("privacy.json", views.privacy_json, name="privacy-json"),
    path("privacy/versions", views.versions, name="versions"),
    path("privacy/versions/<str:digest>.json", views.version_json, name="version-json"),
    path("privacy/versions/<str:digest>", views.version, name="version"),
    path("privacy/cookies", views.cookies, name="cookies"),
    path("privacy/ledger/key", views.ledger_key, name="ledger-key"),
    path("privacy/ledger/checkpoint", views.ledger_checkpoint, name="ledger-checkpoint"),
    path("privacy/ledger/consistency/<int:size>", views.ledger_consistency, name="ledger-consistency"),
    path("terms", views.terms, name="terms"),
    path(".well-known/gpc.json", views.gpc, name="gpc"),
    path(".well-known/security.txt", views.security_txt, name="security"),
]
