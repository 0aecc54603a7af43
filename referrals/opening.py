"""How a loop begins: the order that it tracks, the thing that it holds, or the ended loop that it follows."""

from dataclasses import dataclass
from datetime import datetime

from records import clock
from referrals import people
from referrals.calendars import within_reach
from referrals.models import Loop, Owner


@dataclass(frozen=True, slots=True)
class Order:
    """A care request as the loops see it: ids of resources, root organisations and instants (aware).

    ``patient_id`` may be a record that was merged since: the loop is of the one that counts. ``requester`` is the id of the Practitioner who ordered, empty for a device or nobody known. Owners that are left out
    are the placer's coordination pool, the requester in person, and whoever performs for the performing organisation.
    ``is_sent``: its performer has it already, under the Task ``task_id`` if one stands for it. ``held_at`` is when somebody
    here first held it, at which the first handoff's clock starts: when it was ordered, but for what was adopted later.
    """

    kind: str
    request: str
    patient_id: str
    placer: str
    title: str = ""
    performer: str = ""
    requester: str = ""
    service_id: str = ""
    priority: str = "routine"
    ordered_at: datetime | None = None
    window_start_at: datetime | None = None
    needed_by: datetime | None = None
    accountable: Owner | None = None
    responsible: Owner | None = None
    performer_owner: Owner | None = None
    is_sent: bool = False
    task_id: str = ""
    answer_only: bool = False
    is_advice: bool = False
    held_at: datetime | None = None


def new_loop(order: Order, now: datetime) -> Loop:
    """The loop of an order, not saved yet; an order dated after ``now`` counts as ordered now."""
    accountable = order.accountable or people.default_pool(order.performer if order.answer_only else order.placer)
    loop = new_loop_for(order.kind, "", accountable, now)
    loop.stage = "waiting-partner"
    loop.request_id, loop.patient_id, loop.title = order.request, order.patient_id, order.title
    loop.placer, loop.performer, loop.service_id = order.placer, order.performer, order.service_id
    loop.requester, loop.priority, loop.answer_only = order.requester, order.priority, order.answer_only
    loop.is_advice = order.is_advice
    loop.ordered_at = within_reach(min(order.ordered_at or now, now))
    loop.window_start_at = order.window_start_at and within_reach(order.window_start_at)
    loop.needed_by = order.needed_by and within_reach(order.needed_by)
    loop.responsible = order.responsible or _responsible(order)
    loop.performer_owner = order.performer_owner or _performing(order)
    return loop


def new_loop_for(kind: str, about: str, accountable: Owner, now: datetime) -> Loop:
    """A loop without a request, about that reference, not saved yet."""
    return Loop(
        id=clock.new_id(),
        kind=kind,
        stage="in-hand",
        about=about,
        accountable=accountable,
        ordered_at=now,
        opened_at=now,
    )


def successor_of(loop: Loop, now: datetime, *, is_known: bool = False) -> Loop:
    """The loop that takes up what came after ``loop`` had ended (law 4); not saved yet.

    ``is_known``: what was read and told there still stands.
    """
    later = new_loop_for(loop.kind, loop.request_reference, loop.accountable, now)
    for name in (*_INHERITED, *(_KNOWN if is_known else ())):
        setattr(later, name, getattr(loop, name))
    later.based_on, later.stage = loop, "report-received"
    if later.responsible is not None and not later.responsible.internal:
        later.responsible = None  # who has left takes nothing up again
    return later


_INHERITED = (
    *("patient_id", "placer", "performer", "service_id", "requester", "title", "priority", "responsible"),
    *("performer_owner", "answer_only", "is_advice", "ordered_at", "window_start_at", "needed_by"),
)
_KNOWN = ("acknowledged_at", "acknowledged_by", "acknowledged_reason", "told_at", "told_by", "told_reason")


def _responsible(order: Order) -> Owner | None:
    """The requester in person, if they sign in here for the placer; otherwise the pool answers for it."""
    if not order.requester:
        return None
    owner = people.owner_for("person", order.requester, organization=order.placer)
    return owner if owner.internal and owner.organization == order.placer else None


def _performing(order: Order) -> Owner | None:
    if order.performer:
        return people.performing_owner(order.performer)
    return people.default_pool(order.placer) if order.kind == "follow-up" else None
