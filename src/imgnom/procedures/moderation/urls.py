from django.urls import path

from imgnom.procedures.moderation import views

app_name = "moderation"
urlpatterns = [
    path("desk", views.desk, name="desk"),
    path("desk/records", views.records, name="records"),
    path("desk/remove/<str:kind>/<str:key>", views.remove, name="remove"),
    path("desk/<str:kind>/<str:key>", views.one, name="one"),
]
