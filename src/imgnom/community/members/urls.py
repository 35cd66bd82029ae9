from django.urls import path

from imgnom.community.members import views

app_name = "members"
urlpatterns = [
    path("signup", views.signup, name="signup"),
    path("signup/confirm", views.signup_confirm, name="signup-confirm"),
    path("login", views.login, name="login"),
    path("login/second-factor", views.second_factor_page, name="second-factor"),
    path("logout", views.logout, name="logout"),
    path("step-up", views.step_up, name="step-up"),
    path("me/password", views.password, name="password"),
    path("me/sessions", views.sessions_page, name="sessions"),
    path("reset", views.reset, name="reset"),
    path("reset/confirm", views.reset_confirm, name="reset-confirm"),
    path("staff/enrol/<str:token>", views.enrol, name="enrol"),
]
