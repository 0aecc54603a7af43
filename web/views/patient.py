"""Finding a patient, all of a patient's loops on one page, and what somebody was told of the person."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from records import access, clock
from records.errors import Conflict, Incorrect, NotFound
from referrals import mortality, people, worklists
from referrals.parties import current_patient
from referrals.upheavals import death, duplicates
from web import lines, patients, persons
from web.forms.people import PeopleForm
from web.forms.persons import DeathForm, LivesForm
from web.workplace import StaffRequest, page


@page
def search(request: StaffRequest) -> HttpResponse:
    """Search by POST, so that what was typed is in no address; the answer lives in the session and survives reload."""
    if request.method == "POST":
        patients.remember(request)
        return redirect("patients")
    context = patients.found(request) | {"alike": len(duplicates.waiting(request.actor))}
    return render(request, "web/patients.html", context)


@page
def timeline(request: StaffRequest, patient_id: str) -> HttpResponse:
    """The loops of one patient, newest first."""
    _refuse_unseen(request, patient_id)
    return _page(request, patient_id)


@page
@require_POST
def died(request: StaffRequest, patient_id: str) -> HttpResponse:
    """Somebody was told that the patient has died: a colleague is asked to confirm it."""
    _refuse_unseen(request, patient_id)
    if not request.actor.roles & people.WORKING:
        raise NotFound("No such patient.")
    form = DeathForm(request.POST)
    if not form.is_valid() or not _tell(request, patient_id, form):
        return _page(request, patient_id, dies=form)
    messages.success(
        request, _("It is written down. Nothing is sent to the patient until somebody has confirmed or refuted it.")
    )
    return redirect("patient", patient_id)


@page
@require_POST
def lives(request: StaffRequest, patient_id: str) -> HttpResponse:
    """A death that was confirmed was none."""
    _refuse_unseen(request, patient_id)
    form, last = LivesForm(request.POST), mortality.last_asked(patient_id)
    if persons.has_been_refuted(request.actor, last):
        raise Conflict("Taken back already.")
    if not persons.may_refute(request.actor, last):
        raise NotFound("No such patient.")
    if not form.is_valid():
        return _page(request, patient_id, lives=form)
    death.refute(patient_id, request.actor, note=form.cleaned_data["note"])
    messages.success(request, _("The patient lives. Whoever had ordered decides what goes on."))
    return redirect("patient", patient_id)


def _tell(request: StaffRequest, patient_id: str, form: DeathForm) -> bool:
    try:
        death.tell(patient_id, request.actor, form.said())
    except Incorrect as error:
        form.refuse(error)
        return False
    except Conflict as error:
        messages.error(request, error.message)
        return False
    return True


def _refuse_unseen(request: StaffRequest, patient_id: str) -> None:
    if not access.visible(request.actor, "Patient").filter(pk=patient_id, deleted=False).exists():
        raise NotFound("No such patient.")


def _page(
    request: StaffRequest, patient_id: str, *, dies: PeopleForm | None = None, lives: PeopleForm | None = None
) -> HttpResponse:
    now = clock.now()
    views = worklists.timeline(request.actor, current_patient(patient_id), now)
    context = {
        "banner": patients.banner(request.actor, patient_id),
        "person": persons.about(request.actor, patient_id, views),
        "death_form": dies or DeathForm(),
        "lives_form": lives or LivesForm(),
        "loops": [lines.timeline_item(loop, now) for loop in views],
        "here": "patients",
    }
    return render(request, "web/patient.html", context, status=422 if dies or lives else 200)
