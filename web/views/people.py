"""People: being away and standing in; and for who manages people, giving all of somebody's work away and leaving."""

from collections.abc import Collection, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from records import access, clock
from records.access import Actor
from records.errors import Conflict, Forbidden, Incorrect, Issue, NotFound
from referrals import leaving, people, reassigning
from referrals.models import Handoff, Membership, Owner, User
from referrals.pathways import HANDOFFS
from referrals.reassigning import Handed
from web import words
from web.forms.people import AbsenceForm, HandOverForm, SurrogateForm
from web.leavers import left_lines
from web.workplace import StaffRequest, page


@page
def overview(request: StaffRequest) -> HttpResponse:
    """GET shows who is away and who works here; POST announces an absence."""
    form = AbsenceForm(_absentees(request.actor), _persons(request.actor), request.POST or None)
    if request.method == "POST" and form.is_valid() and _announce(request, form):
        messages.success(request, _("The absence is written down."))
        return redirect("people")
    return _page(request, form, status=422 if request.method == "POST" else 200)


@page
@require_POST
def end(request: StaffRequest, key: str) -> HttpResponse:
    """End an absence now."""
    people.end(people.find_absence(request.actor, key), request.actor)
    messages.success(request, _("The absence is over."))
    return redirect("people")


@page
@require_POST
def surrogate(request: StaffRequest) -> HttpResponse:
    """Choose who stands in for oneself."""
    form = SurrogateForm(_persons(request.actor), request.POST)
    own = _own(request.actor)
    if own is None or not form.is_valid():
        raise NotFound(_("There is no such person."))
    named = form.cleaned_data["surrogate"]
    chosen = people.colleague(named, request.actor.organization, field="surrogate") if named else None
    people.set_surrogate(own, chosen, request.actor)
    messages.success(request, _("Your surrogate is written down."))
    return redirect("people")


@page
@require_POST
def hand_over(request: StaffRequest, practitioner: str) -> HttpResponse:
    """Give the open work of somebody away: what was chosen of it, or all."""
    _user, person = _find(request.actor, practitioner)
    named, note = request.POST.get("owner", ""), request.POST.get("note", "")[:2000]
    only = None if "all" in request.POST else request.POST.getlist("line")
    if only == []:
        messages.error(request, _("Choose what is to be handed over."))
    try:
        to = people.colleague(named, request.actor.organization) if named else None
        tell(request, reassigning.hand_over(person, request.actor, to=to, note=note, only=only))
    except Incorrect as error:
        messages.error(request, error.message)
    return redirect("leave", practitioner)


@page
def leave(request: StaffRequest, practitioner: str) -> HttpResponse:
    """GET lists what is still somebody's; POST lets them go, or lists that as the reason why not."""
    user, person = _find(request.actor, practitioner)
    if request.method != "POST":
        return _left(request, person, leaving.left_with(user, request.actor.organization))
    try:
        leaving.leave(user, request.actor.organization, request.actor)
    except Conflict as error:
        return _left(request, person, error.issues, status=409)
    messages.success(request, _("%(name)s works here no more.") % {"name": person.name})
    return redirect("people")


def _left(request: StaffRequest, person: Owner, issues: Sequence[Issue], *, status: int = 200) -> HttpResponse:
    left = left_lines(request.actor, issues)
    others = [one for one in people.colleagues(request.actor.organization) if one[0] != f"Practitioner/{person.key}"]
    form = HandOverForm(others, empty=_("The pool behind each"))
    context = {"person": person, "left": left, "has_work": any(one["loop"] for one in left), "form": form}
    return render(request, "web/leaver.html", context | {"here": "people"}, status=status)


def tell(request: StaffRequest, done: list[Handed]) -> None:
    """Say how many went, and name each that did not."""
    moved = sum(not one.refused for one in done)
    if moved:
        told = ngettext("%(count)d task was handed over.", "%(count)d tasks were handed over.", moved)
        messages.success(request, told % {"count": moved})
    stay = {one.handoff: one.refused for one in done if one.refused}
    called = _called(request.actor, stay)
    for key, why in stay.items():
        messages.error(request, _("%(task)s stays: %(why)s") % {"task": called.get(key, _("A task")), "why": why})


