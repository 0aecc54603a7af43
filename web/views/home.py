"""The worklist's place."""

from django.http import HttpResponse
from django.shortcuts import render

from web.workplace import StaffRequest, page


@page
def worklist(request: StaffRequest) -> HttpResponse:
    """The first page after signing in."""
    return render(request, "web/home.html")
