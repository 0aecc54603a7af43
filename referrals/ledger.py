"""What one piece of work changes, kept together and written in as few statements as there are tables.

`referrals.workflow` fills it; `save` writes loops, handoffs, journal and Tasks and then lets PostgreSQL check the laws,
all in the caller's transaction.
"""

from datetime import datetime

from django.db import IntegrityError, connection
from django.utils.translation import gettext as _

from records import statements, store
from records.access import Actor
from records.errors import Conflict
from records.json import Resource
from referrals import following, placing, reactions
from referrals.models import Event, Handoff, Loop
from referrals.people import PERFORMED
from referrals.projection import handoff_task, loop_task
from referrals.receipts import Receipt

_LOOP_FIELDS = (
    *(
        "stage",
        "priority",
        "needed_by",
        "window_start_at",
        "version",
        "patient_id",
        "performer",
        "performer_owner",
        "service_id",
        "is_advice",
        "responsible",
        "accountable",
        "end_reason",
        "closed_at",
        "closed_by",
    ),
    *("acknowledged_at", "acknowledged_by", "acknowledged_reason", "told_at", "told_by", "told_reason"),
)
_HANDOFF_FIELDS = (
    *("stage", "version", "owner", "list", "stage_since", "due_at", "half_due_at", "closed_at", "task_status"),
    *("remote_lasted_at", "reason_code", "reason_text", "paused_seconds", "paused_stage", "attempts", "escalate_at"),
    *("escalation_level", "focus", "is_offer", "authorisation", "authorised_until"),
    *("accountable", "pool", "is_outside", "slot_start_at", "slot_end_at", "reconfirm_at", "contradiction"),
    *("priority_rank", "needed_by"),
)

LEFT = "law_1_list"
"""The law by which PostgreSQL refuses work on a list that nobody reads (any more)."""


class Ledger:
    """The changes of one transaction by one actor."""

    def __init__(self, actor: Actor, now: datetime) -> None:
        self.actor = actor
        self.now = now
        self.events: list[Event] = []
        self.reports: dict[str, str] = {}
        self.bases: dict[str, Resource] = {}
        self.placed: list[tuple[Loop, Resource]] = []
        self.requests: list[tuple[Loop, str, str]] = []
        self.receipts: dict[str, Receipt] = {}
        self._loops: dict[str, Loop] = {}
        self._handoffs: dict[str, Handoff] = {}
        self._restaged: set[str] = set()

    def add_loop(self, loop: Loop) -> None:
        """A new loop."""
        self._loops[loop.id] = loop
        self._restaged.add(loop.id)

    def change_loop(self, loop: Loop, **fields: object) -> None:
        """Set fields of a loop, and its version up by one the first time."""
        changed = {name: value for name, value in fields.items() if getattr(loop, name) != value}
        if not changed:
            return
        if loop.id not in self._loops:
            loop.version += 1
            self._loops[loop.id] = loop
        if changed.keys() & {"stage", "accountable", "priority"}:
            self._restaged.add(loop.id)
        for name, value in changed.items():
            setattr(loop, name, value)

    def put_handoff(self, handoff: Handoff) -> None:
        """A new or changed handoff."""
        self._handoffs[handoff.id] = handoff

    def save(self) -> list[Event]:
        """Write everything, check the laws, and announce the events."""
        self._save_loops()
        if self._handoffs:
            self._save_handoffs()
        if self.events:
            statements.insert_rows(Event, self.events)
        self._place_requests()
        self._save_tasks()
        self._settle_requests()
        with connection.cursor() as cursor:
            cursor.execute(_CHECK_LAWS)
        reactions.announce(self.events)
        return self.events

    def _save_loops(self) -> None:
        if self._loops:
            statements.upsert_rows(Loop, list(self._loops.values()), _LOOP_FIELDS)

    def _save_handoffs(self) -> None:
        """Raises `Conflict` where somebody who was to take work over has left since it was decided."""
        try:
            statements.upsert_rows(Handoff, list(self._handoffs.values()), _HANDOFF_FIELDS)
        except IntegrityError as error:
            if getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") != LEFT:
                raise
            raise Conflict(_("Somebody who was to take this over has just stopped working here.")) from error

    def _save_tasks(self) -> None:
        """Project what has changed, one write for each circle of organisations that may see it."""
        circles: dict[frozenset[str], list[str]] = {}
        for loop_id in sorted(self._restaged):
            circles.setdefault(audience(self._loops[loop_id]), []).append(loop_id)
        for handoff in self._handoffs.values():
            circles.setdefault(audience_of_handoff(handoff), []).append(handoff.id)
        for key, receipt in self.receipts.items():
            circles.setdefault(audience(receipt.loop), []).append(key)
        for organizations, ids in circles.items():
            store.rewrite("Task", ids, self._task, actor=self.actor, audience=organizations)

    def _task(self, key: str, previous: Resource | None) -> Resource:
        if key in self._loops:
            return loop_task(self._loops[key], previous)
        if key in self.receipts:
            return self.receipts[key].task(previous)
        handoff, report = self._handoffs[key], self.reports.get(key, "")
        return handoff_task(handoff, handoff.loop, self.bases.get(key) or previous, report=report)

    def _place_requests(self) -> None:
        """The new requests of ours, before the Tasks that are about them."""
        for loop, request in self.placed:
            store.write(request, actor=self.actor, audience=audience(loop), validate=False)
            following.keep_with(loop, request)

    def _settle_requests(self) -> None:
        """What has become of our own requests, by their reference; an EHR says so of its own (PATHWAYS §1)."""
        for loop, request, status in self.requests:
            placing.settle(request, status, self.actor, loop)


def audience(loop: Loop) -> frozenset[str]:
    """The root organisations that see everything of a loop."""
    return frozenset({loop.placer, loop.performer, loop.accountable.organization, _reading(loop)} - {""})


def audience_of_handoff(handoff: Handoff) -> frozenset[str]:
    """The root organisations that see a handoff: of several performers each sees only what is its own to do."""
    loop = handoff.loop
    acting = handoff.owner.organization if handoff.kind in PERFORMED else loop.performer
    acting = "" if handoff.is_unsent else acting
    return frozenset({loop.placer, acting, loop.accountable.organization, _reading(loop)} - {""})


def _reading(loop: Loop) -> str:
    """Where the clinician works who reads its reports: after a discharge that may be another house."""
    return loop.responsible.organization if loop.responsible else ""


def booked_visit(handoff: Handoff) -> str:
    """The Appointment that was booked last, as a reference; empty where none is known."""
    events = Event.objects.filter(handoff=handoff, details__appointment__startswith="Appointment/")
    return events.order_by("-id").values_list("details__appointment", flat=True).first() or ""


_CHECK_LAWS = """
SET CONSTRAINTS law_1_of_loop, law_1_of_handoff IMMEDIATE; SET CONSTRAINTS law_1_of_loop, law_1_of_handoff DEFERRED
"""
