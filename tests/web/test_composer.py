"""Composing: patient, service, details, review, send; nothing of a patient in any address, nothing lost on the way."""

import pytest
from django.test import Client

from referrals.models import Handoff, Loop
from tests.web.conftest import Story

pytestmark = pytest.mark.django_db


def to_review(client: Client, maria: str, cardiology: str, **details: str) -> str:
    client.post("/new/referral/patient/", {"patient": maria})
    client.post("/new/referral/service/", {"service": cardiology})
    typed = {"reason": "New heart failure?", "priority": "urgent"} | details
    answer = client.post("/new/referral/details/", typed, follow=True)
    return answer.content.decode()


def test_a_referral_is_composed_and_sent(as_ana: Client, maria: str, cardiology: str) -> None:
    page = to_review(as_ana, maria, cardiology)
    assert "New heart failure?" in page
    assert "Heart failure clinic" in page
    assert Loop.objects.count() == 0, "nothing is kept before it is sent"

    key = as_ana.session["draft-referral"]["request"]["id"]
    answer = as_ana.post("/new/referral/review/", {"key": key, "send": "yes"})

    loop = Loop.objects.get()
    assert answer["Location"] == f"/loops/{loop.id}/"
    assert (loop.patient_id, loop.performer, loop.priority) == (maria, "org-clinic", "urgent")
    assert list(Handoff.objects.filter(closed_at=None).values_list("kind", flat=True)) == ["fulfil"]


def test_a_double_click_sends_once(as_ana: Client, maria: str, cardiology: str) -> None:
    to_review(as_ana, maria, cardiology)
    key = as_ana.session["draft-referral"]["request"]["id"]

    for _click in range(2):
        as_ana.post("/new/referral/review/", {"key": key, "send": "yes"})

    assert Loop.objects.count() == 1


def test_a_patient_is_found_by_name_birth_date_or_number_and_the_address_stays_clean(
    as_ana: Client, maria: str
) -> None:
    for words in ("garcía maría", "1961-04-12", "MRN-4471"):
        answer = as_ana.post("/new/referral/patient/", {"find": words}, follow=True)
        assert [url for url, _status in answer.redirect_chain] == ["/new/referral/patient/"]
        assert "María José García" in answer.content.decode(), words


def test_an_outsider_does_not_find_the_patient(as_olga: Client, maria: str) -> None:
    answer = as_olga.post("/patients/", {"find": "García"}, follow=True)
    assert "Nobody found" in answer.content.decode()

    as_olga.post("/new/referral/patient/", {"patient": maria})
    assert as_olga.session.get("draft-referral", {}).get("patient", "") == ""


def test_the_directory_tells_the_wait(as_ana: Client, maria: str, cardiology: str) -> None:
    as_ana.post("/new/referral/patient/", {"patient": maria})

    page = as_ana.get("/new/referral/service/?q=cardio").content.decode()
    assert "wait: 18 days" in page
    assert "No service found" in as_ana.get("/new/referral/service/?q=zzz").content.decode()


def test_what_was_typed_stays_when_something_is_missing(as_ana: Client, maria: str, cardiology: str) -> None:
    page = to_review(as_ana, maria, cardiology, reason="", note="Please phone first")

    assert 'href="#id_reason"' in page
    assert "Please phone first" in page
    assert "Please phone first" in as_ana.get("/new/referral/details/").content.decode()


def test_a_step_whose_forerunners_are_missing_leads_back(as_ana: Client) -> None:
    assert as_ana.get("/new/referral/review/")["Location"] == "/new/referral/patient/"
    assert as_ana.get("/new/nonsense/review/").status_code == 404


def test_a_duplicate_is_warned_of_and_must_be_confirmed(
    as_ana: Client, story: Story, maria: str, cardiology: str
) -> None:
    to_review(as_ana, maria, cardiology)
    as_ana.post("/new/referral/review/", {"key": as_ana.session["draft-referral"]["request"]["id"]})
    page = to_review(as_ana, maria, cardiology)
    assert "There is an open request for the same service and patient." in page
    key = as_ana.session["draft-referral"]["request"]["id"]

    assert "Tick this box" in as_ana.post("/new/referral/review/", {"key": key}).content.decode()
    before = Loop.objects.count()
    as_ana.post("/new/referral/review/", {"key": key, "confirm": "yes"})
    assert Loop.objects.count() == before + 1


def test_a_follow_up_and_a_test_order_are_ordered_the_same_way(as_ana: Client, maria: str) -> None:
    as_ana.post("/new/follow-up/patient/", {"patient": maria})
    window = {"reason": "Wound check", "window_end": "2099-01-31", "priority": "routine"}
    assert as_ana.post("/new/follow-up/details/", window)["Location"] == "/new/follow-up/review/"
    as_ana.get("/new/follow-up/review/")
    as_ana.post("/new/follow-up/review/", {"key": as_ana.session["draft-follow-up"]["request"]["id"]})

    as_ana.post("/new/test-order/patient/", {"patient": maria})
    as_ana.post("/new/test-order/details/", {"test": "HbA1c", "loinc": "4548-4", "reason": "?", "priority": "routine"})
    as_ana.post("/new/test-order/service/", {"service": ""})
    as_ana.get("/new/test-order/review/")
    as_ana.post("/new/test-order/review/", {"key": as_ana.session["draft-test-order"]["request"]["id"]})

    assert sorted(Loop.objects.values_list("kind", flat=True)) == ["follow-up", "test-order"]


def test_starting_from_a_patients_page_knows_the_patient(as_ana: Client, maria: str) -> None:
    answer = as_ana.post("/new/for-patient/", {"kind": "referral", "patient": maria})

    assert answer["Location"] == "/new/referral/service/"
    assert "María José García" in as_ana.get("/new/referral/service/").content.decode()
