from django.urls import path

from imgnom.web import views

app_name = "web"
urlpatterns = [path("language", views.choose_language, name="language")]
