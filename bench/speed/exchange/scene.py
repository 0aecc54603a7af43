"""A practice that works in Baton, a hospital with an EHR, referrals between them, and what each side writes about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

from bench.chaos.people import GP, HOSPITAL, PRACTICE, REGISTER, People
from bench.speed.exchange.bare import Body
from fhir_bridge.connecting import partners
from fhir_bridge.models import Link, Partner
from records import clock, store
from records.access import SYSTEM
from records.json import Resource
from referrals import workflow

ORIGIN = "https://baton.example"
RESULTS_PER_REFERRAL = 100
LOINC = "http://loinc.org"


@dataclass
class Scene:
    """``partner`` is that of the organisation ``hospital``; ``referrals`` are the ids of the orders that it has got, each also its patient's; ``run``
    makes them unlike any other run's.
    """

    people: People
    partner: Partner
    hospital: str = HOSPITAL
    run: str = field(default_factory=lambda: uuid4().hex[:8])
    referrals: list[str] = field(default_factory=list)

    def refer(self, number: int) -> None:
        """One more patient is referred, with so many results that go along."""
        name = f"{self.run}-{len(self.referrals)}"
        named = [{"system": REGISTER, "value": name}]
        _keep([{"resourceType": "Patient", "id": name, "identifier": named, "name": [{"family": "Bench"}]}])
        results = [f"{name}-{each}" for each in range(number)]
        _keep([result(each, name, 1) for each in results])
        _keep([_request(name, self.hospital, results)])
        order = workflow.Order(
            kind="referral",
            request=name,
            patient_id=name,
            placer=PRACTICE,
            performer=self.hospital,
            requester=GP,
            title="Cardiology",
            is_sent=True,
        )
        workflow.open_loop(order, self.people.gp)
        self.referrals.append(name)

    def change(self, number: int, value: int) -> None:
        """So many results of each referral get another value."""
        for name in self.referrals:
            _keep([result(f"{name}-{each}", name, value) for each in range(number)])

    def theirs(self, number: int) -> Iterator[Body]:
        """So many results that the hospital has found, in its references, to all referrals in turn; not yet at its EHR."""
        rows = Link.objects.filter(partner=self.partner, type__in=("ServiceRequest", "Patient"))
        there = {(kind, local): remote for kind, local, remote in rows.values_list("type", "local_id", "remote_id")}
        for each in range(number):
            name = self.referrals[each % len(self.referrals)]
            body = result("", there["Patient", name] or "", 1)
            yield {**body, "basedOn": [{"reference": f"ServiceRequest/{there['ServiceRequest', name]}"}]}


def another(first: Scene, name: str, base_url: str) -> Scene:
    """One more hospital with an EHR of its own."""
    _keep(
        [
            {
                "resourceType": "Organization",
                "id": name,
                "identifier": [{"system": REGISTER, "value": name}],
                "name": name,
            }
        ]
    )
    partner = partners.add(name, base_url, organization=name, steward_pool=PRACTICE)
    partners.discover(partner)
    return Scene(first.people, partner, name)


def result(id_: str, patient: str, value: int) -> Resource:
    """A laboratory result; without an id, one that a server is to give it."""
    return {
        "resourceType": "Observation",
        **({"id": id_} if id_ else {}),
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": LOINC, "code": "2160-0", "display": "Creatinine"}], "text": "Creatinine"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-01-31T08:30:00+01:00",
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        "referenceRange": [{"high": {"value": 110, "unit": "mg/dL"}, "text": "up to 110"}],
    }


def _request(name: str, hospital: str, results: list[str]) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]},
        "subject": {"reference": f"Patient/{name}"},
        "requester": {"reference": f"Practitioner/{GP}"},
        "performer": [{"reference": f"Organization/{hospital}"}],
        "authoredOn": clock.now().isoformat(timespec="seconds"),
        **({"supportingInfo": [{"reference": f"Observation/{each}"} for each in results]} if results else {}),
    }


def _keep(resources: list[Resource]) -> None:
    store.write_many(resources, actor=SYSTEM, audience=[PRACTICE])
