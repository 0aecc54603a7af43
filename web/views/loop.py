"""One loop: whom it is about, how far it is, what this person may do now, and everything that happened."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fhir_bridge import status
from records import clock
from records.deadlocks import tried_again
from records.errors import Conflict, Forbidden, Incorrect, NotFound, Stale
from referrals import workflow, worklists
from referrals.models import Handoff
from referrals.vocabulary import Offer, Words
from web import attachments, cards, linked, matches, patients, reading, written
from web import journal as sentences
from web.forms.offers import REPORT_LABEL, REPORT_TEXT, OfferForm, offer_form
from web.workplace import StaffRequest, page


@page
def show(request: StaffRequest, loop_id: str) -> HttpResponse:
    """The page of a loop; by POST, whose orders to look for among those that evidence may belong to."""
    if request.method == "POST":
        matches.look_for(request, loop_id)
        return redirect("loop", loop_id)
    return _page(request, loop_id)


@page
@require_POST
def act(request: StaffRequest, loop_id: str, handoff_id: str, action: str) -> HttpResponse:
    """Do one action as its form says; an old page is told what changed, and loses nothing that was typed."""
    try:
        return _act(request, loop_id, handoff_id, action)
    except (Stale, Conflict):
        return _changed(request, loop_id, handoff_id, action)


def _changed(request: StaffRequest, loop_id: str, handoff_id: str, action: str) -> HttpResponse:
    """The page as it is now: what was typed stands in the action's form, or to be read if that is no longer there."""
    view = worklists.loop_view(request.actor, loop_id, clock.now())
    handoff = _handoff(view, handoff_id)
    offer = _offered(request, handoff, action)
    if offer is None:
        return _page(request, loop_id, stale=True, typed=_typed(request, handoff, action))
    kept = {(handoff.id, action, offer.attested): _form(request, view, handoff, offer)}
    return _page(request, loop_id, stale=True, forms=kept)


def _handoff(view: worklists.LoopView, handoff_id: str) -> Handoff:
    handoff = next((one.row for one in view.handoffs if one.row.id == handoff_id), None)
    if handoff is None:
        raise NotFound("No such handoff in this loop.")
    return handoff


def _form(request: StaffRequest, view: worklists.LoopView, handoff: Handoff, offer: Offer) -> OfferForm:
    choices = cards.known(request.actor, view, linked.of(request.actor, view), matches.candidates(request, view))
    return offer_form(offer, choices, cards.prefix(handoff.id, offer.action, attested=offer.attested), request.POST)


def _typed(request: StaffRequest, handoff: Handoff, action: str) -> list[tuple[Words, str]]:
    """The texts that were written into the form of an action that is no longer possible, by their labels."""
    prefix = cards.prefix(handoff.id, action, attested=_is_attested(request))
    labels: dict[str, Words] = {REPORT_TEXT: REPORT_LABEL, **sentences.text_labels(handoff.kind, action)}
    written = [(label, request.POST.get(f"{prefix}-{name}", "").strip()) for name, label in labels.items()]
    return [(label, text) for label, text in written if text]


def _act(request: StaffRequest, loop_id: str, handoff_id: str, action: str) -> HttpResponse:
    """A form that isn't right comes back with what was typed."""
    view = worklists.loop_view(request.actor, loop_id, clock.now())
    handoff = _handoff(view, handoff_id)
    offer = _offered(request, handoff, action)
    if offer is None or str(handoff.version) != request.POST.get("version", ""):
        raise Stale("The page is older than the handoff.")
    form = _form(request, view, handoff, offer)
    if not form.is_valid() or not _attempt(request, view, handoff, offer, form):
        return _page(request, loop_id, forms={(handoff.id, offer.action, offer.attested): form})
    messages.success(request, _("Done: %(what)s.") % {"what": offer.label})
    return redirect("loop", loop_id)


@page
def evidence(request: StaffRequest, loop_id: str, type: str, key: str) -> HttpResponse:  # noqa: A002 (its FHIR name)
    """One report or document that the loop's journal names, as plain text."""
    view = worklists.loop_view(request.actor, loop_id, clock.now())
    found = _proof(request, view, type, key)
    context = {
        "loop_id": loop_id,
        "title": found.title,
        "facts": linked.facts(found),
        "text": reading.narrative(found.body),
        "proof": found,
        "attachments": attachments.of(request.actor, found.body),
        "banner": patients.banner(request.actor, view.row.patient_id),
        "here": "worklist",
    }
    return render(request, "web/evidence.html", context)


