"""Two Patients who may be one person: noticed when a record is written, and decided by a person, never by guess.

`notice` only flags. Somebody who oversees the work of an organisation that sees both records says "one person", which
merges them (`referrals.upheavals.merge`, and can be undone), or "two people", after which they are never asked about
again. PATHWAYS §7.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from records import access, audit, clock, search
from records.access import Actor
from records.deadlocks import tried_again
from records.errors import Conflict, Forbidden, NotFound
from records.json import Resource, loads
from records.types import row_class
from referrals.models import Merge, PossibleDuplicate
from referrals.parties import identifiers_of, local
from referrals.people import OVERSEEING
from referrals.upheavals import merge
from referrals.vocabulary import Words

REASONS: dict[str, Words] = {
    "identifier": gettext_lazy("the same identifier"),
    "name": gettext_lazy("the same family name, birth date and sex"),
    "link": gettext_lazy("one says that the other replaces it, and is still in use"),
}
MOST = 20
MOST_LISTED = 100
# What says who somebody is: only a change of one of these can make two records alike.
TELLING = ("identifier", "name", "birthDate", "gender", "link")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that may be one person's, as they are now, with what speaks for it."""

    id: int
    first: Resource
    second: Resource
    reasons: tuple[Words, ...]


def notice(before: Resource, now: Resource) -> None:
    """Flag whoever may be the same person as a Patient whose identity has changed, or who is new."""
    if now.get("active") is False or all(before.get(name) == now.get(name) for name in TELLING):
        return
    found = [
        PossibleDuplicate(first=first, second=second, reasons=reasons, found_at=clock.now())
        for other, reasons in _alike(now).items()
        for first, second in [sorted((now["id"], other))]
    ]
    PossibleDuplicate.objects.bulk_create(
        found, update_conflicts=True, unique_fields=["first", "second"], update_fields=["reasons"]
    )


def waiting(actor: Actor) -> list[Pair]:
    """The pairs that nobody has decided yet and of which the actor may see both, the newest first."""
    pairs = list(_undecided(actor)[:MOST_LISTED])
    return [Pair(one.pk, *bodies, _words(one)) for one in pairs if all(bodies := _bodies(actor, one.first, one.second))]


def alike(actor: Actor, patient_id: str) -> int:
    """How many undecided pairs one Patient is in, as far as the actor may see them."""
    return _undecided(actor).filter(Q(first=patient_id) | Q(second=patient_id)).count()


def merged(actor: Actor) -> list[tuple[Merge, Resource, Resource]]:
    """What people have merged and may be undone, the latest first: the merge, the record that follows and the one that counts.

    A merge that the replaced record states itself is undone where it was stated.
    """
    found = Merge.objects.filter(undone_at=None, source__in=_seen(actor), target__in=_seen(actor)).order_by(
        "-merged_at"
    )
    known = ((one, *_bodies(actor, one.source, one.target)) for one in found[:MOST_LISTED])
    return [(one, source, target) for one, source, target in known if source and not merge.replaced_by(source)]


def may_decide(actor: Actor) -> bool:
    """Whether the actor may say whether two records are one person's: who oversees the work of their organisation."""
    return actor.kind == "person" and bool(actor.organization and actor.roles & OVERSEEING)


@tried_again
@transaction.atomic
def unite(pair_id: int, keep: str, actor: Actor) -> None:
    """They are one person, and from now on the record ``keep`` counts.

    Raises `NotFound` for a pair that isn't the actor's to see, `Forbidden` for who may not decide, `Conflict` for one
    that has been decided meanwhile.
    """
    one = _decidable(pair_id, actor)
    if keep not in (one.first, one.second):
        raise NotFound(_("There is no such patient."))
    gone = one.second if keep == one.first else one.first
    if merge.merge(gone, keep, actor) is None:
        raise Conflict(_("Somebody has decided this already."))
    _note(actor, gone, "One person: merged.", {"counts now": keep})


@transaction.atomic
def part(pair_id: int, actor: Actor) -> None:
    """They are two people, and nobody is asked again. Raises as `unite` does."""
    one = _decidable(pair_id, actor)
    one.parted_at, one.parted_by = clock.now(), actor.display
    one.save(update_fields=["parted_at", "parted_by"])
    _note(actor, one.first, "Two people: not asked again.", {"other": one.second})


