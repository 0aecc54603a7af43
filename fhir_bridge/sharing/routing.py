"""What goes to which partner: the least that the performer needs, in an order in which every reference resolves.

A `fulfil` or `request-cancellation` Task goes to the partner whose organisation owns it, a `propose-change` to the
one that placed the request. With it go the patient, the
requester, the organisations, the request, and what the referrer attached to the request by name. To whoever asked for
something by a Task of its own goes what that Task has as output, whoever has performed it (docs/decisions/0122). The loop's Task and
all other handoffs never leave (PATHWAYS §1). A resource that is referred to but doesn't go is named by our identifier.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q

from fhir_bridge.models import Link, Partner
from fhir_bridge.sharing import references
from records import access, clock, json, store
from records.errors import Gone, NotFound
from records.json import Resource
from records.reactions import Change
from referrals.models import Handoff, Owner
from referrals.parties import current_patient, local
from referrals.subjects import patient_of

SHARED_HANDOFFS = ("fulfil", "request-cancellation", "propose-change")
SHARED_CODES = frozenset({"fulfill", "abort", "propose-change"})
NOT_ASKED = frozenset({"draft", "cancelled", "entered-in-error"})

# the later ones refer to the earlier ones
RANKS: Mapping[str, int] = {
    "Organization": 0,
    "Practitioner": 0,
    "PractitionerRole": 1,
    "Patient": 1,
    "Condition": 2,
    "Observation": 2,
    "DocumentReference": 2,
    "DiagnosticReport": 3,
    "ServiceRequest": 4,
    "Task": 5,
}

# which references of a resource take their targets along
FOLLOWED: Mapping[str, tuple[str, ...]] = {
    "Task": ("for", "focus", "requester", "owner", "basedOn"),
    "ServiceRequest": ("subject", "requester", "performer", "reasonReference", "supportingInfo"),
    "PractitionerRole": ("practitioner", "organization"),
}
# the same of an outcome: a report without its values or its author is none
OUTCOME: Mapping[str, tuple[str, ...]] = {
    "DiagnosticReport": ("result", "performer"),
    "DocumentReference": ("author",),
    "PractitionerRole": FOLLOWED["PractitionerRole"],
}


def plan(changes: Sequence[Change], our_base: str) -> list[Link]:
    """The links that these new versions call for, not yet saved. Two queries when a shared Task is among them, and
    one more when one has an output, when an outcome is, and when a request is.
    """
    tasks = {change.id: change.body for change in changes if change.body and _is_shared(change.body)}
    links = _of_outcomes({id_: task["output"] for id_, task in tasks.items() if task.get("output")}, our_base)
    links += _of_corrections([each.id for each in changes if each.body and each.type in OUTCOME], our_base)
    links += _of_requests([each.id for each in changes if each.body and each.type == "ServiceRequest"], our_base)
    partners = list(Partner.objects.order_by("pk")) if tasks else []
    for handoff in Handoff.objects.filter(pk__in=tasks, kind__in=SHARED_HANDOFFS).select_related("owner", "loop"):
        for partner in _partners_of(handoff, partners):
            organizations = (handoff.loop.placer, partner.organization)
            links += _links(partner, tasks[handoff.pk], organizations, our_base)
    return links


def _of_outcomes(outputs: Mapping[str, Any], our_base: str) -> list[Link]:
    """What these Tasks (by id) have as output, for the partners that have asked for them; of what each can keep."""
    asked = Link.objects.filter(type="Task", local_id__in=outputs, origin=Link.Origin.THEIRS).select_related("partner")
    found: list[Link] = []
    for link in asked if outputs else ():
        named = references.targets(outputs[link.local_id], our_base)
        kept = (target for target in named if target[0] in RANKS and link.partner.can().may_create(target[0]))
        found += _wanted(link.partner, _reached(kept, OUTCOME, our_base))
    return found


def _of_corrections(changed: Sequence[str], our_base: str) -> list[Link]:
    """What new versions of outcomes (by id) lead to, for the partners that have them and have asked for something."""
    asked = Link.objects.filter(type="Task", origin=Link.Origin.THEIRS, partner=OuterRef("partner"))
    theirs = Link.objects.filter(Exists(asked), type__in=OUTCOME, local_id__in=changed, origin=Link.Origin.OURS)
    found: list[Link] = []
    for link in theirs.select_related("partner") if changed else ():
        found += _wanted(link.partner, _reached([(link.type, link.local_id)], OUTCOME, our_base))
    return found


def _of_requests(changed: Sequence[str], our_base: str) -> list[Link]:
    """What new versions of requests (by id) name since they were sent: a letter that was attached later goes after them."""
    there = Link.objects.filter(type="ServiceRequest", local_id__in=changed, origin=Link.Origin.OURS)
    found: list[Link] = []
    for link in there.select_related("partner") if changed else ():
        found += _wanted(link.partner, _reached([(link.type, link.local_id)], FOLLOWED, our_base))
    return found


def missing(partner: Partner, our_base: str) -> list[Link]:
    """The links that a partner should have for what is with its organisation already, not yet saved.

    A partner is often connected after the first orders were sent to it on paper.
    """
    house = access.root(partner.organization)
    theirs = Q(owner__key=partner.organization) | Q(owner__organization__in={partner.organization, house})
    everybody = list(Partner.objects.order_by("pk"))
    waiting = Handoff.objects.filter(theirs, kind__in=SHARED_HANDOFFS, closed_at=None)
    linked = Link.objects.filter(type="Task", local_id__in=waiting.values("pk")).values("local_id")
    found: dict[tuple[str, str], Link] = {}
    for handoff in waiting.exclude(pk__in=linked).select_related("loop", "owner").order_by("opened_at"):
        task = store.get("Task", handoff.pk)
        if _is_shared(task) and partner in _performing(handoff.owner, everybody)[:1]:
            organizations = (handoff.loop.placer, partner.organization)
            found |= {(each.type, each.local_id): each for each in _links(partner, task, organizations, our_base)}
    return list(found.values())


def _is_shared(body: Resource) -> bool:
    """Whether a body is a Task of a kind that may leave, and is asked for now: what never left isn't cancelled there."""
    if body["resourceType"] != "Task" or body.get("status") in NOT_ASKED:
        return False
    codings = body.get("code", {}).get("coding", [])
    return any(coding.get("code") in SHARED_CODES for coding in codings)


