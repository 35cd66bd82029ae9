from django.urls import path

from imgnom.community.comments import views

app_name = "comments"
urlpatterns = [
    path("i/<str:public_id>", views.picture, name="picture"),
    path("i/<str:public_id>/comments", views.write, name="write"),
    path("i/<str:public_id>/delete", views.delete_picture, name="delete-picture"),
    path("comments/<int:comment_id>/edit", views.edit, name="edit"),
    path("comments/<int:comment_id>/delete", views.delete, name="delete"),
]
