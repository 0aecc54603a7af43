"""Two records of one person are laid side by side, and somebody who oversees the work says what they are."""

from typing import Any

import pytest
from django.test import Client

from records import store
from records.access import SYSTEM
from records.types import row_class
from referrals import intake, people
from referrals.models import Loop, Merge, PossibleDuplicate, User
from referrals.upheavals import duplicates
from tests.web.conftest import Story, browser_of, person

pytestmark = pytest.mark.django_db
TWIN = {
    "resourceType": "Patient",
    "id": "patient-twin",
    "identifier": [{"system": "urn:other", "value": "X-1"}],
    "name": [{"given": ["Maria"], "family": "GARCÍA"}],
    "gender": "female",
    "birthDate": "1961-04-12",
}


@pytest.fixture
def dana(hospital: str) -> User:
    return person("dana", "Dana", "Desk", at=hospital, roles=["coordinator"])


@pytest.fixture
def as_dana(dana: User) -> Client:
    return browser_of(dana)


def comes(dana: User, **changes: Any) -> None:
    """A record arrives at the one door."""
    intake.receive(TWIN | changes, people.actor_for(dana))


def the_pair() -> PossibleDuplicate:
    return PossibleDuplicate.objects.get()


def test_who_shares_name_birth_date_and_sex_or_an_identifier_is_flagged_and_nothing_else_happens(
    maria: str, dana: User
) -> None:
    comes(dana)
    assert (the_pair().first, the_pair().second, the_pair().reasons) == (maria, "patient-twin", ["name"])
    comes(dana, identifier=[{"system": "urn:mrn", "value": "MRN-4471"}])
    assert the_pair().reasons == ["identifier", "name"]
    assert not Merge.objects.exists()


def test_two_records_without_numbers_are_told_apart_by_their_columns(maria: str, as_dana: Client, dana: User) -> None:
    for key in ("patient-twin", "patient-third"):
        intake.receive(
            {name: value for name, value in TWIN.items() if name != "identifier"}
            | {"id": key, "birthDate": "1970-01-01"},
            people.actor_for(dana),
        )
    page = as_dana.get("/duplicates/").content.decode()
    for number in ("1", "2"):
        assert f"Same person: go on with record {number}<" in page


@pytest.mark.parametrize(
    "other",
    [
        {"gender": "male"},
        {"gender": "unknown"},
        {"birthDate": "1961-04-13"},
        {"birthDate": "1961"},
        {"name": [{"family": "Garcés"}]},
        {"active": False},
        {"gender": "male", "identifier": [{"system": "urn:other", "value": "MRN-4471"}]},
    ],
)
def test_who_differs_in_one_of_them_is_not(maria: str, dana: User, other: dict[str, Any]) -> None:
    comes(dana, **other)
    assert not PossibleDuplicate.objects.exists()


def test_a_record_that_changes_elsewhere_is_not_looked_up_again(
    maria: str, dana: User, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        duplicates.notice(TWIN, TWIN | {"telecom": [{"value": "1"}]})


def test_the_page_says_what_agrees_and_is_found_where_patients_are(as_dana: Client, maria: str, dana: User) -> None:
    comes(dana)
    assert 'href="/duplicates/"' in as_dana.get("/patients/").content.decode()
    assert "Another record may be of the same person." in as_dana.get(f"/patients/{maria}/").content.decode()
    page = as_dana.get("/duplicates/").content.decode()
    for words in ("The same family name, birth date and sex", "MRN-4471", "X-1", "the same", "different"):
        assert words in page, words
    rows = {row["label"]: row["verdict"] for row in as_dana.get("/duplicates/").context["pairs"][0]["rows"]}
    assert [rows[label] for label in ("Born", "Identifiers", "Telephone")] == ["same", "different", ""]


def test_one_person_everything_follows_and_it_can_be_undone(as_dana: Client, story: Story, dana: User) -> None:
    comes(dana)
    answer = as_dana.post(f"/duplicates/{the_pair().pk}/", {"keep": "patient-twin"}, follow=True).content.decode()
    assert "both records count as one person" in answer
    assert Loop.objects.get(pk=story.loop.pk).patient_id == "patient-twin"
    assert Merge.objects.get().merged_by == "Dana Desk"
    assert "Merged here" in answer
    old = as_dana.get(f"/patients/{story.loop.patient_id}/").content.decode()
    assert "This record was merged: it counts as Maria GARCÍA X-1." in old
    assert "New referral</button>" not in old
    assert (
        "The record María José García MRN-4471 counts as this one."
        in as_dana.get("/patients/patient-twin/").content.decode()
    )
    back = as_dana.post("/duplicates/undo/", {"patient": story.loop.patient_id}, follow=True).content.decode()
    assert "asked about again" in back
    assert Loop.objects.get(pk=story.loop.pk).patient_id == story.loop.patient_id
    assert as_dana.get("/duplicates/").context["pairs"]
    assert row_class("AuditEvent").rows("AuditEvent").filter(body__contains='"duplicate"').count() == 2


def test_two_people_are_never_asked_about_again(as_dana: Client, maria: str, dana: User) -> None:
    comes(dana)
    as_dana.post(f"/duplicates/{the_pair().pk}/", {"keep": ""})
    comes(dana, name=[{"given": ["M."], "family": "García"}])
    assert as_dana.get("/duplicates/").context["pairs"] == []
    assert not Merge.objects.exists()
    again = as_dana.post(f"/duplicates/{the_pair().pk}/", {"keep": maria}, follow=True).content.decode()
    assert "Somebody has decided this already." in again
    assert not Merge.objects.exists()


def test_who_does_not_oversee_sees_the_pair_and_decides_nothing(as_ana: Client, maria: str, dana: User) -> None:
    comes(dana)
    page = as_ana.get("/duplicates/").content.decode()
    assert "A coordinator or supervisor decides this." in page
    assert as_ana.post(f"/duplicates/{the_pair().pk}/", {"keep": maria}).status_code == 404
    assert as_ana.post("/duplicates/undo/", {"patient": maria}).status_code == 404
    assert not Merge.objects.exists()


def test_who_may_not_see_both_records_hears_nothing(as_olga: Client, as_dana: Client, maria: str, dana: User) -> None:
    comes(dana)
    pair = the_pair()
    assert as_olga.get("/duplicates/").context["pairs"] == []
    assert as_olga.post(f"/duplicates/{pair.pk}/", {"keep": maria}).status_code == 404
    store.write(TWIN | {"id": "patient-hidden"}, actor=SYSTEM)
    hidden = PossibleDuplicate.objects.create(first="patient-hidden", second=maria, found_at=pair.found_at)
    assert len(as_dana.get("/duplicates/").context["pairs"]) == 1
    assert as_dana.post(f"/duplicates/{hidden.pk}/", {"keep": maria}).status_code == 404
    for nonsense in ("x", "²", "9" * 30, str(pair.pk + 999)):
        assert as_dana.post(f"/duplicates/{nonsense}/", {"keep": maria}).status_code == 404
    assert as_dana.post(f"/duplicates/{pair.pk}/", {"keep": "patient-hidden"}).status_code == 404


def test_the_addresses_of_the_forms_lead_to_the_page(as_dana: Client) -> None:
    for address in ("/duplicates/7/", "/duplicates/undo/"):
        assert as_dana.get(address)["Location"] == "/duplicates/"
