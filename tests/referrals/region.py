"""The standing people of the stories: a practice and a clinic that work in Baton, a hospital that does not, an outsider."""

from dataclasses import dataclass

from records import store
from records.access import SYSTEM, Actor
from records.json import Resource
from records.models import Tenant
from referrals import people
from referrals.models import Membership, Pool, User

PRACTICE, CLINIC, ELSEWHERE, HOSPITAL = "practice", "clinic", "elsewhere", "hospital"
CARDIOLOGY = "hospital-cardiology"
MRN = "https://practice.example/mrn"


@dataclass(frozen=True, slots=True)
class Region:
    """Who is there. ``ehr`` is the practice's own system, ``partner`` the hospital's, ``outsider`` another tenant's."""

    gp: Actor
    nina: Actor
    ehr: Actor
    partner: Actor
    outsider: Actor
    pool: Pool


def build() -> Region:
    """Write the directory, Ana and Ben (patients), the GP, and Nina who coordinates."""
    for organization in (PRACTICE, CLINIC, ELSEWHERE, HOSPITAL):
        keep({"resourceType": "Organization", "id": organization, "name": organization.title()})
    keep(
        {
            "resourceType": "Organization",
            "id": CARDIOLOGY,
            "name": "Cardiology",
            "partOf": {"reference": f"Organization/{HOSPITAL}"},
        }
    )
    for tenant in (PRACTICE, CLINIC, ELSEWHERE):
        Tenant.objects.create(organization=tenant, name=tenant.title())
    gp, nina = person("gp", "practitioner"), person("nina", "coordinator", "supervisor")
    pool = people.create_pool(PRACTICE, "Practice – coordination", members=[nina], is_default=True)
    keep(
        {
            "resourceType": "HealthcareService",
            "id": "heart-clinic",
            "name": "Heart clinic",
            "providedBy": {"reference": f"Organization/{CARDIOLOGY}"},
            "specialty": [{"text": "Cardiology"}],
        }
    )
    patient("ana", "Ruiz", "1980-01-31", "4711", PRACTICE)
    patient("ben", "Okafor", "1975-05-05", "4712", PRACTICE)
    patient("eve", "Foreign", "1990-09-09", "4713", ELSEWHERE)
    return Region(
        gp=people.actor_for(gp),
        nina=people.actor_for(nina),
        ehr=client("ehr", PRACTICE),
        partner=Actor(id="partner:hospital", kind="partner", display="Hospital EHR", organization=HOSPITAL),
        outsider=client("outsider", ELSEWHERE),
        pool=pool,
    )


def client(name: str, organization: str) -> Actor:
    return Actor(
        id=f"client:{name}",
        kind="client",
        display=name,
        organization=organization,
        scopes=frozenset({"system/*.cruds"}),
    )


def person(name: str, *roles: str, organization: str = PRACTICE) -> User:
    keep({"resourceType": "Practitioner", "id": name, "name": [{"given": [name.title()], "family": "Stone"}]})
    user = User.objects.create(username=name, first_name=name.title(), last_name="Stone", practitioner=name)
    Membership.objects.create(user=user, organization=organization, roles=list(roles))
    return user


def patient(key: str, family: str, born: str, number: str, organization: str) -> None:
    keep(
        {
            "resourceType": "Patient",
            "id": key,
            "identifier": [{"system": MRN, "value": number}],
            "name": [{"given": [key.title()], "family": family}],
            "birthDate": born,
        },
        organization,
    )


def keep(resource: Resource, *audience: str) -> None:
    store.write(resource, actor=SYSTEM, audience=audience)
