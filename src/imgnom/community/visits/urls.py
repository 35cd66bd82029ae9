from django.urls import path

from imgnom.community.visits import views

app_name = "visits"
urlpatterns = [path("me/records", views.my_records, name="records")]