def _partners_of(handoff: Handoff, partners: Iterable[Partner]) -> list[Partner]:
    """The partner that performs this handoff; where one of those that could has it already, nobody is sent it."""
    mine = _performing(handoff.owner, partners)
    links = Link.objects.filter(type="Task", local_id=handoff.pk, partner__in=mine)
    return mine[:1] if mine and not links.exists() else []


def _performing(owner: Owner, partners: Iterable[Partner]) -> list[Partner]:
    """The partners through which an owner can be reached, the nearest first: a department's own before the house's."""
    if owner.kind == Owner.Kind.PARTNER:
        return [partner for partner in partners if str(partner.pk) == owner.key]
    is_department = owner.kind == Owner.Kind.ORGANISATION and owner.key != owner.organization
    above = access.lineage(owner.key) if is_department else [owner.key]
    steps = {organization: step for step, organization in enumerate(dict.fromkeys([*above, owner.organization]))}
    reached = [partner for partner in partners if partner.organization in steps]
    return sorted(reached, key=lambda partner: steps[partner.organization])


def _links(partner: Partner, task: Resource, organizations: Sequence[str], our_base: str) -> Iterator[Link]:
    return _wanted(partner, closure(task, organizations, our_base))


def _wanted(partner: Partner, resources: Iterable[tuple[str, str, int]]) -> Iterator[Link]:
    now = clock.now()
    for type_, id_, version in resources:
        yield Link(
            partner=partner,
            type=type_,
            local_id=id_,
            state=Link.State.WANTED,
            rank=RANKS[type_],
            wanted_version=version,
            due_at=now,
        )


def closure(task: Resource, organizations: Sequence[str], our_base: str) -> list[tuple[str, str, int]]:
    """(type, id, current version) of everything that goes with a Task between those, itself included, each once."""
    first = [("Task", str(task["id"])), *(("Organization", each) for each in organizations)]
    return _reached(first, FOLLOWED, our_base)


def _reached(
    first: Iterable[tuple[str, str]], followed: Mapping[str, tuple[str, ...]], our_base: str
) -> list[tuple[str, str, int]]:
    """(type, id, current version) of these and of what they lead to, each once, in the order of their ranks.

    What is another patient's than what names it stays here, though somebody has attached it.
    """
    found: dict[tuple[str, str], int] = {}
    waiting = [(key, "") for key in first]
    while waiting:
        key, whose = waiting.pop()
        if key in found or key[0] not in RANKS:
            continue
        try:
            stored = store.read(*key)
        except (NotFound, Gone):
            continue
        body = json.loads(stored.body)
        patient = "" if key[0] == "Patient" else local(patient_of(body))[1]
        if whose and patient and patient != whose and current_patient(patient) != current_patient(whose):
            continue
        found[key] = stored.version
        whose = patient or whose
        for element in followed.get(key[0], ()):
            waiting += [(target, whose) for target in references.targets(body.get(element), our_base)]
    return [(*key, version) for key, version in sorted(found.items(), key=lambda item: RANKS[item[0][0]])]
