"""The list to adopt: active orders of ours that came with an import and that no loop follows (PATHWAYS §1).

An import opens no loop: what an old system still calls active may have been over for years. So its orders are listed,
and a coordinator adopts each, singly or in bulk, or dismisses it with a reason. An adopted loop keeps the order's clock.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import connection, transaction
from django.utils.translation import gettext as _

from records import access, audit, clock
from records.access import Actor
from records.deadlocks import tried_again
from records.errors import BatonError, Conflict, Forbidden, Incorrect, Issue, NotFound
from records.json import Resource
from records.types import row_class
from referrals import locking, sharing, workflow
from referrals.intake.orders import is_of_no_kind, order_of
from referrals.models import Adoptable, Loop
from referrals.parties import current_patient, held, performing
from referrals.pathways import codes
from referrals.worklists.patients import display_names

MAY = frozenset({"coordinator", "supervisor"})
YOUNGER_THAN = timedelta(days=365)  # 12 months †
MOST = 200
OF_NO_KIND = Loop.Kind.REFERRAL
State = Literal["waiting", "dismissed"]
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order to adopt; ``request`` is the id of its ServiceRequest, organisations by their root's id, times in UTC."""

    request: str
    kind: str
    title: str
    priority: str
    patient_id: str
    patient_name: str
    placer: str
    performer: str
    ordered_at: datetime
    needed_by: datetime | None
    listed_at: datetime
    dismissed_at: datetime | None
    reason_code: str
    reason_text: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """Some orders, those that wait longest first, and the place after which the next ones begin."""

    rows: list[Candidate]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one order: the loop that adopted it (empty for a dismissal), or why nothing was done."""

    request: str
    loop: str = ""
    refused: str = ""


def offer(request: Resource, actor: Actor) -> bool:
    """List an imported request, if it is an active order of ours; True when it is new on the list.

    What a house of ours is asked for elsewhere, and is of no kind that we know, is listed as a referral.
    """
    order = order_of(request, actor, kind=OF_NO_KIND if is_of_no_kind(request, actor) else "")
    if order is None:
        return False
    _row, was_new = Adoptable.objects.get_or_create(
        request_id=order.request,
        defaults={
            "organization": order.performer if order.answer_only else order.placer,
            "placer": order.placer,
            "performer": order.performer,
            "kind": order.kind,
            "patient_id": current_patient(order.patient_id),
            "title": order.title,
            "priority": order.priority,
            "ordered_at": order.ordered_at or clock.now(),
            "needed_by": order.needed_by,
            "listed_at": clock.now(),
        },
    )
    return was_new


def listed(
    actor: Actor, now: datetime, *, state: State = "waiting", after: Place | None = None, limit: int = 50
) -> Candidates:
    """The orders of the actor's organisation that nobody has adopted; with ``state`` dismissed those that were refused."""
    values: dict[str, Any] = {
        "organization": actor.organization,
        "since": now - YOUNGER_THAN,
        "after": after[0] if after else None,
        "after_id": after[1] if after else "",
        "limit": limit + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LISTED.format(state=_STATES[state], no_outcome=_NO_OUTCOME, limit="%(limit)s"), values)
        lines = cursor.fetchall()
    names = display_names(actor, {line[4] for line in lines})
    rows = [_candidate(line, names) for line in lines]
    is_more = len(rows) > limit
    return Candidates(rows[:limit], (rows[limit - 1].ordered_at, rows[limit - 1].request) if is_more else None)


def _candidate(line: tuple[Any, ...], names: Mapping[str, str]) -> Candidate:
    """From the columns of `_LISTED`, with the patient's name put after the id."""
    before, after = line[:5], line[5:]
    return Candidate(*before, names.get(line[4], ""), *after)  # type: ignore[call-arg]  # in the order of the fields


def count(actor: Actor, now: datetime, most: int = 1_000) -> int:
    """How many orders wait to be adopted, counted up to ``most`` + 1."""
    values: dict[str, Any] = {
        "organization": actor.organization,
        "since": now - YOUNGER_THAN,
        "after": None,
        "after_id": "",
    }
    inner = _LISTED.format(state=_STATES["waiting"], no_outcome=_NO_OUTCOME, limit=str(most + 1))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({inner}) AS counted", values)  # noqa: S608 (our own words)
        found: int = cursor.fetchone()[0]
    return found


def adopt(actor: Actor, requests: Sequence[str]) -> list[Done]:
    """Open a loop for each of these orders; what can't be is named with the reason and doesn't stop the others."""
    return _each(actor, requests, lambda row: _adopt(actor, row))


def dismiss(actor: Actor, requests: Sequence[str], *, reason: str, text: str = "") -> list[Done]:
    """Take these orders off the list for a coded reason of the group *dismiss* (words are required for "other")."""
    if reason not in dict(codes("dismiss")):
        told = _("Choose one of the reasons: %(codes)s.") % {"codes": ", ".join(dict(codes("dismiss")))}
        raise Incorrect(told, Issue(told, "reason", "value"))
    if reason == "other" and not text.strip():
        told = _("Say which reason.")
        raise Incorrect(told, Issue(told, "reason_text", "required"))
    return _each(actor, requests, lambda row: _dismiss(actor, row, reason, text))


