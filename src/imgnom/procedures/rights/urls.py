from django.urls import path

from imgnom.procedures.rights import views

app_name = "rights"
urlpatterns = [
    path("me/privacy", views.privacy, name="privacy"),
    path("me/privacy/edit", views.edit, name="edit"),
    path("me/consents", views.consents, name="consents"),
    path("me/export", views.export, name="export"),
]
