"""Who is in the stories: a practice that works in Baton, its GP and coordinator, Ana (a patient), and a hospital outside."""

from dataclasses import dataclass, field

from bench.fake_ehr import FakeEhr
from fhir_bridge.capabilities.abilities import Abilities, TypeAbilities
from fhir_bridge.models import Partner
from records import clock, store
from records.access import SYSTEM, Actor
from records.json import Resource
from records.models import Tenant
from referrals import people, workflow
from referrals.models import Handoff, Loop, Membership, User

PRACTICE, HOSPITAL, ANA, GP = "practice", "hospital", "ana", "gp"
MRN, NPI, REGISTER = "https://practice.example/mrn", "http://hl7.org/fhir/sid/us-npi", "https://register.example/org"


@dataclass(frozen=True, slots=True)
class Story:
    """``run`` makes every identifier of this story unlike any other's at a shared partner."""

    run: str
    gp: Actor
    nina: Actor
    pool: str
    sent: list[Loop] = field(default_factory=list)

    def refer(self, **more: object) -> Handoff:
        """The GP refers Ana to the hospital; gives the `fulfil` handoff."""
        return self._order("referral", request_for_ana(self.run) | more)

    def order_test(self) -> Handoff:
        """The GP orders a laboratory test of the hospital's."""
        code = {"coding": [{"system": "http://loinc.org", "code": "24323-8"}], "text": "Metabolic panel"}
        return self._order("test-order", request_for_ana(self.run) | {"code": code})

    def _order(self, kind: str, body: Resource) -> Handoff:
        request = keep(body)
        order = workflow.Order(
            kind=kind,
            request=request,
            patient_id=ANA,
            placer=PRACTICE,
            performer=HOSPITAL,
            requester=GP,
            title="Cardiology",
            is_sent=True,
        )
        loop = workflow.open_loop(order, self.gp)
        self.sent.append(loop)
        return Handoff.objects.get(loop=loop, kind="fulfil")


def promise(partner: Partner, *, if_match: bool = True, if_none_exist: bool = True) -> None:
    """The partner's server says so of every type; the rest of what we need is there."""
    every = TypeAbilities(
        interactions=frozenset({"read", "create", "update", "search-type"}),
        params=frozenset({"_lastUpdated", "identifier", "patient"}),
        versioning="versioned-update" if if_match else "versioned",
        conditional_create=if_none_exist,
    )
    partner.abilities = Abilities(source="statement", fhir_version="4.0.1", others=every).stored()
    partner.abilities_seen_at = clock.now()
    partner.save()


def build(run: str) -> Story:
    """Write who is there."""
    for key, name in ((PRACTICE, "Practice"), (HOSPITAL, "Hospital Nord")):
        named = {"system": REGISTER, "value": f"{key}-{run}"}
        keep({"resourceType": "Organization", "id": key, "identifier": [named], "name": name})
    Tenant.objects.create(organization=PRACTICE, name="Practice")
    gp, nina = person(GP, "practitioner", run=run), person("nina", "coordinator", "supervisor", run=run)
    pool = people.create_pool(PRACTICE, "Practice – coordination", members=[nina], is_default=True)
    keep(
        {
            "resourceType": "Patient",
            "id": ANA,
            "identifier": [{"system": MRN, "value": f"4711-{run}"}],
            "name": [{"given": ["Ana"], "family": f"Canary{run}"}],
            "birthDate": "1980-01-31",
        },
        PRACTICE,
    )
    return Story(run, people.actor_for(gp), people.actor_for(nina), pool.id)


def person(name: str, *roles: str, run: str) -> User:
    named = [{"system": NPI, "value": f"{name}-{run}"}]
    keep({"resourceType": "Practitioner", "id": name, "identifier": named, "name": [{"family": name.title()}]})
    user = User.objects.create(username=name, first_name=name.title(), practitioner=name)
    Membership.objects.create(user=user, organization=PRACTICE, roles=list(roles))
    return user


def request_for_ana(run: str) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}], "text": f"Cardiology {run}"},
        "subject": {"reference": f"Patient/{ANA}"},
        "requester": {"reference": f"Practitioner/{GP}"},
        "performer": [{"reference": f"Organization/{HOSPITAL}"}],
        "authoredOn": clock.now().isoformat(timespec="seconds"),
    }


def keep(resource: Resource, *audience: str) -> str:
    return store.write(resource, actor=SYSTEM, audience=audience).id


def put_order(ehr: FakeEhr, run: str, **more: object) -> Resource:
    """The practice's EHR has an order for Ana to the hospital, which names nobody but a clinician as its requester."""
    people_ = {"Patient": ("p1", MRN, f"4711-{run}"), "Practitioner": ("d1", NPI, f"{GP}-{run}")}
    places = {"Organization": ("o1", REGISTER, f"{HOSPITAL}-{run}")}
    for type_, (id_, system, value) in (people_ | places).items():
        ehr.put({"resourceType": type_, "id": id_, "identifier": [{"system": system, "value": value}]})
    return ehr.put(
        {
            "resourceType": "ServiceRequest",
            "id": "sr1",
            "status": "active",
            "intent": "order",
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]},
            "subject": {"reference": "Patient/p1"},
            "requester": {"reference": "Practitioner/d1"},
            "performer": [{"reference": "Organization/o1"}],
            **more,
        }
    )
