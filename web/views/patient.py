"""Finding a patient, and all of a patient's loops on one page."""

from django.http import HttpResponse
from django.shortcuts import redirect, render

from records import access, clock
from records.errors import NotFound
from referrals import worklists
from web import lines, patients
from web.workplace import StaffRequest, page


@page
def search(request: StaffRequest) -> HttpResponse:
    """Search by POST, so that what was typed is in no address; the answer lives in the session and survives reload."""
    if request.method == "POST":
        patients.remember(request)
        return redirect("patients")
    return render(request, "web/patients.html", patients.found(request))


@page
def timeline(request: StaffRequest, patient_id: str) -> HttpResponse:
    """The loops of one patient, newest first."""
    if not access.visible(request.actor, "Patient").filter(pk=patient_id, deleted=False).exists():
        raise NotFound("No such patient.")
    now = clock.now()
    loops = [lines.timeline_item(loop, now) for loop in worklists.timeline(request.actor, patient_id, now)]
    context = {"banner": patients.banner(request.actor, patient_id), "loops": loops, "here": "patients"}
    return render(request, "web/patient.html", context)