def _called(actor: Actor, keys: Collection[str]) -> dict[str, str]:
    """How those of these handoffs are called that the actor may see, without whom they are about; one query.

    The keys come from a form: one of another house must look like one that doesn't exist.
    """
    seen = access.visible(actor, "Task").filter(id__in=keys)
    rows = Handoff.objects.filter(pk__in=seen.values("id")).select_related("loop")
    return {one.pk: f"{HANDOFFS[one.kind].label} · {words.title(one.loop.kind, one.loop.title)}" for one in rows}


def _announce(request: StaffRequest, form: AbsenceForm) -> bool:
    said, here = form.cleaned_data, request.actor.organization
    try:
        person = people.colleague(said["person"], here, field="person")
        named = said["surrogate"]
        stands_in = people.colleague(named, here, field="surrogate") if named else None
        people.announce(person, stands_in, said["starts_at"], said["ends_at"], request.actor)
    except (Incorrect, Forbidden) as error:
        form.refuse(error)
        return False
    return True


def _page(request: StaffRequest, form: AbsenceForm, *, status: int) -> HttpResponse:
    actor, own = request.actor, _own(request.actor)
    may = people.may_manage(actor, actor.organization)
    now = clock.now()
    chosen = f"Practitioner/{own.surrogate.key}" if own is not None and own.surrogate is not None else ""
    context = {
        "form": form if _absentees(actor) else None,
        "surrogate_form": SurrogateForm(_persons(actor), initial={"surrogate": chosen}) if own else None,
        "absences": [
            {
                "id": one.pk,
                "name": one.owner.name,
                "surrogate": one.surrogate.name if one.surrogate else "",
                "starts_at": one.starts_at,
                "ends_at": one.ends_at,
                "is_now": one.starts_at <= now,
                "may": may or one.owner.key == actor.practitioner,
            }
            for one in people.absences_of(actor)
        ],
        "staff": _staff(actor) if may else [],
        "here": "people",
    }
    return render(request, "web/people.html", context, status=status)


def _staff(actor: Actor) -> list[dict[str, Any]]:
    held = Membership.objects.filter(organization=actor.organization, user__is_active=True).select_related("user")
    return [
        {
            "practitioner": one.user.practitioner,
            "name": one.user.get_full_name() or one.user.username,
            "roles": one.roles,
        }
        for one in held.exclude(user__practitioner="").order_by("user__last_name", "user__first_name")
    ]


def _find(actor: Actor, practitioner: str) -> tuple[User, Owner]:
    held = Membership.objects.filter(organization=actor.organization, user__practitioner=practitioner)
    membership = held.select_related("user").first()
    if membership is None or not people.may_manage(actor, actor.organization):
        raise NotFound(_("There is no such person."))
    name = membership.user.get_full_name() or membership.user.username
    owner = people.owner_for(Owner.Kind.PERSON, practitioner, organization=actor.organization, name=name)
    return membership.user, owner


def _own(actor: Actor) -> Owner | None:
    if not actor.practitioner or not actor.organization:
        return None
    owner = people.owner_for(Owner.Kind.PERSON, actor.practitioner, organization=actor.organization, name=actor.display)
    return owner if owner.organization == actor.organization else None


def _persons(actor: Actor) -> list[tuple[str, str]]:
    """The colleagues who may stand in."""
    everybody = people.colleagues(actor.organization)
    return [one for one in everybody if one[0].startswith("Practitioner/")]


def _absentees(actor: Actor) -> list[tuple[str, str]]:
    """For whom this person may write down an absence: everybody for who manages people, else oneself."""
    known = _persons(actor)
    own = f"Practitioner/{actor.practitioner}"
    if people.may_manage(actor, actor.organization):
        return sorted(known, key=lambda one: one[0] != own)
    return [one for one in known if one[0] == own]
