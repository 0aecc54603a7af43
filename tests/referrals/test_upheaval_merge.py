"""Two records of one person: what is derived follows the statement that they are one, and goes back if it was wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from records import access, clock, store
from records.errors import Conflict
from records.json import Resource
from records.types import row_class
from referrals import workflow
from referrals.models import Event, Loop, PossibleDuplicate
from referrals.parties import same_patient
from referrals.placing import REQUEST_IDENTIFIER
from tests.referrals import region
from tests.referrals.exchange import answer, concept, request, result, take, the, the_loop
from tests.referrals.region import PRACTICE, Region

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LAB = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
ANA2 = {"subject": {"reference": "Patient/ana2"}}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def here() -> Iterator[Region]:
    with clock.at(MONDAY):
        found = region.build()
        region.patient("ana2", "Ruiz", "1980-01-31", "9999", PRACTICE)
        region.patient("third", "Ruis", "1980-01-31", "9998", PRACTICE)
        yield found


def ordered(here: Region, key: str, **elements: object) -> Loop:
    take(request(key, **elements), here.ehr)
    workflow.perform(the(the_loop(key), "dispatch").id, "send", here.gp)
    return the_loop(key)


def merged(here: Region, source: str, target: str) -> None:
    link = [{"other": {"reference": f"Patient/{target}"}, "type": "replaced-by"}]
    take({**store.get("Patient", source), "active": False, "link": link}, here.ehr)


def apart(here: Region, source: str) -> None:
    body = {name: value for name, value in store.get("Patient", source).items() if name != "link"}
    take({**body, "active": True}, here.ehr)


def own(key: str, **elements: object) -> Resource:
    """A request that is placed in Baton itself."""
    return request(key, identifier=[{"system": REQUEST_IDENTIFIER, "value": key}], **elements)


def of_type(type_: str) -> set[str]:
    """Whose all of that type are."""
    return set(row_class(type_).rows(type_).values_list("patient", flat=True))


def body_of(key: str) -> Resource:
    return store.get("ServiceRequest", key)


def patient_of(loop: Loop) -> str:
    return Loop.objects.get(pk=loop.pk).patient_id


def test_everything_derived_follows_and_no_body_changes(here: Region) -> None:
    loop = ordered(here, "sr", **ANA2)
    before = store.read("ServiceRequest", "sr"), store.read("Task", the(loop, "fulfil").id)
    merged(here, "ana2", "ana")
    assert patient_of(loop) == "ana"
    assert access.visible(here.ehr, "ServiceRequest").filter(patient="ana").get().pk == "sr"
    assert (store.read("ServiceRequest", "sr"), store.read("Task", the(loop, "fulfil").id)) == before
    assert Event.objects.get(loop=loop, action="merge-patient").actor_id == here.ehr.id


def test_it_can_be_undone_and_takes_what_came_since_with_it(here: Region) -> None:
    loop, other = ordered(here, "sr", **ANA2), ordered(here, "own")
    merged(here, "ana2", "ana")
    later = ordered(here, "later", **ANA2)
    assert patient_of(later) == "ana"
    apart(here, "ana2")
    assert [patient_of(one) for one in (loop, later, other)] == ["ana2", "ana2", "ana"]
    of_ana2 = access.visible(here.ehr, "ServiceRequest").filter(patient="ana2")
    assert sorted(of_ana2.values_list("pk", flat=True)) == ["later", "sr"]
    assert Event.objects.filter(action="unmerge-patient").count() == 2


def test_evidence_of_either_record_counts_once_they_are_one(here: Region) -> None:
    loop = ordered(here, "sr", **LAB)
    assert not same_patient("ana", {"reference": "Patient/ana2"})
    merged(here, "ana2", "ana")
    take({**result("final", MONDAY), **ANA2}, here.partner)
    assert the(loop, "fulfil").stage == "final"
    assert not Loop.objects.filter(kind="unsolicited").exists()


def test_what_baton_writes_itself_stays_with_the_record_that_counts_and_goes_back(here: Region) -> None:
    take(own("sr", **LAB, **ANA2), here.gp)
    take(own("visit", **ANA2), here.gp)
    merged(here, "ana2", "ana")
    for key in ("sr", "visit"):
        workflow.perform(the(the_loop(key), "dispatch").id, "send", here.gp)
    take({**result("final", MONDAY), **ANA2}, here.partner)
    fulfil = the(the_loop("visit"), "fulfil")
    take(answer(fulfil, "rejected", MONDAY, statusReason={"text": "Full"}), here.partner)
    decision = the(the_loop("visit"), "decide-next-step")
    workflow.perform(decision.id, "redirect", here.gp, data={"performer": ["Organization/clinic"]})
    assert body_of("sr")["status"] == "completed"
    assert of_type("ServiceRequest") == {"ana"}
    assert of_type("Task") == {"ana"}
    apart(here, "ana2")
    assert of_type("ServiceRequest") == {"ana2"}
    assert of_type("Task") == {"ana2"}


def test_a_record_that_is_gone_still_says_where_its_patient_lives(here: Region) -> None:
    address = {"country": "ES", "state": "M"}
    take({**store.get("Patient", "ana2"), "address": [address]}, here.ehr)
    loop = ordered(here, "sr", **ANA2)
    merged(here, "ana2", "ana")
    take({**store.get("Patient", "ana2"), "address": [{**address, "state": "B"}]}, here.ehr)
    assert the(loop, "decide-next-step").stage


def test_a_chain_is_undone_from_its_end(here: Region) -> None:
    loop = ordered(here, "sr", **ANA2)
    merged(here, "ana2", "third")
    merged(here, "third", "ana")
    assert patient_of(loop) == "ana"
    with pytest.raises(Conflict):
        apart(here, "ana2")
    apart(here, "third")
    apart(here, "ana2")
    assert patient_of(loop) == "ana2"


def test_a_circle_or_a_stranger_merges_nothing(here: Region) -> None:
    loop = ordered(here, "sr", **ANA2)
    merged(here, "ana2", "nobody")
    assert patient_of(loop) == "ana2"
    merged(here, "ana2", "ana")
    merged(here, "ana", "ana2")
    assert patient_of(loop) == "ana"


def test_a_record_that_is_in_use_and_says_that_another_replaces_it_is_laid_beside_that(here: Region) -> None:
    link = [{"other": {"reference": "Patient/third"}, "type": "replaced-by"}]
    take({**store.get("Patient", "ana2"), "active": True, "link": link}, here.ehr)
    pair = PossibleDuplicate.objects.get(first="ana2", second="third")
    assert pair.reasons == ["link"]


def test_a_record_is_merged_when_the_one_that_replaces_it_comes_later(here: Region) -> None:
    ordered(here, "sr")
    merged(here, "ana", "zoe")
    assert the_loop().patient_id == "ana"
    take({"resourceType": "Patient", "id": "zoe", "name": [{"family": "Ruiz"}]}, here.ehr)
    assert the_loop().patient_id == "zoe"
    apart(here, "ana")
    assert the_loop().patient_id == "ana"


def test_a_record_that_counts_itself_again_is_not_merged_when_the_other_comes(here: Region) -> None:
    ordered(here, "sr")
    merged(here, "ana", "zoe")
    take({**store.get("Patient", "ana"), "active": True}, here.ehr)
    take({"resourceType": "Patient", "id": "zoe", "name": [{"family": "Ruiz"}]}, here.ehr)
    assert the_loop().patient_id == "ana"
