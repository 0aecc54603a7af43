"""What stands on a pool's list is taken by somebody and given back; its owner has no other writer but the placer."""

import pytest

from records import store
from records.errors import Incorrect
from referrals import intake, people, workflow
from referrals.models import Handoff, Owner
from tests.referrals.region import client, keep
from tests.referrals.ward import Ward


@pytest.fixture
def fulfil(ward: Ward) -> Handoff:
    """A request on the clinic's pool's list, that nobody has taken."""
    for name in ("consultant", "boss", "stranger"):
        keep({"resourceType": "Practitioner", "id": name})
    return ward.sent()[1]


def again(handoff: Handoff) -> Handoff:
    return Handoff.objects.select_related("owner", "list", "loop__accountable").get(pk=handoff.pk)


def test_a_person_takes_it_from_the_pool_and_gives_it_back(ward: Ward, fulfil: Handoff) -> None:
    due = fulfil.due_at
    assert "owner" not in store.get("Task", fulfil.id)
    ward.does(ward.clinic, fulfil, "claim")
    mine = again(fulfil)
    assert (mine.owner.kind, mine.owner.key, mine.list) == ("person", "consultant", mine.owner)
    assert mine.list_id in people.lists_of(ward.clinic)
    assert mine.due_at == due, "to take it is not to have done anything"
    assert store.get("Task", fulfil.id)["owner"]["reference"] == "Practitioner/consultant"
    ward.does(ward.clinic, again(fulfil), "give-back", note="I'm away tomorrow.")
    back = again(fulfil)
    assert (back.owner, back.list) == (ward.clinic_pool, ward.clinic_pool)
    assert "owner" not in store.get("Task", fulfil.id)


def test_what_somebody_has_taken_is_not_taken_from_them(ward: Ward, fulfil: Handoff) -> None:
    ward.does(ward.clinic, fulfil, "claim")
    with pytest.raises(Incorrect, match="somebody has taken it already"):
        ward.does(ward.clinic, fulfil, "claim")


def test_what_the_pool_holds_is_not_given_back(ward: Ward, fulfil: Handoff) -> None:
    with pytest.raises(Incorrect, match="nobody has taken it"):
        ward.does(ward.clinic, fulfil, "give-back")


def test_the_placers_pool_is_taken_from_in_the_same_way(ward: Ward) -> None:
    loop = ward.order()
    dispatch = ward.only(loop, "dispatch")
    ward.does(ward.coordinator, dispatch, "claim")
    assert again(dispatch).owner.key == "coordinator"
    offered = {one.action for one in workflow.available(ward.coordinator, again(dispatch))}
    assert "give-back" in offered
    assert "claim" not in offered


@pytest.mark.parametrize("named", ["Practitioner/boss", "Practitioner/stranger", "Practitioner/nobody"])
def test_only_somebody_who_works_there_can_be_named(ward: Ward, fulfil: Handoff, named: str) -> None:
    with pytest.raises(Incorrect) as refusal:
        ward.does(ward.clinic, fulfil, "claim", claimant=named)
    assert [issue.expression for issue in refusal.value.issues] == ["claimant"]
    assert again(fulfil).owner == ward.clinic_pool


def test_what_is_taken_by_somebody_who_does_not_sign_in_stays_on_the_pools_list(ward: Ward, fulfil: Handoff) -> None:
    keep({"resourceType": "Practitioner", "id": "visiting"})
    keep(
        {
            "resourceType": "PractitionerRole",
            "id": "visiting-at-clinic",
            "practitioner": {"reference": "Practitioner/visiting"},
            "organization": {"reference": "Organization/clinic"},
        }
    )
    workflow.perform(fulfil.id, "claim", client("theatre", "clinic"), data={"claimant": "Practitioner/visiting"})
    taken = again(fulfil)
    assert (taken.owner.key, taken.owner.internal, taken.list) == ("visiting", False, ward.clinic_pool)
    assert Owner.objects.get(key="visiting").organization == "clinic"


def test_a_performer_sets_the_owner_of_an_unowned_task_in_fhir(ward: Ward, fulfil: Handoff) -> None:
    clinic, task = client("his", "clinic"), store.get("Task", fulfil.id)
    intake.receive({**task, "status": "accepted", "owner": {"reference": "Practitioner/consultant"}}, clinic)
    taken = again(fulfil)
    assert (taken.owner.key, taken.stage) == ("consultant", "awaiting-booking")
    with pytest.raises(Incorrect) as refusal:
        intake.receive({**store.get("Task", fulfil.id), "owner": {"reference": "Organization/clinic"}}, clinic)
    assert [issue.expression for issue in refusal.value.issues] == ["Task.owner"], "only the placer gives it to another"


def test_nobody_claims_a_task_in_fhir_for_another_organisation(ward: Ward, fulfil: Handoff) -> None:
    task = store.get("Task", fulfil.id)
    with pytest.raises(Incorrect):
        intake.receive({**task, "owner": {"reference": "Organization/practice"}}, client("his", "clinic"))
    assert again(fulfil).owner == ward.clinic_pool
