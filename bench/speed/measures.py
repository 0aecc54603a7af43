"""What is timed: each a piece of work that a person or an EHR waits for, in its smallest form.

A figure is the best of several rounds in milliseconds, so that it says what the code costs and not what else the machine
was doing. Ratios are taken within one run: to the same work on the small database (growth), and to reading one row by its
key (cost), the least that any answer from PostgreSQL can take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from django.db import connection, transaction

from records import clock, search, store
from records.access import SYSTEM, Actor
from referrals import escalation, workflow, worklists
from referrals.models import Handoff
from referrals.worklists import Filters

ROUNDS = 7
BASE = "one row by its key"


@dataclass(frozen=True, slots=True)
class Place:
    """Whom the work is done for: a coordinator, a handoff of theirs that may be tried again and again, and its patient."""

    actor: Actor
    handoff: str
    patient: str


def measures(place: Place) -> Mapping[str, Callable[[], object]]:
    """The work by its name; each can be repeated as often as one likes."""
    actor, now = place.actor, clock.now
    page = worklists.rows(actor, Filters(), now=now()).next
    return {
        BASE: lambda: _row(place.handoff),
        "worklist: first page": lambda: worklists.rows(actor, Filters(), now=now()),
        "worklist: second page": lambda: worklists.rows(actor, Filters(), now=now(), after=page),
        "worklist: decisions of the organisation": lambda: worklists.rows(
            actor, Filters(scope="organisation", handoff="decide-next-step"), now=now()
        ),
        "worklist: to be chased": lambda: worklists.rows(actor, Filters(label="chase"), now=now()),
        "worklist: every tile": lambda: worklists.tiles(actor, now()),
        "an action": lambda: workflow.perform(place.handoff, "attempt", actor, data={"channel": "phone"}),
        "a sweep with nothing due": lambda: escalation.sweep(now()),
        "FHIR: read a Task": lambda: store.read("Task", place.handoff),
        "FHIR: write a Patient": _write,
        "FHIR: search Tasks of a patient": lambda: search.search(
            actor, "Task", [("patient", f"Patient/{place.patient}")]
        ),
    }


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The best of so many rounds; what was written is taken back."""
    best = float("inf")
    for _round in range(rounds + 1):  # the first one warms up
        with transaction.atomic():
            start = perf_counter()
            work()
            best = min(best, perf_counter() - start)
            transaction.set_rollback(True)
    return best * 1000


def a_place(actor: Actor) -> Place:
    """A handoff at which somebody may try and try again without ending it."""
    handoff = Handoff.objects.select_related("loop").filter(
        kind__in=("notify-patient", "contact-patient"), closed_at=None, list__organization=actor.organization
    )
    found = handoff.exclude(id__contains=".").order_by("id").first()
    if found is None:
        raise LookupError("Nobody is to be told or contacted in this database: more loops are needed.")
    return Place(actor, found.id, found.loop.patient_id)


def _row(key: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT stage FROM referrals_handoff WHERE id = %s", [key])
        return cursor.fetchone()


def _write() -> object:
    patient = {"resourceType": "Patient", "id": "bench", "name": [{"family": "Novák", "given": ["Eva"]}]}
    return store.write(patient, actor=SYSTEM)
