"""What the page of a loop shows, made from `referrals.worklists.LoopView`: plain dicts, every word in place."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from records import access
from records.access import Actor
from records.json import loads
from referrals import directory, people, workflow
from referrals.matching import Candidate
from referrals.models import Handoff
from referrals.pathways import REASONS, transitions_from
from referrals.vocabulary import Offer, Words
from referrals.worklists import HandoffView, LoopView
from web import dues, linked, matches, organisations, patients, reading, words
from web import journal as sentences
from web.forms.offers import Known, OfferForm, offer_form

Key = tuple[str, str, bool]


def heading(actor: Actor, view: LoopView) -> dict[str, Any]:
    """The loop itself."""
    loop = view.row
    names = organisations.names(actor, {loop.placer, loop.performer})
    facts = [
        (_("Ordered"), reading.when(loop.ordered_at)),
        (_("From"), names.get(loop.placer, "")),
        (_("To"), names.get(loop.performer, "")),
        (_("Needed by"), reading.when(loop.needed_by)),
        (_("Asked for"), _("advice alone") if loop.is_advice else ""),
        (_("Accountable"), loop.accountable.name),
    ]
    return {
        "id": loop.id,
        "kind": loop.kind,
        "kind_label": words.KINDS.get(loop.kind, loop.kind),
        "title": words.title_of(view),
        "priority": loop.priority,
        "priority_label": words.PRIORITIES.get(loop.priority, loop.priority),
        "priority_tone": words.PRIORITY_TONES.get(loop.priority, ""),
        "stage_label": view.stage_label,
        "stage_tone": "good" if loop.closed_at else "info",
        "facts": [(label, value) for label, value in facts if value],
        "end_words": _end_words(view),
    }


def _end_words(view: LoopView) -> str:
    loop = view.row
    if not loop.closed_at:
        return ""
    reason = str(REASONS[loop.end_reason].label) if loop.end_reason in REASONS else ""
    ended = {"stage": capfirst(str(view.stage_label)), "at": reading.when(loop.closed_at), "who": loop.closed_by}
    return ". ".join(part for part in (_("%(stage)s; the last step on %(at)s by %(who)s") % ended, reason) if part)


def cards(
    actor: Actor, view: LoopView, now: datetime, choices: Known, forms: Mapping[Key, OfferForm]
) -> list[dict[str, Any]]:
    """Each open handoff with its clock, its owner and the forms for what this person may do."""
    return [_card(actor, one, now, choices, forms) for one in view.handoffs if one.row.is_open]


def afterwards(
    actor: Actor, view: LoopView, now: datetime, choices: Known, forms: Mapping[Key, OfferForm]
) -> list[dict[str, Any]]:
    """Each ended handoff with which this person may still do something, such as declare its report void."""
    ended = [one for one in view.handoffs if not one.row.is_open]
    possible = (one for one in ended if transitions_from(one.row.kind, one.row.stage, view.row.kind))
    return [shown for shown in (_card(actor, one, now, choices, forms) for one in possible) if shown["offers"]]


def _card(
    actor: Actor, view: HandoffView, now: datetime, choices: Known, forms: Mapping[Key, OfferForm]
) -> dict[str, Any]:
    handoff = view.row
    due = dues.due(handoff.due_at, now)
    offers = [
        _offer(offer, handoff, choices, forms.get((handoff.id, offer.action, offer.attested)))
        for offer in sorted(workflow.available(actor, handoff), key=lambda offer: not offer.is_primary)
    ]
    return {
        "id": handoff.id,
        "kind": handoff.kind,
        "version": handoff.version,
        "handoff_label": view.label,
        "stage_label": view.stage_label,
        "is_open": handoff.is_open,
        "since": handoff.stage_since,
        "due_at": handoff.due_at,
        "due_words": due.words,
        "tone": due.tone,
        "sign": due.sign,
        "owner": view.owner_name,
        "list": handoff.list.name if handoff.list_id != handoff.owner_id else "",
        "unknown_since": reading.when(view.unknown_since),
        "reconfirm_at": reading.when(handoff.reconfirm_at),
        "escalated": _escalated(actor, handoff),
        "reason": ": ".join(str(part) for part in (view.reason_label, handoff.reason_text) if part),
        "offers": offers,
        "heard": any(offer["attested"] for offer in offers),
        "heard_open": any(offer["attested"] and offer["is_open"] for offer in offers),
    }


def _escalated(actor: Actor, handoff: Handoff) -> str:
    """Who of the reader's house has heard that it is late."""
    if not handoff.is_open or not handoff.escalation_level:
        return ""
    heard = handoff.escalations.filter(due_at=handoff.due_at, owner__organization=actor.organization)
    return ", ".join(heard.order_by("level").values_list("owner__name", flat=True))


def _offer(offer: Offer, handoff: Handoff, choices: Known, bound: OfferForm | None) -> dict[str, Any]:
    return {
        "action": offer.action,
        "label": offer.label,
        "is_primary": offer.is_primary,
        "attested": offer.attested,
        "is_open": bound is not None,
        "form": bound or offer_form(offer, choices, prefix(handoff.id, offer.action, attested=offer.attested)),
    }


