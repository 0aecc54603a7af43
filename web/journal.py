"""One sentence for each line of a loop's journal, in the reader's language.

`SENTENCES` is keyed by action, or by ``handoff kind/action`` where one word means two things. An action without a row
is told by its label in `referrals.pathways`, so that nothing that happened stays untold.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from referrals import people
from referrals.models import Owner
from referrals.pathways import ATTESTATION, TRANSITIONS
from referrals.upheavals import death
from referrals.vocabulary import Field, Words
from referrals.worklists import EventView
from web import patients, reading

SENTENCES: dict[str, Words] = {
    "referral/open": gettext_lazy("%(who)s ordered it."),
    "follow-up/open": gettext_lazy("%(who)s ordered it."),
    "test-order/open": gettext_lazy("%(who)s ordered it."),
    "open": gettext_lazy("%(who)s opened it."),
    "send": gettext_lazy("%(who)s sent it to the performer."),
    "withdraw": gettext_lazy("%(who)s withdrew the request."),
    "receive": gettext_lazy("%(who)s took it into triage."),
    "accept": gettext_lazy("%(who)s accepted it."),
    "ask-information": gettext_lazy("%(who)s asked the referrer for information."),
    "ask": gettext_lazy("%(who)s asked the referrer, and goes on meanwhile."),
    "answer": gettext_lazy("%(who)s answered the question."),
    "leave-unanswered": gettext_lazy("%(who)s said why the question can't be answered."),
    "waive-handover": gettext_lazy("%(who)s said why there is nothing to hand over any more."),
    "book": gettext_lazy("%(who)s booked an appointment."),
    "rebook": gettext_lazy("%(who)s booked another appointment."),
    "contact-patient/book": gettext_lazy("%(who)s booked a visit with the patient."),
    "book-collection": gettext_lazy("%(who)s booked the collection of the specimen."),
    "start": gettext_lazy("%(who)s started."),
    "no-show": gettext_lazy("%(who)s noted that the patient did not attend."),
    "cancel-appointment": gettext_lazy("%(who)s cancelled the appointment."),
    "seen": gettext_lazy("%(who)s saw the patient; the report is awaited."),
    "interim-report": gettext_lazy("%(who)s sent an interim report."),
    "report": gettext_lazy("%(who)s sent the report."),
    "complete-without-report": gettext_lazy("%(who)s completed it without a report."),
    "collect": gettext_lazy("%(who)s collected the specimen."),
    "recollected": gettext_lazy("%(who)s collected the specimen again."),
    "receive-specimen": gettext_lazy("%(who)s received the specimen in the laboratory."),
    "preliminary-result": gettext_lazy("%(who)s sent a preliminary result."),
    "result": gettext_lazy("%(who)s sent the final result."),
    "reject-specimen": gettext_lazy("%(who)s found the specimen unsatisfactory."),
    "complete": gettext_lazy("%(who)s noted that the visit has taken place."),
    "supersede": gettext_lazy("%(who)s noted that another event supersedes it."),
    "decline": gettext_lazy("%(who)s declined it."),
    "fail": gettext_lazy("%(who)s could not complete it."),
    "call-off": gettext_lazy("%(who)s cancelled on the performer's side."),
    "hear": gettext_lazy("%(who)s reports a new status in their own system."),
    "amend": gettext_lazy("%(who)s sent a new, corrected or cancelled report."),
    "contradict": gettext_lazy("%(who)s says something else than was entered, or than fits its own status."),
    "revise": gettext_lazy("%(who)s changed how urgent it is, or by when it is needed."),
    "reconfirm": gettext_lazy("%(who)s had it confirmed once more."),
    "withdraw-report": gettext_lazy("%(who)s withdrew the report as entered in error."),
    "cancel-test": gettext_lazy("%(who)s cancelled the test in the laboratory."),
    "add-performer": gettext_lazy("%(who)s asked another performer as well."),
    "stop-anyway": gettext_lazy("%(who)s stopped although the request to cancel was taken back."),
    "start-anyway": gettext_lazy("%(who)s goes on although it has ended here."),
    "done-anyway": gettext_lazy("%(who)s performed it although it had ended here."),
    "propose-referral": gettext_lazy("%(who)s proposed a full referral."),
    "convert": gettext_lazy("%(who)s turned it into a full referral."),
    "decline-proposal": gettext_lazy("%(who)s declined the proposal of a full referral."),
    "authorise": gettext_lazy("%(who)s noted that the payer agrees."),
    "refuse-authorisation": gettext_lazy("%(who)s noted that the payer refuses."),
    "renew-authorisation": gettext_lazy("%(who)s noted that the payer has agreed again."),
    "make-change": gettext_lazy("%(who)s changed the request as proposed."),
    "refuse-change": gettext_lazy("%(who)s left the request as it is."),
    "drop-proposal": gettext_lazy("%(who)s dropped the proposal to change the request."),
    "claim": gettext_lazy("%(who)s took it over."),
    "give-back": gettext_lazy("%(who)s gave it back to the pool."),
    "cancel": gettext_lazy("%(who)s cancelled the request."),
    "request-cancellation": gettext_lazy("%(who)s asked the performer to cancel."),
    "release-appointment": gettext_lazy("%(who)s cancelled the appointment."),
    "accept-cancellation": gettext_lazy("%(who)s accepted the cancellation."),
    "refuse-cancellation": gettext_lazy("%(who)s refused the cancellation; it goes on."),
    "enter-in-error": gettext_lazy("%(who)s marked it as entered in error."),
    "replace": gettext_lazy("%(who)s placed another request in its place."),
    "redirect": gettext_lazy("%(who)s sent it to another performer."),
    "keep": gettext_lazy("%(who)s decided to keep it as it is."),
    "close": gettext_lazy("%(who)s ended it."),
    "acknowledge": gettext_lazy("%(who)s acknowledged the report."),
    "void": gettext_lazy("%(who)s declared the report void."),
    "tell": gettext_lazy("%(who)s told the patient."),
    "attempt": gettext_lazy("%(who)s tried to reach the patient, without success."),
    "not-reached": gettext_lazy("%(who)s noted that the patient could not be told."),
    "reached": gettext_lazy("%(who)s reached the patient."),
    "give-up": gettext_lazy("%(who)s gave up after every attempt to reach the patient."),
    "patient-declines": gettext_lazy("%(who)s noted that the patient declines."),
    "match": gettext_lazy("%(who)s matched the result to its order."),
    "refuse": gettext_lazy("%(who)s refused the result."),
    "mend": gettext_lazy("%(who)s mended the exchange."),
    "discard": gettext_lazy("%(who)s discarded the exchange."),
    "confirm-handover/confirm": gettext_lazy("%(who)s confirmed the handover."),
    "confirm-death/confirm": gettext_lazy("%(who)s confirmed that the patient has died."),
    "reassign": gettext_lazy("%(who)s handed it over to a colleague."),
    "transfer": gettext_lazy("%(who)s transferred the whole loop."),
    "ask-once": gettext_lazy("%(who)s asked it once about two records that have become one."),
    "refute": gettext_lazy("%(who)s found that the patient lives."),
    "refute-death": gettext_lazy("%(who)s found that the patient lives."),
    "patient-died": gettext_lazy("%(who)s noted that the patient has died."),
    "note-death": gettext_lazy("%(who)s noted that the patient has died."),
    "patient-moves": gettext_lazy("%(who)s noted that the patient has moved."),
    "seen-elsewhere": gettext_lazy("%(who)s noted that the patient was seen elsewhere."),
    "lose-endpoint": gettext_lazy("%(who)s noted that the performer can no longer be reached."),
    "discharge": gettext_lazy("%(who)s noted that the patient was discharged before the result."),
    "hold": gettext_lazy("%(who)s put it on hold; its clock runs on."),
    "merge-patient": gettext_lazy("%(who)s merged the patient's records."),
    "unmerge-patient": gettext_lazy("%(who)s undid the merging of the patient's records."),
}
# How who performs is told of what concerns other performers.
OF_RIVALS: dict[str, Words] = {
    "add-performer": gettext_lazy("%(who)s wrote to the performers."),
    "start-anyway": gettext_lazy("%(who)s started."),
    "done-anyway": gettext_lazy("%(who)s performed it."),
    "redirect": gettext_lazy("%(who)s decided what comes next."),
}
RIVALRY = frozenset({"bidding"})
# What the lines of a journal tell in their own way, or show as a link to what proves them.
TOLD_ELSEWHERE = frozenset({"reason", "reason_text", "slot_start", "slot_end", "appointment", "report"})
OWNED = frozenset({"owner", "colleague", "owners", "second-person"})
Names = Mapping[str, str]


def _fields() -> dict[tuple[str, str], dict[str, Field]]:
    """What each action of a kind of handoff may carry, by name."""
    known: dict[tuple[str, str], dict[str, Field]] = {}
    for row in TRANSITIONS:
        carried = {field.name: field for field in (*row.fields, *ATTESTATION) if field.name not in TOLD_ELSEWHERE}
        known.setdefault((row.handoff, row.action), {}).update(carried)
    # What opens a loop stands beside no handoff: what somebody was told of a death.
    known["fulfil", "open"] = {field.name: field for field in death.TOLD}
    return known


FIELDS = _fields()


def sentence(event: EventView, loop_kind: str, *, rivals: bool = True) -> str:
    """What happened, as one sentence; without ``rivals`` for who performs and knows of no other performer."""
    where = event.handoff_kind or loop_kind
    if not rivals and event.action in OF_RIVALS:
        return str(OF_RIVALS[event.action]) % {"who": event.actor}
    words = SENTENCES.get(f"{where}/{event.action}") or SENTENCES.get(event.action)
    if words:
        return str(words) % {"who": event.actor}
    return _("%(who)s: %(what)s.") % {"who": event.actor, "what": event.label}


def said(event: EventView, names: Names, *, rivals: bool = True) -> list[str]:
    """What the action carried, as lines to read: the reason, the slot, and each field by its label.

    ``names`` are how owners and resources are called (see `names_of`); what has no name there is left out.
    """
    details = event.details
    stead = details.get("in_stead_of", "")
    lines = [_("In the stead of %(name)s.") % {"name": stead}] if stead else []
    lines += [": ".join(str(part) for part in (event.reason_label, event.reason_text) if part)]
    if details.get("slot_start") or details.get("slot_end"):
        lines.append(reading.period({"start": details.get("slot_start"), "end": details.get("slot_end")}))
    for field in _carried(event):
        is_hidden = not rivals and field.name in RIVALRY
        value = "" if is_hidden else _words(field, details[field.name], names)
        lines += [f"{field.label}: {value}"] if value else []
    return [line for line in lines if line]


def text_labels(handoff_kind: str, action: str) -> dict[str, Words]:
    """The texts that an action takes, by field name."""
    rows = (row for row in TRANSITIONS if (row.handoff, row.action) == (handoff_kind, action))
    return {field.name: field.label for row in rows for field in (*row.fields, *ATTESTATION) if field.kind == "text"}


def names_of(events: Iterable[EventView], *, only: str = "") -> dict[str, str]:
    """How the owners and services that the actions named are called; owners of the organisation ``only``, if given."""
    named = {
        str(one)
        for event in events
        for field in _carried(event)
        if field.kind in OWNED
        for one in _several(event.details[field.name])
    }
    if not named:
        return {}
    numbers = [int(one) for one in named if one.isdecimal()]
    owners = Owner.objects.filter(Q(pk__in=numbers) | Q(key__in=[one.partition("/")[2] for one in named]))
    shown = [owner for owner in owners if only in ("", owner.organization)]
    found = {one: owner.name for owner in shown for one in named if one in (str(owner.pk), _reference(owner))}
    in_directory = named - found.keys() if not only else set()
    return found | {one: patients.name_of({"reference": one}) for one in sorted(in_directory) if "/" in one}


def _reference(owner: Owner) -> str:
    return f"{people.type_of(owner.kind)}/{owner.key}"


def _carried(event: EventView) -> list[Field]:
    known = FIELDS.get((event.handoff_kind or "fulfil", event.action), {})
    return [field for name, field in known.items() if name in event.details]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _words(field: Field, value: Any, names: Names) -> str:
    if field.kind == "boolean":
        if not value and not field.required:
            return ""
        return str(_("yes") if value else _("no"))
    if field.kind == "code":
        return str(dict(field.codes).get(value, value))
    if field.kind in ("date", "datetime"):
        return reading.moment(str(value))
    is_reference = field.kind in OWNED or field.kind == "reference"
    # A second person may have agreed in another system: then words stand there.
    if is_reference and not (field.kind == "second-person" and "/" not in str(value)):
        return ", ".join(names[str(one)] for one in _several(value) if str(one) in names)
    return str(value)
