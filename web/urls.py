"""The addresses of all staff pages. No address holds anything of a patient but an opaque id."""

from django.urls import path

from web.views import account, home

urlpatterns = [
    path("", home.worklist, name="worklist"),
    path("sign-in/", account.SignIn.as_view(), name="sign-in"),
    path("sign-out/", account.SignOut.as_view(), name="sign-out"),
    path("workplace/", account.workplace, name="workplace"),
    path("language/", account.language, name="language"),
    path("new/referral/", home.worklist, name="new-referral"),
    path("new/follow-up/", home.worklist, name="new-follow-up"),
    path("new/test-order/", home.worklist, name="new-test-order"),
    path("patients/", home.worklist, name="patients"),
    path("sync/", home.worklist, name="sync"),
]