@tried_again
@transaction.atomic
def undo(source: str, actor: Actor) -> None:
    """They were not one person: what followed goes back, and the pair is asked about again. Raises as `unite` does."""
    if not may_decide(actor):
        raise Forbidden(_("Only a coordinator or supervisor decides this."))
    if source not in {one.source for one, _source, _target in merged(actor)}:
        raise NotFound(_("There is no such patient."))
    merge.undo(source, actor)
    _note(actor, source, "The merge was undone.", {})


def _decidable(pair_id: int, actor: Actor) -> PossibleDuplicate:
    if not may_decide(actor):
        raise Forbidden(_("Only a coordinator or supervisor decides this."))
    seen = PossibleDuplicate.objects.filter(pk=pair_id, first__in=_seen(actor), second__in=_seen(actor))
    one = seen.select_for_update().first()
    if one is None:
        raise NotFound(_("There is no such patient."))
    if one.parted_at or Merge.objects.filter(source__in=(one.first, one.second), undone_at=None).exists():
        raise Conflict(_("Somebody has decided this already."))
    return one


def _undecided(actor: Actor) -> QuerySet[PossibleDuplicate]:
    gone = Merge.objects.filter(undone_at=None).values("source")
    pairs = PossibleDuplicate.objects.filter(parted_at=None, first__in=_seen(actor), second__in=_seen(actor))
    return pairs.exclude(Q(first__in=gone) | Q(second__in=gone)).order_by("-found_at", "-id")


def _seen(actor: Actor) -> QuerySet[Any]:
    return access.visible(actor, "Patient").values("id")


def _bodies(actor: Actor, first: str, second: str) -> tuple[Resource, Resource]:
    rows = access.visible(actor, "Patient").filter(pk__in=(first, second)).values_list("id", "body")
    bodies = {key: loads(body) for key, body in rows}
    return bodies.get(first, {}), bodies.get(second, {})


def _alike(patient: Resource) -> dict[str, list[str]]:
    """The ids of Patients like this one, each with the codes of what is the same."""
    found: dict[str, list[str]] = defaultdict(list)
    rows = row_class("Patient").rows("Patient").filter(deleted=False).exclude(id=patient["id"])
    rows = rows.exclude(active="false").exclude(id__in=Merge.objects.filter(undone_at=None).values("source"))
    for system, value in sorted(identifiers_of(patient)):
        same = rows.filter(identifier__contains=[f"{system}|{value}"]).order_by("id")
        for key in same.values_list("id", flat=True)[:MOST]:
            found[key] = ["identifier"]
    for key in _namesakes(patient, rows):
        found[key].append("name")
    for key in rows.filter(id__in=_successors(patient)).values_list("id", flat=True):
        found[key].append("link")
    return found


def _successors(patient: Resource) -> list[str]:
    """The ids of Patients that this one says replace it, although it is in use (FHIR R4 §8.1.2 has it inactive then)."""
    links = (local(one.get("other")) for one in patient.get("link", ()) if one.get("type") == "replaced-by")
    return [key for type_, key in links if type_ == "Patient"]


def _namesakes(patient: Resource, rows: "QuerySet[Any]") -> list[str]:
    """By family name, folded, day of birth and sex; nobody where one of them isn't known."""
    born, sex = str(patient.get("birthDate", "")), patient.get("gender", "")
    families = {str(one["family"]).casefold() for one in patient.get("name", ()) if one.get("family")}
    if not born or not sex or not families:
        return []
    bodies = rows.filter(search.compile("Patient", [("birthdate", born), ("gender", sex)])).order_by("id")
    return [
        key
        for key, body in bodies.values_list("id", "body")[: MOST * 5]
        for other in [loads(body)]
        if other.get("birthDate") == born
        and families & {str(one.get("family", "")).casefold() for one in other.get("name", ())}
    ][:MOST]


def _words(one: PossibleDuplicate) -> tuple[Words, ...]:
    return tuple(REASONS[code] for code in one.reasons if code in REASONS)


def _note(actor: Actor, patient: str, said: str, details: dict[str, str]) -> None:
    about = f"Patient/{patient}"
    audit.record(actor, "U", "duplicate", organization=actor.organization, about=about, said=said, details=details)
