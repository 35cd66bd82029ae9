from django.urls import path

from imgnom.procedures.retention import views

app_name = "retention"
urlpatterns = [
    path("me/withdraw", views.withdraw, name="withdraw"),
    path("me/withdraw/pictures.zip", views.pictures, name="pictures"),
    path("receipt", views.find, name="find-receipt"),
    path("receipt/<str:number>.json", views.receipt_json, name="receipt-json"),
    path("receipt/<str:number>.svg", views.receipt_picture, name="receipt-picture"),
    path("receipt/<str:number>", views.receipt, name="receipt"),
    path("receipt/<str:number>/certificate/<str:certificate_number>.json", views.certificate_json, name="certificate"),
]