def prefix(handoff_id: str, action: str, *, attested: bool) -> str:
    """What tells the fields of one form on the page from those of another."""
    return f"{handoff_id}-{action}{'-told' if attested else ''}"


def known(
    actor: Actor, view: LoopView, proofs: Iterable[linked.Linked], found: Sequence[Candidate]
) -> dict[str, list[tuple[str, Words]]]:
    """What may be chosen in a form: the resources that the loop names, orders that match, services and colleagues.

    ``found`` are the candidates of an unsolicited loop.
    """
    choices: dict[str, list[tuple[str, Words]]] = {
        "ServiceRequest": matches.choices(found),
        "Organization": matches.performers(actor, found),
    }
    for one in proofs:
        choices.setdefault(one.type, []).append((one.reference, f"{one.title} · {one.sub}"))
    asked = _asked(view)
    choices["owner"] = [
        (f"HealthcareService/{one.id}", _service(one, asked.get(one.root, "")))
        for one in directory.find_performers(actor, view.row)
    ]
    choices["colleague"] = list(people.colleagues(actor.organization))
    choices["second-person"] = list(people.seconds(actor))
    choices["second-person/supervisor"] = list(people.seconds(actor, ("supervisor",)))
    return choices


def _asked(view: LoopView) -> dict[str, str]:
    """What became of asking each organisation in this loop before, the last word counts."""
    rows = sorted((one for one in view.handoffs if one.row.kind == "fulfil"), key=lambda one: one.row.stage_since)
    return {one.row.owner.organization: _became(one) for one in rows if not one.row.is_unsent}


def _became(one: HandoffView) -> str:
    words = {"stage": one.stage_label, "day": reading.day(timezone.localdate(one.row.stage_since).isoformat())}
    if one.row.is_open:
        return _("asked already: %(stage)s since %(day)s") % words
    ended = _("asked before: %(stage)s on %(day)s") % words
    return ", ".join(str(part) for part in (ended, one.reason_label) if part)


def _service(one: directory.ServiceFound, asked: str) -> str:
    """A service as somebody chooses it: its name, whose it is, how long one waits, and what it has said already."""
    wait = "" if one.wait_days is None else _("about %(days)d days of waiting") % {"days": one.wait_days}
    return " · ".join(part for part in (one.name, one.organization, wait, asked) if part)


def journal(actor: Actor, view: LoopView, proofs: Iterable[linked.Linked] = ()) -> list[dict[str, Any]]:
    """Everything that happened, newest first, each with what proves it if the reader may see that.

    Who only performs is told of none but their own people: not of the other performers, nor of the placer's staff.
    """
    known_proofs = {one.reference: one for one in proofs}
    limit = _limit(actor, view)
    names = sentences.names_of(view.events, only=limit) | {key: one.title for key, one in known_proofs.items()}
    return [
        {
            "sentence": sentences.sentence(event, view.row.kind, rivals=not limit),
            "said": sentences.said(event, names, rivals=not limit),
            "at": event.at,
            "recorded_at": event.recorded_at,
            "attested": event.attested,
            "proof": known_proofs.get(event.evidence) or known_proofs.get(str(event.details.get("report", ""))),
        }
        for event in reversed(view.events)
    ]


def _limit(actor: Actor, view: LoopView) -> str:
    is_placers = actor.organization in (view.row.placer, view.row.accountable.organization)
    return "" if is_placers else actor.organization or "nobody"


def last_change(actor: Actor, view: LoopView) -> str:
    """Who changed the loop last, how and when: what somebody with an old page must know."""
    if not view.events:
        return ""
    entry = journal(actor, view)[0]
    return f"{entry['sentence']} {reading.when(entry['at'])}"


def request_facts(actor: Actor, view: LoopView) -> list[tuple[str, str]]:
    """What was asked, from the request's own words."""
    later = [one.row.focus for one in view.handoffs if one.row.focus.startswith("ServiceRequest/")]
    request = next(iter(later), view.row.request_reference).removeprefix("ServiceRequest/")
    held = access.visible(actor, "ServiceRequest").filter(pk=request, deleted=False)
    text = held.values_list("body", flat=True).first()
    if text is None:
        return []
    body = loads(text)
    told = [
        (_("What"), reading.concept(body.get("code"))),
        (_("Why"), "\n".join(filter(None, map(reading.concept, body.get("reasonCode", []))))),
        (_("Requested by"), patients.name_of(body.get("requester"))),
        (_("When"), reading.period(body.get("occurrencePeriod")) or reading.moment(body.get("occurrenceDateTime", ""))),
        (_("Note"), "\n".join(str(note.get("text", "")) for note in body.get("note", []))),
        (_("Instructions"), str(body.get("patientInstruction", ""))),
    ]
    return [(label, value) for label, value in told if value]


def related(view: LoopView) -> list[dict[str, Any]]:
    """The loop that this one follows, and those that follow it."""
    before = [(view.row.based_on, _("this loop follows it"))] if view.row.based_on else []
    after = [(later, _("follows this loop")) for later in view.row.followed_by.all()]
    return [
        {"id": other.id, "kind": other.kind, "title": other.title or words.KINDS[other.kind], "words": told}
        for other, told in (*before, *after)
    ]
