from django.urls import path

from imgnom.community.images import views

app_name = "images"
urlpatterns = [
    path("", views.gallery, name="gallery"),
    path("upload", views.upload, name="upload"),
    path("upload/done", views.uploaded, name="uploaded"),
    path("t/<str:name>", views.tag, name="tag"),
    path("@<str:nickname>", views.member_page, name="member"),
    path("search", views.search, name="search"),
    path("i/<str:public_id>/edit", views.edit, name="edit"),
    path("media/<str:public_id>/thumbnail", views.file, {"size": "thumbnail"}, name="thumbnail"),
    path("media/<str:public_id>/preview", views.file, {"size": "preview"}, name="preview"),
    path("media/<str:public_id>/original", views.file, {"size": "original"}, name="original"),
]
