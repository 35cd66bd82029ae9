from django.urls import path

from imgnom.procedures.proofs import views

app_name = "proofs"
urlpatterns = [
    path("privacy/board", views.board, name="board"),
    path("privacy/board.json", views.board_json, name="board-json"),
]
