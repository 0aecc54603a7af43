"""What can't be applied by itself: a person's work in a loop of the kind `unsolicited`, opened once."""

from dataclasses import replace
from datetime import timedelta

from records import access, clock, dates
from records.access import Actor
from records.json import Resource
from referrals import sharing, workflow
from referrals.evidence.table import is_finished
from referrals.models import Handoff, Loop, Owner
from referrals.parties import held, local
from referrals.reports import severity_of, was_rewritten
from referrals.subjects import patient_of

LONGEST_TITLE = 200
FRESH = timedelta(days=30)
"""† An unsolicited report older than this is history that a partner's import brought, not news."""


def is_news(resource: Resource, previous: Resource, actor: Actor) -> bool:
    """Whether a report that names no order of ours asks for a person: new, finished and recent."""
    if resource["resourceType"] != "DiagnosticReport" or _names_another(resource, actor):
        return False
    if not is_finished(resource):
        return False
    if previous and not was_rewritten(resource, previous):
        return False
    issued = dates.period_of(resource.get("issued", "")) or dates.range_of(
        resource.get("effectiveDateTime") or resource.get("effectivePeriod")
    )
    return issued is not None and issued[1] >= clock.now() - FRESH


def _names_another(report: Resource, actor: Actor) -> bool:
    """Whether it is about an order of ours that is still to come, or about another's that is none of our business.

    Whoever has been asked something about this patient may name it by an order of their own, which may be kept here; what is
    sent to a house of ours under an order that nobody here has is meant for it.
    """
    named = [one for one in report.get("basedOn", ()) if isinstance(one, dict)]
    here = [target for target in map(local, named) if target[0] == "ServiceRequest"]
    if not named or any(not held(*target) for target in here):
        return bool(named)
    key = local(patient_of(report))[1]
    asked = Handoff.objects.filter(kind="fulfil", closed_at=None, owner__organization=actor.organization)
    is_for_us = access.is_tenant(actor.organization) and not here
    return not (is_for_us or asked.filter(loop__patient_id=key).exists())


def receiver(resource: Resource, actor: Actor) -> str:
    """The tenant that has to look at a report: the one it came to, else the only one that knows the patient."""
    if access.is_tenant(actor.organization):
        return actor.organization
    type_, key = local(patient_of(resource))
    seen_by = {
        loop.accountable.organization
        for loop in Loop.objects.filter(patient_id=key or None).select_related("accountable")
    }
    return seen_by.pop() if type_ == "Patient" and len(seen_by) == 1 else ""


def ask_for_match(resource: Resource, pool: Owner, actor: Actor, *, anew: bool = False) -> str:
    """The `unsolicited` loop that holds this evidence, opened once; its patient is not known to be anybody.

    The house of the pool may read what its people have to match, as far as its sender may. ``anew``: once more where an
    earlier one has ended.
    """
    about = f"{resource['resourceType']}/{resource['id']}"
    held = Loop.objects.filter(kind="unsolicited", about=about).order_by("opened_at").last()
    if held is not None and not (anew and held.closed_at):
        return held.id
    priority = _priority_of(resource)
    loop = workflow.open_handoff_loop(
        "unsolicited",
        "match-evidence",
        about=about,
        accountable_pool=pool,
        priority=priority,
        title=_title_of(resource),
        actor=actor,
    )
    sharing.share(loop, resource, actor, organizations=frozenset({pool.organization}))
    return loop.id


def hurry_match(resource: Resource, actor: Actor) -> None:
    """Let whoever is to match it know that it has turned out to be critical."""
    about = f"{resource['resourceType']}/{resource['id']}"
    held = Loop.objects.filter(kind="unsolicited", about=about, closed_at=None).first()
    if held is not None and _priority_of(resource) == "stat":
        workflow.revise(held, {"priority": "stat"}, replace(actor, kind="system"), evidence=about)


def _priority_of(resource: Resource) -> str:
    return "stat" if severity_of(resource) == "critical" else "routine"


def _title_of(resource: Resource) -> str:
    """How what it reports is called, by its own words."""
    concepts = [one for one in (resource.get("code"), resource.get("type")) if isinstance(one, dict)]
    texts = [text for one in concepts for text in (one.get("text"), *(c.get("display") for c in one.get("coding", ())))]
    return next((str(text) for text in (resource.get("description"), *texts) if text), "")[:LONGEST_TITLE]