@page
def attachment(request: StaffRequest, loop_id: str, type: str, key: str, number: str) -> HttpResponse:  # noqa: A002
    """One attachment of such a report or document, as its sender made it."""
    found = _proof(request, worklists.loop_view(request.actor, loop_id, clock.now()), type, key)
    held = next((one for one in attachments.of(request.actor, found.body) if one.number == number and one.data), None)
    if held is None:
        raise NotFound("No such attachment here.")
    return attachments.answer(held)


def _proof(request: StaffRequest, view: worklists.LoopView, type_: str, key: str) -> linked.Linked:
    found = next((one for one in linked.of(request.actor, view) if (one.type, one.id) == (type_, key)), None)
    if found is None:
        raise NotFound("No such document in this loop.")
    return found


def _offered(request: StaffRequest, handoff: Handoff, action: str) -> Offer | None:
    attested = _is_attested(request)
    offers = workflow.available(request.actor, handoff)
    return next((one for one in offers if one.action == action and one.attested == attested), None)


def _is_attested(request: StaffRequest) -> bool:
    return request.POST.get("attested") == "yes"


@tried_again
def _attempt(request: StaffRequest, view: worklists.LoopView, handoff: Handoff, offer: Offer, form: OfferForm) -> bool:
    """Do it; a refusal becomes errors of the form."""
    try:
        with transaction.atomic():
            _perform(request, handoff, offer, form, _written(request, view, offer, form))
    except (Incorrect, Forbidden) as error:
        form.refuse(error)
        return False
    return True


def _written(request: StaffRequest, view: worklists.LoopView, offer: Offer, form: OfferForm) -> dict[str, str]:
    """The field that names the report that was written into the form; empty for none."""
    if not form.is_written:
        return {}
    return {"report": written.keep(view.row, form.report_text, offer.action, request.actor)}


def _perform(request: StaffRequest, handoff: Handoff, offer: Offer, form: OfferForm, report: dict[str, str]) -> None:
    workflow.perform(
        handoff.id,
        offer.action,
        request.actor,
        version=handoff.version,
        at=form.told_at,
        data=form.answers() | report,
        attested=offer.attested,
    )


def _page(
    request: StaffRequest,
    loop_id: str,
    *,
    stale: bool = False,
    forms: Mapping[cards.Key, OfferForm] | None = None,
    typed: Sequence[tuple[Words, str]] = (),
) -> HttpResponse:
    now = clock.now()
    view = worklists.loop_view(request.actor, loop_id, now)
    proofs = linked.of(request.actor, view)
    found = matches.candidates(request, view)
    choices = cards.known(request.actor, view, proofs, found)
    context: dict[str, Any] = {
        "banner": patients.banner(request.actor, view.row.patient_id) if view.row.patient_id else None,
        "loop": cards.heading(request.actor, view),
        "steps": view.steps,
        "cards": cards.cards(request.actor, view, now, choices, forms or {}),
        "afterwards": cards.afterwards(request.actor, view, now, choices, forms or {}),
        "journal": cards.journal(request.actor, view, proofs),
        "evidence": proofs,
        "matching": matches.shown(request, view, proofs, found),
        "request_facts": cards.request_facts(request.actor, view),
        "related": cards.related(view),
        "stale": cards.last_change(request.actor, view) if stale else "",
        "is_kept": stale and bool(forms),
        "typed": typed,
        "to_mend": status.to_mend(_shared(view)),
        "here": "worklist",
        "back": reverse("worklist"),
    }
    return render(request, "web/loop.html", context, status=409 if stale else 422 if forms else 200)


def _shared(view: worklists.LoopView) -> list[str]:
    """The references of what partners may have a copy of."""
    patient = f"Patient/{view.row.patient_id}" if view.row.patient_id else ""
    tasks = [f"Task/{one.row.id}" for one in view.handoffs]
    return [reference for reference in (view.row.request_reference, patient, *tasks) if reference]
