"""What somebody was told of a person: that they have died, or that they live after all; and what the page knows."""

import pytest
from django.test import Client

from records import clock, store
from records.access import SYSTEM
from records.errors import Incorrect
from records.json import Resource
from referrals import composer, intake, people
from referrals.models import Handoff, Loop, User
from referrals.upheavals import death
from tests.web.conftest import Story, browser_of, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(hospital: str) -> User:
    return person("dana", "Dana", "Desk", at=hospital, roles=["coordinator"])


@pytest.fixture
def as_dana(dana: User) -> Client:
    return browser_of(dana)


def page(browser: Client, patient: str) -> str:
    return browser.get(f"/patients/{patient}/").content.decode()


def test_a_death_that_somebody_reports_is_asked_about_and_confirmed(as_dana: Client, story: Story) -> None:
    patient = story.loop.patient_id
    said = {"died_on": "2026-01-03", "source": "Her daughter, by telephone."}
    answer = as_dana.post(f"/patients/{patient}/died/", said, follow=True).content.decode()
    assert "Nothing is sent to the patient until somebody has confirmed or refuted it." in answer
    assert "Reported to have died: Northfield Hospital" in answer
    assert "reported to have died" in as_dana.get(f"/loops/{story.loop.id}/").content.decode()
    assert death.is_silenced(patient)
    asked = Handoff.objects.get(kind="confirm-death")
    loop = as_dana.get(f"/loops/{asked.loop_id}/").content.decode()
    assert "Who says so, and how they know: Her daughter, by telephone." in loop
    assert "Died on: 3 Jan 2026" in loop
    as_dana.post(f"/loops/{asked.loop_id}/handoffs/{asked.id}/confirm/", {"version": asked.version})
    assert "The death was confirmed on" in page(as_dana, patient)
    assert not Loop.objects.get(pk=story.loop.pk).handoffs.filter(closed_at=None, kind="notify-patient").exists()


def test_a_confirmed_death_is_taken_back_on_the_page(
    as_dana: Client, as_clara: Client, story: Story, dana: User
) -> None:
    patient = story.loop.patient_id
    death.tell(patient, people.actor_for(dana), {"source": "A letter."})
    asked = Handoff.objects.get(kind="confirm-death")
    story_page = page(as_dana, patient)
    assert "Take the death back" not in story_page
    as_dana.post(f"/loops/{asked.loop_id}/handoffs/{asked.id}/confirm/", {"version": asked.version})
    assert as_clara.post(f"/patients/{patient}/lives/", {"note": "I saw her."}).status_code == 404
    assert as_dana.post(f"/patients/{patient}/lives/", {"note": ""}).status_code == 422
    answer = as_dana.post(f"/patients/{patient}/lives/", {"note": "I saw her."}, follow=True).content.decode()
    assert "A report that the patient had died was refuted on" in answer
    again = as_dana.post(f"/patients/{patient}/lives/", {"note": "I saw her."})
    assert again.status_code == 409
    assert "Somebody else was faster" in again.content.decode()
    assert as_clara.post(f"/patients/{patient}/lives/", {"note": "I saw her."}).status_code == 404
    assert not death.is_silenced(patient)
    assert Handoff.objects.filter(kind="decide-next-step", closed_at=None, loop__patient_id=patient).exists()
    assert "I saw her." in str([*Handoff.objects.get(stage="death-refuted").events.values_list("details", flat=True)])


def test_a_report_without_a_source_or_of_tomorrow_comes_back(as_dana: Client, story: Story) -> None:
    patient = story.loop.patient_id
    ahead = f"{clock.now().year + 1}-01-01"
    for wrong in (
        {"died_on": "2026-01-03"},
        {"source": "Her son", "died_on": ahead},
        {"source": "x", "died_on": "0001-01-01"},
    ):
        answer = as_dana.post(f"/patients/{patient}/died/", wrong)
        assert answer.status_code == 422, wrong
        assert "Please check this first" in answer.content.decode()
    assert not death.is_silenced(patient)


def test_it_is_reported_once_and_by_who_works_with_the_patient(as_dana: Client, as_olga: Client, story: Story) -> None:
    patient = story.loop.patient_id
    assert as_olga.post(f"/patients/{patient}/died/", {"source": "x"}).status_code == 404
    as_dana.post(f"/patients/{patient}/died/", {"source": "x"})
    assert "Report the death" not in page(as_dana, patient)
    assert as_dana.post(f"/patients/{patient}/died/", {"source": "x"}).status_code == 422
    assert Handoff.objects.filter(kind="confirm-death").count() == 1
    assert as_dana.get(f"/patients/{patient}/died/")["Location"] == f"/patients/{patient}/"


def test_where_nothing_is_open_the_own_pool_is_asked(as_dana: Client, maria: str, hospital: str) -> None:
    as_dana.post(f"/patients/{maria}/died/", {"source": "The register."})
    assert Handoff.objects.get(kind="confirm-death").owner == people.default_pool(hospital)


def test_the_page_says_that_the_patient_has_moved(as_dana: Client, story: Story, dana: User) -> None:
    body = store.get("Patient", story.loop.patient_id)
    store.write({**body, "address": [{"state": "North"}]}, actor=SYSTEM)
    intake.receive({**body, "address": [{"state": "South"}]}, people.actor_for(dana))
    assert "The patient has moved, known since" in page(as_dana, story.loop.patient_id)


def test_who_died_by_hand_is_not_referred_and_nothing_new_is_offered(
    as_dana: Client, dana: User, maria: str, cardiology: str
) -> None:
    actor = people.actor_for(dana)
    request = composer.draft(actor, maria, cardiology, reason="New heart failure?")
    assert not [one for one in composer.findings(request, actor) if one.severity == "error"]
    death.tell(maria, actor, {"source": "The register."})
    assert (
        refused(request, dana) == "This patient is reported to have died, and nobody has confirmed or refuted it yet."
    )
    asked = Handoff.objects.get(kind="confirm-death")
    as_dana.post(f"/loops/{asked.loop_id}/handoffs/{asked.id}/confirm/", {"version": asked.version})
    assert refused(request, dana) == "Somebody has confirmed that this patient has died."
    assert "New referral</button>" not in page(as_dana, maria)
    as_dana.post(f"/patients/{maria}/lives/", {"note": "I saw her."})
    assert "New referral</button>" in page(as_dana, maria)
    assert composer.submit(request, actor).patient_id == maria


def refused(request: Resource, user: User) -> str:
    with pytest.raises(Incorrect) as error:
        composer.submit(request, people.actor_for(user))
    return next(issue.text for issue in error.value.issues)


def test_before_sending_one_reads_that_the_patient_is_reported_to_have_died(
    as_dana: Client, dana: User, maria: str, cardiology: str
) -> None:
    actor = people.actor_for(dana)
    request = composer.draft(actor, maria, cardiology, reason="New heart failure?")
    loop = composer.submit(request, actor, send=False)
    assert "Before you send it" not in as_dana.get(f"/loops/{loop.id}/").content.decode()
    death.tell(maria, actor, {"source": "The register."})
    assert (
        "Before you send it: the patient is marked “reported to have died”."
        in as_dana.get(f"/loops/{loop.id}/").content.decode()
    )
    sent = Handoff.objects.get(loop=loop, kind="dispatch")
    as_dana.post(f"/loops/{loop.id}/handoffs/{sent.id}/send/", {"version": sent.version})
    assert Handoff.objects.filter(loop=loop, kind="fulfil").exists(), "a warning keeps nobody from it"
