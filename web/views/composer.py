"""The composer: patient, service, details, review, send; plain forms, one page per step."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from records import access
from records.errors import Incorrect, NotFound
from records.json import Resource
from referrals import composer, directory
from referrals.vocabulary import Finding, Words
from web import drafts, patients, reading
from web.drafts import STEPS, Draft
from web.workplace import StaffRequest, page

HEADINGS: dict[str, Words] = {
    "referral": gettext_lazy("New referral"),
    "follow-up": gettext_lazy("New follow-up"),
    "test-order": gettext_lazy("New test order"),
}
STEP_NAMES: dict[str, Words] = {
    "patient": gettext_lazy("Patient"),
    "service": gettext_lazy("Service"),
    "details": gettext_lazy("Details"),
    "review": gettext_lazy("Review"),
}
LONG_WAIT_DAYS = 42


@page
def start(request: StaffRequest, kind: str) -> HttpResponse:
    """Go on where the draft of this kind stands."""
    return _to(drafts.load(request.session, kind))


@page
@require_POST
def start_for(request: StaffRequest) -> HttpResponse:
    """Begin for a patient whose page is open."""
    kind, patient = request.POST.get("kind", ""), request.POST.get("patient", "")
    if kind not in STEPS or not access.visible(request.actor, "Patient").filter(pk=patient).exists():
        raise NotFound("No such patient.")
    draft = Draft(kind=kind)
    draft.choose(patient)
    drafts.save(request.session, draft)
    return _to(draft)


@page
@require_POST
def discard(request: StaffRequest, kind: str) -> HttpResponse:
    """Throw the draft away and begin anew."""
    drafts.discard(request.session, kind)
    return redirect("compose", kind, "patient")


@page
def step(request: StaffRequest, kind: str, step: str) -> HttpResponse:
    """One step of the composer; a step whose forerunners are missing leads back to them."""
    if kind not in STEPS or step not in STEPS[kind]:
        raise NotFound("No such step.")
    draft = drafts.load(request.session, kind)
    if request.method == "POST" and request.POST.get("draft") and not draft.patient:
        messages.error(
            request, _("This draft was sent or thrown away, perhaps in another window. Nothing was sent now.")
        )
        return _to(draft)
    before = STEPS[kind][: STEPS[kind].index(step)]
    is_reachable = all(draft.is_done(earlier) for earlier in before)
    is_of_another = request.method == "POST" and step != "patient" and request.POST.get("draft", "") != draft.id
    if draft.patient and is_of_another:
        return _refuse(request, draft, step if is_reachable else draft.next_step())
    return VIEWS[step](request, draft) if is_reachable else _to(draft)


def _refuse(request: StaffRequest, draft: Draft, step: str) -> HttpResponse:
    """Take nothing from a form of another draft: its answers may be about another patient."""
    banner = patients.banner(request.actor, draft.patient)
    told = _("Another draft was begun in another window. Nothing was taken over: this is the draft for %(patient)s.")
    messages.error(request, told % {"patient": banner.name})
    answer = PAGES[step](request, draft)
    answer.status_code = 409
    return answer


def _patient(request: StaffRequest, draft: Draft) -> HttpResponse:
    chosen = request.POST.get("patient")
    if chosen and access.visible(request.actor, "Patient").filter(pk=chosen).exists():
        draft.choose(chosen)
        drafts.save(request.session, draft)
        return _to(draft)
    if request.method == "POST":
        patients.remember(request)
        return redirect("compose", draft.kind, "patient")
    return _show(request, draft, "patient", patients.found(request))


def _service(request: StaffRequest, draft: Draft) -> HttpResponse:
    if request.method == "POST":
        draft.service = request.POST.get("service", "")
        draft.no_service = not draft.service and draft.kind == "test-order"
        draft.request = None
        drafts.save(request.session, draft)
        return _to(draft)
    return _service_page(request, draft)


def _service_page(request: StaffRequest, draft: Draft) -> HttpResponse:
    words = request.GET.get("q", "")
    services = [service_line(one) for one in directory.find_services(request.actor, words)]
    return _show(request, draft, "service", {"services": services, "q": words, "chosen": draft.service})


def _details(request: StaffRequest, draft: Draft) -> HttpResponse:
    if request.method == "POST":
        form_fields = draft.form().fields
        draft.details = {name: request.POST.get(name, "") for name in form_fields}
        draft.request = None
        drafts.save(request.session, draft)
        if draft.is_done("details"):
            return _to(draft)
    answer = _details_page(request, draft)
    answer.status_code = 422 if request.method == "POST" else 200
    return answer


def _details_page(request: StaffRequest, draft: Draft) -> HttpResponse:
    return _show(request, draft, "details", {"form": draft.form()})


def _review(request: StaffRequest, draft: Draft) -> HttpResponse:
    if request.method != "POST":
        return _review_page(request, draft)
    if draft.request is None or request.POST.get("key") != draft.request["id"]:
        messages.error(
            request, _("This was changed in another window, and nothing was sent. Read it again, then send.")
        )
        answer = _review_page(request, draft)
        answer.status_code = 409
        return answer
    found = composer.findings(draft.request, request.actor)
    if request.POST.get("confirm") == "yes" or not _of(found, "warning"):
        return _send(request, draft)
    return _show_review(request, draft, draft.request, unconfirmed=True)


def _review_page(request: StaffRequest, draft: Draft) -> HttpResponse:
    """Compose once: the same review open in two windows is one request with one id."""
    if draft.request is None:
        draft.request = drafts.compose(draft, request.actor)
        drafts.save(request.session, draft)
    return _show_review(request, draft, draft.request)


def _show_review(request: StaffRequest, draft: Draft, composed: Resource, unconfirmed: bool = False) -> HttpResponse:
    found = composer.findings(composed, request.actor)
    context = {
        "unconfirmed": unconfirmed,
        "findings": found,
        "errors": _of(found, "error"),
        "warnings": _of(found, "warning"),
        "key": composed["id"],
        "parts": _parts(request, draft),
        "send_label": _("Send") if draft.kind == "referral" else _("Order"),
    }
    return _show(request, draft, "review", context)


def _send(request: StaffRequest, draft: Draft) -> HttpResponse:
    """Send what was reviewed. The same draft sent twice is one request: its id was made before."""
    if draft.request is None:
        return _to(draft)
    try:
        loop = composer.submit(draft.request, request.actor)
    except Incorrect as error:
        for issue in error.issues:
            messages.error(request, issue.text)
        return redirect("compose", draft.kind, "review")
    drafts.discard(request.session, draft.kind)
    messages.success(request, _("It is on its way. Baton keeps watch until it is closed."))
    return redirect("loop", loop.id)


VIEWS = {"patient": _patient, "service": _service, "details": _details, "review": _review}
PAGES = {"service": _service_page, "details": _details_page, "review": _review_page}


def service_line(service: directory.ServiceFound) -> dict[str, Any]:
    """A service of the directory as a line to choose, with its wait."""
    days = service.wait_days
    return {
        "id": service.id,
        "name": service.name,
        "sub": " · ".join(part for part in (service.organization, service.specialty) if part),
        "wait": "" if days is None else ngettext("wait: %(count)d day", "wait: %(count)d days", days) % {"count": days},
        "wait_tone": "warn" if days is not None and days > LONG_WAIT_DAYS else "good",
        "closed": "" if service.is_accepting else _("takes no new patients"),
    }


def _parts(request: StaffRequest, draft: Draft) -> list[tuple[Words, str, str]]:
    """What will be sent, as (label, value, where to change it)."""
    form, there = draft.form(), {step: reverse("compose", args=[draft.kind, step]) for step in STEPS[draft.kind]}
    form.full_clean()
    parts: list[tuple[Words, str, str]] = []
    if "service" in there:
        service = directory.find_service(request.actor, draft.service) if draft.service else None
        named = " · ".join(filter(None, (service.name, service.organization))) if service else _("none chosen yet")
        parts.append((STEP_NAMES["service"], named, there["service"]))
    for bound in form:
        value = form.cleaned_data.get(bound.name)
        shown = dict(getattr(bound.field, "choices", [])).get(value, value)
        text = reading.day(value.isoformat()) if isinstance(value, date) else str(shown or "")
        if text:
            parts.append((str(bound.label), text, f"{there['details']}#{bound.id_for_label}"))
    return parts


def _of(findings: list[Finding], severity: str) -> list[Finding]:
    return [finding for finding in findings if finding.severity == severity]


def _to(draft: Draft) -> HttpResponse:
    return redirect("compose", draft.kind, draft.next_step())


def _show(request: StaffRequest, draft: Draft, step: str, context: dict[str, Any]) -> HttpResponse:
    steps = STEPS[draft.kind]
    trail = [
        {
            "label": STEP_NAMES[name],
            "state": "now" if name == step else "done" if draft.is_done(name) else "next",
            "url": reverse("compose", args=[draft.kind, name]) if draft.is_done(name) or name == step else "",
        }
        for name in steps
    ]
    shared = {
        "kind": draft.kind,
        "draft": draft.id,
        "heading": HEADINGS[draft.kind],
        "trail": trail,
        "has_draft": bool(draft.patient),
        "here": f"new-{draft.kind}",
        "banner": patients.banner(request.actor, draft.patient) if draft.patient else None,
    }
    return render(request, f"web/compose/{step}.html", shared | context)
