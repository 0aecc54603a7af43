"""The one address of notifications: a key that nobody can guess, and what a server may put after it."""

from django.urls import re_path

from api.notify import views

urlpatterns = [re_path(r"^(?P<key>[A-Za-z0-9_-]{16,64})(?P<path>(?:/[A-Za-z0-9.\-]{0,64}){0,4})\Z", views.notify)]
