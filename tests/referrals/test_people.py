"""Who may own a handoff, on whose list it stands, and what somebody is in a loop."""

import pytest

from records import clock, store
from records.errors import Forbidden, Incorrect
from referrals import people
from referrals.models import Handoff, Loop, Membership, Owner, Pool, User
from tests.referrals import region
from tests.referrals.region import CARDIOLOGY, CLINIC, ELSEWHERE, HOSPITAL, PRACTICE, Region

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def here() -> Region:
    return region.build()


def a_loop(here: Region, *, requester: str = "gp", owner: Owner | None = None) -> Handoff:
    owner = owner or people.owner_for("organisation", HOSPITAL)
    now = clock.now()
    loop = Loop(
        id="loop",
        kind="referral",
        stage="waiting-partner",
        patient_id="ana",
        placer=PRACTICE,
        performer=HOSPITAL,
        requester=requester,
        accountable=here.pool.owner,
        ordered_at=now,
        opened_at=now,
    )
    return Handoff(id="fulfil", loop=loop, kind="fulfil", stage="sent", owner=owner, list=here.pool.owner)


def test_a_user_works_for_one_of_their_organisations_at_a_time() -> None:
    user = User.objects.get(username="gp")
    Membership.objects.create(user=user, organization=CLINIC, roles=["supervisor"])
    assert people.actor_for(user).organization == PRACTICE
    at_clinic = people.actor_for(user, CLINIC)
    assert (at_clinic.organization, at_clinic.roles) == (CLINIC, frozenset({"supervisor"}))
    with pytest.raises(Forbidden):
        people.actor_for(user, ELSEWHERE)


def test_somebody_without_a_membership_is_nobody_anywhere(here: Region) -> None:
    actor = people.actor_for(User.objects.create(username="stranger"))
    assert (actor.organization, actor.roles) == ("", frozenset())
    assert people.roles_in(actor, a_loop(here)) == set()


def test_an_owner_is_made_once() -> None:
    first = people.owner_for("organisation", CARDIOLOGY)
    assert people.owner_of_reference(f"Organization/{CARDIOLOGY}") == first
    assert (first.organization, first.name, first.internal) == (HOSPITAL, "Cardiology", False)


def test_only_a_person_who_signs_in_has_a_list_of_their_own() -> None:
    assert people.owner_for("person", "gp").internal
    region.keep({"resourceType": "Practitioner", "id": "locum", "name": [{"family": "Locum"}]})
    locum = people.owner_for("person", "locum", organization=PRACTICE)
    assert (locum.internal, locum.organization) == (False, PRACTICE)
    user = User.objects.create(username="locum", practitioner="locum")
    Membership.objects.create(user=user, organization=PRACTICE, roles=["practitioner"])
    assert people.owner_for("person", "locum").internal


def test_a_practitioner_role_stands_for_its_practitioner() -> None:
    region.keep(
        {
            "resourceType": "PractitionerRole",
            "id": "gp-role",
            "practitioner": {"reference": "Practitioner/gp"},
            "organization": {"reference": f"Organization/{PRACTICE}"},
        }
    )
    assert people.owner_of_reference("PractitionerRole/gp-role") == people.owner_for("person", "gp")


def test_a_device_owns_nothing() -> None:
    with pytest.raises(Incorrect):
        people.owner_of_reference("Device/pump")


def test_every_organisation_has_a_default_pool_even_if_nobody_made_one(here: Region) -> None:
    assert people.default_pool(PRACTICE) == here.pool.owner
    made = people.default_pool(CLINIC)
    assert made == people.default_pool(CLINIC)
    assert Pool.objects.get(owner=made).is_default


def test_a_pool_is_a_care_team_of_the_same_id(here: Region) -> None:
    team = store.get("CareTeam", here.pool.id)
    assert team["managingOrganization"] == [{"reference": f"Organization/{PRACTICE}"}]
    assert team["participant"] == [{"member": {"reference": "Practitioner/nina"}}]


def test_only_who_manages_the_people_of_an_organisation_makes_a_pool_there(here: Region) -> None:
    for actor, organization in ((here.gp, PRACTICE), (region.client("ehr", PRACTICE), CLINIC)):
        with pytest.raises(Forbidden):
            people.create_pool(organization, "Desk", actor=actor)
    assert people.create_pool(PRACTICE, "Desk", actor=region.client("ehr", PRACTICE)).name == "Desk"


def test_what_is_sent_to_an_organisation_here_goes_to_its_pool_and_else_to_itself(here: Region) -> None:
    assert people.performing_owner(PRACTICE) == here.pool.owner
    assert people.performing_owner(CARDIOLOGY) == people.owner_for("organisation", CARDIOLOGY)


def test_nina_has_her_own_list_and_the_pools(here: Region) -> None:
    own = people.owner_for("person", "nina")
    people.owner_for("person", "gp")
    assert people.lists_of(here.nina) == sorted([own.pk, here.pool.owner.pk])
    assert here.pool.owner.pk not in people.lists_of(here.gp)
    assert people.lists_of(here.outsider) == []


def test_an_ehr_sees_the_lists_of_its_organisation_but_not_those_of_its_people(here: Region) -> None:
    people.owner_for("person", "gp")
    assert people.lists_of(here.ehr) == [here.pool.owner.pk]


def test_roles_follow_from_who_placed_who_performs_and_who_is_accountable(here: Region) -> None:
    handoff = a_loop(here)
    assert people.roles_in(here.gp, handoff) == {"requester"}
    assert people.roles_in(here.nina, handoff) == {"coordinator", "supervisor"}
    assert people.roles_in(here.ehr, handoff) == {"requester", "coordinator"}
    assert people.roles_in(here.partner, handoff) == {"performer", "partner"}
    assert people.roles_in(here.outsider, handoff) == set()


def test_only_the_present_performer_performs(here: Region) -> None:
    handoff = a_loop(here, owner=people.owner_for("organisation", CLINIC))
    assert "performer" not in people.roles_in(here.partner, handoff)
    assert "performer" in people.roles_in(region.client("clinic", CLINIC), handoff)


def test_an_administrator_alone_does_no_clinical_work(here: Region) -> None:
    administrator = people.actor_for(region.person("root", "administrator"))
    assert people.roles_in(administrator, a_loop(here)) == set()
