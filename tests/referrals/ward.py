"""The standing people of the loops' tests: a practice that refers, a clinic that performs here, one that does elsewhere."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from records import clock, store
from records.access import SYSTEM, Actor
from records.models import Tenant
from referrals import people, workflow
from referrals.models import Handoff, Loop, Membership, Owner, Pool, PoolMember, User
from referrals.workflow import Order, Outcome

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def hours(number: float) -> datetime:
    """So many hours after the stories begin."""
    return MONDAY + timedelta(hours=number)


@dataclass
class Ward:
    """Everybody, and the verbs that the stories are told with."""

    practice_pool: Owner
    clinic_pool: Owner
    outside: Owner
    supervisor: Owner
    referrer: Actor
    coordinator: Actor
    boss: Actor
    clinic: Actor
    partner: Actor
    stranger: Actor
    patient: str

    def order(self, kind: str = "referral", **changes: Any) -> Loop:
        """A loop of a request by the practice, performed by the clinic unless changed."""
        request = changes.pop("request", clock.new_id())
        facts: dict[str, Any] = {
            "kind": kind,
            "request": request,
            "patient_id": self.patient,
            "placer": "practice",
            "performer": "clinic",
            "title": "Cardiology",
            "ordered_at": clock.now(),
        }
        return workflow.open_loop(Order(**(facts | changes)), self.referrer)

    def sent(self, kind: str = "referral", **changes: Any) -> tuple[Loop, Handoff]:
        """A loop that its performer has, and its `fulfil`."""
        loop = self.order(kind, **changes)
        if kind != "follow-up" and not changes.get("is_sent"):
            workflow.perform(self.only(loop, "dispatch").id, "send", self.referrer)
        return loop, self.only(loop, "fulfil")

    def only(self, loop: Loop, kind: str) -> Handoff:
        """The one open handoff of a kind."""
        return Handoff.objects.select_related("loop__accountable", "owner").get(loop=loop, kind=kind, closed_at=None)

    def open_kinds(self, loop: Loop) -> list[str]:
        """The kinds of what is open, sorted."""
        return sorted(Handoff.objects.filter(loop=loop, closed_at=None).values_list("kind", flat=True))

    def does(self, actor: Actor, handoff: Handoff, action: str, **data: Any) -> Outcome:
        """One action; a report that it names is there."""
        if data.get("report"):
            keep_report(data["report"])
        return workflow.perform(handoff.id, action, actor, data=data)

    def report(self, fulfil: Handoff, action: str = "report") -> Outcome:
        """The clinic's report."""
        return self.does(self.clinic, fulfil, action, report=f"DocumentReference/{clock.new_id()}")

    def acknowledge(self, loop: Loop) -> Outcome:
        """The referrer reads the report."""
        return self.does(
            self.referrer, self.only(loop, "review-report"), "acknowledge", plan="Continue.", question_answered=True
        )

    def tell(self, loop: Loop) -> Outcome:
        """The patient hears of it."""
        return self.does(self.coordinator, self.only(loop, "notify-patient"), "tell", channel="phone")


def keep_report(reference: str, patient: str = "pat") -> None:
    """A report of a patient."""
    kind, _slash, key = reference.partition("/")
    store.write(
        {"resourceType": kind, "id": key, "subject": {"reference": f"Patient/{patient}"}}, actor=SYSTEM, validate=False
    )


def found_ward() -> Ward:
    """Put the people into the database."""
    for key in ("practice", "clinic", "elsewhere"):
        store.write({"resourceType": "Organization", "id": key, "name": key.title()}, actor=SYSTEM)
    Tenant.objects.create(organization="practice", name="Practice")
    Tenant.objects.create(organization="clinic", name="Clinic")
    patient = store.write(_PATIENT, actor=SYSTEM, audience=["practice", "clinic"])
    keep_report("DocumentReference/1")
    practice_pool = people.default_pool("practice")
    supervisor = Owner.objects.create(kind="person", key="boss", organization="practice", name="Dr Boss", internal=True)
    Pool.objects.filter(owner=practice_pool).update(supervisor=supervisor)
    return Ward(
        practice_pool=practice_pool,
        clinic_pool=people.default_pool("clinic"),
        outside=people.owner_for("organisation", "elsewhere", organization="elsewhere", name="Elsewhere"),
        supervisor=supervisor,
        referrer=_person("referrer", "practice", "practitioner"),
        coordinator=_member("coordinator", "practice", "coordinator"),
        boss=_employee("boss", "practice", "supervisor", "practitioner"),
        clinic=_member("consultant", "clinic", "practitioner", "coordinator"),
        partner=Actor(id="partner:1", kind="partner", display="Elsewhere's EHR", organization="elsewhere"),
        stranger=_person("stranger", "nowhere", "practitioner", "supervisor"),
        patient=patient.id,
    )


_PATIENT = {"resourceType": "Patient", "id": "pat", "name": [{"family": "Иванова", "given": ["Анна"]}]}


def _person(name: str, organization: str, *roles: str) -> Actor:
    return Actor(
        id=f"test:{name}",
        kind="person",
        display=name.title(),
        organization=organization,
        roles=frozenset(roles),
        practitioner=name,
    )


def _employee(name: str, organization: str, *roles: str) -> Actor:
    """Somebody who signs in."""
    user = User.objects.create(username=name, first_name=name.title(), practitioner=name)
    Membership.objects.create(user=user, organization=organization, roles=list(roles))
    return people.actor_for(user)


def _member(name: str, organization: str, *roles: str) -> Actor:
    """Somebody who signs in and works on the pool's list."""
    actor = _employee(name, organization, *roles)
    PoolMember.objects.create(pool=Pool.objects.get(organization=organization), user=User.objects.get(username=name))
    return actor