def _each(actor: Actor, requests: Sequence[str], do: Callable[[Adoptable], str]) -> list[Done]:
    _refuse_others(actor)
    if len(requests) > MOST:
        raise Incorrect(_("At most %(most)d at once.") % {"most": MOST})
    return [_one(actor, key, do) for key in dict.fromkeys(requests)]


@tried_again
def _one(actor: Actor, key: str, do: Callable[[Adoptable], str]) -> Done:
    """One order in a transaction of its own, once nobody else is writing it: its EHR may be opening the loop."""
    try:
        with transaction.atomic():
            locking.hold_names(requests=[f"ServiceRequest/{key}"])
            list(
                row_class("ServiceRequest").rows("ServiceRequest").select_for_update().filter(pk=key).values_list("pk")
            )
            row = Adoptable.objects.select_for_update().filter(pk=key, organization=actor.organization).first()
            if row is None:
                raise NotFound(_("There is no such order on the list."))
            return Done(key, loop=do(row))
    except BatonError as error:
        return Done(key, refused=str(error.message))


def _adopt(actor: Actor, row: Adoptable) -> str:
    """Open the loop; one that is there already is told, so that a second click does no harm."""
    loop = row.loop or Loop.objects.filter(request_id=row.request_id).first()
    if loop is None:
        request = held("ServiceRequest", row.request_id)
        order = order_of(_as_listed(request, row), actor, placer=row.placer, kind=row.kind) if request else None
        if order is None:
            raise Incorrect(_("It is no active order any more."))
        loop = workflow.open_loop(replace(order, held_at=clock.now()), actor)
        sharing.share(loop, request, actor, besides=frozenset({"Patient"}))
    if row.loop_id is None:
        row.loop, row.dismissed_at, row.dismissed_by, row.reason_code, row.reason_text = loop, None, "", "", ""
        row.save()
    return str(loop.id)


def _as_listed(request: Resource, row: Adoptable) -> Resource:
    """The request, with the performer that was asked by a Task where it names others, or nobody."""
    organization, _service = performing(request)
    if not row.performer or access.root(organization) == row.performer:
        return request
    return {**request, "performer": [{"reference": f"Organization/{row.performer}"}]}


def _dismiss(actor: Actor, row: Adoptable, reason: str, text: str) -> str:
    if row.loop_id or Loop.objects.filter(request_id=row.request_id).exists():
        raise Conflict(_("It has been adopted already."))
    row.dismissed_at, row.dismissed_by = clock.now(), actor.display or actor.id
    row.reason_code, row.reason_text = reason, text
    row.save()
    details = {"request": f"ServiceRequest/{row.request_id}", "reason": reason}
    audit.record(actor, "U", "dismissal", organization=row.organization, details=details)
    return ""


def _refuse_others(actor: Actor) -> None:
    if not access.is_tenant(actor.organization) or not (actor.kind == "client" or actor.roles & MAY):
        raise Forbidden(_("Only coordinators and supervisors adopt orders or dismiss them."))


_STATES = {"waiting": "a.dismissed_at IS NULL", "dismissed": "a.dismissed_at IS NOT NULL"}


def _none_of(tables: Iterable[tuple[str, str, str]]) -> str:
    """That no row of these tables (name, column of references, statuses that count) names the order."""
    return " ".join(
        f"AND NOT EXISTS (SELECT FROM {table} AS o WHERE o.{column} @> ARRAY['ServiceRequest/' || a.request_id]"
        f" AND NOT o.deleted AND o.status IN ({statuses}))"
        for table, column, statuses in tables
    )


_REPORTED = "'final', 'amended', 'corrected', 'appended'"
_NO_OUTCOME = _none_of(
    (
        ("records_diagnosticreport", "based_on", _REPORTED),
        ("records_observation", "based_on", _REPORTED),
        ("records_documentreference", "related", "'current'"),
        ("records_procedure", "based_on", "'completed'"),
    )
)
_LISTED = """
SELECT a.request_id, a.kind, a.title, a.priority, a.patient_id, a.placer, a.performer, a.ordered_at, a.needed_by,
       a.listed_at, a.dismissed_at, a.reason_code, a.reason_text
FROM referrals_adoptable AS a JOIN records_servicerequest AS r ON r.id = a.request_id
WHERE a.organization = %(organization)s AND a.loop_id IS NULL AND {state} AND a.ordered_at > %(since)s
  AND (%(after)s::timestamptz IS NULL OR ROW(a.ordered_at, a.request_id) > ROW(%(after)s::timestamptz, %(after_id)s))
  AND r.status = 'active' AND NOT r.deleted
  AND NOT EXISTS (SELECT FROM referrals_loop AS l WHERE l.request_id = a.request_id) {no_outcome}
ORDER BY a.ordered_at, a.request_id LIMIT {limit}
"""
