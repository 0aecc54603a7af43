"""Being away: announced with a surrogate, or provided for with a standing one. `reading` says who then reads what."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from records import audit, clock
from records.access import Actor
from records.errors import Forbidden, Incorrect, Issue, NotFound
from referrals.models import Absence, Owner
from referrals.people.owners import LONGEST_NUMBER, works
from referrals.people.pools import default_pool
from referrals.people.roles import may_manage


def announce(person: Owner, surrogate: Owner | None, starts_at: datetime, ends_at: datetime, actor: Actor) -> Absence:
    """Write down that somebody is away from then to then (aware); without a surrogate the standing one stands in.

    Raises `Forbidden` unless it is the actor's own or the actor oversees the organisation's people, and `Incorrect`
    naming the field: it ends before it starts or is over, overlaps another, or the surrogate is no colleague.
    """
    _may_change(person, actor)
    chosen = surrogate or person.surrogate
    _refuse_unfit(person, chosen)
    with transaction.atomic():
        Owner.objects.select_for_update().get(pk=person.pk)
        _refuse_times(person, starts_at, ends_at)
        default_pool(person.organization)  # there is always one to fall back on
        absence = Absence.objects.create(owner=person, surrogate=chosen, starts_at=starts_at, ends_at=ends_at)
        _note(actor, "C", absence)
    return absence


def end(absence: Absence, actor: Actor) -> None:
    """Let an absence be over now; one that has not begun never was."""
    _may_change(absence.owner, actor)
    now = clock.now()
    with transaction.atomic():
        if absence.starts_at >= now:
            _note(actor, "D", absence)
            absence.delete()
        elif absence.ends_at > now:
            absence.ends_at = now
            absence.save(update_fields=["ends_at"])
            _note(actor, "U", absence)


def set_surrogate(person: Owner, surrogate: Owner | None, actor: Actor) -> None:
    """Say who stands in for somebody who stays away without notice; None for nobody but the pool."""
    _may_change(person, actor)
    _refuse_unfit(person, surrogate)
    with transaction.atomic():
        Owner.objects.filter(pk=person.pk).update(surrogate=surrogate)
        person.surrogate = surrogate
        said = f"Standing surrogate: {surrogate.name}." if surrogate else "No standing surrogate."
        _record(actor, "U", "surrogate", person, said)


def absences_of(actor: Actor) -> QuerySet[Absence]:
    """The absences of the actor's organisation that aren't over, the next first."""
    held = Absence.objects.filter(owner__organization=actor.organization, ends_at__gt=clock.now())
    return held.select_related("owner", "surrogate").order_by("starts_at", "id")


def find_absence(actor: Actor, key: str) -> Absence:
    """One of them by its number; `NotFound` else."""
    is_number = key.isdecimal() and len(key) < LONGEST_NUMBER
    found = absences_of(actor).filter(pk=int(key)).first() if is_number else None
    if found is None:
        raise NotFound(_("There is no such absence."))
    return found


def _may_change(person: Owner, actor: Actor) -> None:
    is_own = bool(actor.practitioner) and person.key == actor.practitioner
    if not is_own and not may_manage(actor, person.organization):
        raise Forbidden(_("Only you yourself or your supervisor can do this."))


def _refuse_unfit(person: Owner, surrogate: Owner | None) -> None:
    if surrogate is None:
        return
    if surrogate.pk == person.pk:
        raise _wrong("surrogate", _("Nobody can stand in for themselves."))
    is_colleague = surrogate.kind == Owner.Kind.PERSON and surrogate.organization == person.organization
    if not is_colleague or not works(surrogate.key, person.organization):
        raise _wrong("surrogate", _("Only a person who works in the same organisation can stand in."))


def _refuse_times(person: Owner, starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise _wrong("ends_at", _("The end must be after the start."))
    now = clock.now()
    if ends_at <= now:
        raise _wrong("ends_at", _("This absence would be over already."))
    # One that is over, perhaps ended early, stands in nobody's way: it can't be ended again.
    if person.absences.filter(starts_at__lt=ends_at, ends_at__gt=max(starts_at, now)).exists():
        raise _wrong("starts_at", _("Another absence is written down for that time; end it first."))


def _wrong(field: str, text: str) -> Incorrect:
    return Incorrect(text, Issue(text, field, "value"))


def _note(actor: Actor, action: audit.ActionCode, absence: Absence) -> None:
    person, surrogate = absence.owner, absence.surrogate
    instead = surrogate.name if surrogate else "the pool"
    said = f"Away from {absence.starts_at.isoformat()} to {absence.ends_at.isoformat()}; instead: {instead}."
    _record(actor, action, "absence", person, said)


def _record(actor: Actor, action: audit.ActionCode, subject: str, person: Owner, said: str) -> None:
    audit.record(
        actor, action, subject, organization=person.organization, about=f"Practitioner/{person.key}", said=said
    )
