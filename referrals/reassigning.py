"""Many handoffs change hands at once: chosen ones, those of a list, or all that a person has. PATHWAYS §7, §8.4.

Each is an action of its own with its own line in the journal, all in one transaction. What can't be given away is named
with the reason, and the rest goes on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from records.access import Actor
from records.errors import BatonError, Forbidden, Incorrect, Issue
from referrals import workflow, worklists
from referrals.models import Handoff, Loop, Owner
from referrals.people import colleague, type_of
from referrals.workflow import Act
from referrals.worklists import Filters

MOST = 500


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one handoff; ``refused`` says why it stayed where it is, and is empty where it went."""

    handoff: str
    refused: str = ""


def reassign(actor: Actor, handoffs: Sequence[str], owner: str, *, note: str = "") -> list[Handed]:
    """Give these handoffs (ids) to ``owner`` (a reference to a person, role or pool of the actor's organisation).

    Raises `Incorrect` when that is nobody who works there, for none and for more than `MOST` at once.
    """
    ids = list(dict.fromkeys(handoffs))
    if not 0 < len(ids) <= MOST:
        text = _("Choose between 1 and %(most)d tasks.") % {"most": MOST}
        raise Incorrect(text, Issue(text, "handoffs", "value"))
    colleague(owner, actor.organization)
    return _perform([Act(key, "reassign", data=_data(note, owner=owner)) for key in ids], actor)


def listed(actor: Actor, filters: Filters, now: datetime) -> list[str]:
    """The ids of what stands on a list, at most one more than can be given away at once."""
    found: list[str] = []
    key = ""
    while len(found) <= MOST:
        page = worklists.rows(actor, filters, now=now, after=key, limit=200)
        found += [row.handoff_id for row in page.rows]
        key = page.next
        if not key:
            break
    return list(dict.fromkeys(found))[: MOST + 1]


def hand_over(
    person: Owner, actor: Actor, *, to: Owner | None = None, note: str = "", only: Collection[str] | None = None
) -> list[Handed]:
    """Give away the open work of a person, and the loops that they are responsible for: to a colleague, or to a pool.

    ``only`` are the ids of the handoffs and loops that are meant, None for all. Without ``to`` each goes to the pool
    behind it. A loop is a person's responsibility, or its accountable pool's. Raises `Incorrect` for the person themself.
    """
    if to is not None and to.pk == person.pk:
        text = _("It is theirs already: choose somebody else.")
        raise Incorrect(text, Issue(text, "owner", "value"))
    meant = Q() if only is None else Q(pk__in=only)
    held = Handoff.objects.filter(meant, owner=person, closed_at=None).select_related("owner", "pool")
    acts = [Act(one.id, "reassign", data=_data(note, owner=_taker(one, to))) for one in held.order_by("due_at", "id")]
    loops = Loop.objects.filter(meant, responsible=person, closed_at=None).select_related("accountable")
    for loop in loops.order_by("id"):
        followed = to if to is not None and to.kind == Owner.Kind.PERSON else loop.accountable
        # Which one says it makes no difference; without any the loop has been closed by somebody else just now.
        some = Handoff.objects.filter(loop=loop, closed_at=None).order_by("id").values_list("id", flat=True).first()
        if some is not None:
            acts.append(Act(some, "transfer", data=_data(note, responsible=_reference(followed))))
    return _perform(acts, actor) if acts else []


def _perform(acts: Sequence[Act], actor: Actor) -> list[Handed]:
    """All at once; where one is refused, each for itself."""
    try:
        workflow.perform_many(acts, actor)
    except BatonError:
        return [_try(act, actor) for act in acts]
    return [Handed(act.handoff_id) for act in acts]


def _try(act: Act, actor: Actor) -> Handed:
    try:
        with transaction.atomic():
            workflow.perform_many([act], actor)
    except Forbidden:
        return Handed(act.handoff_id, _("only its owner, or whoever oversees their work, hands it over."))
    except BatonError as error:
        return Handed(act.handoff_id, error.message)
    return Handed(act.handoff_id)


def _taker(handoff: Handoff, to: Owner | None) -> str:
    if to is not None:
        return _reference(to)
    is_here = handoff.owner.organization == handoff.pool.organization
    return _reference(handoff.pool) if is_here else f"Organization/{handoff.owner.organization}"


def _reference(owner: Owner) -> str:
    return f"{type_of(owner.kind)}/{owner.key}"


def _data(note: str, **named: str) -> dict[str, str]:
    return named | ({"note": note} if note else {})
