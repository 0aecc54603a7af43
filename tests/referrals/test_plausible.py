"""What is well formed and can't be meant: appointments that no clock could follow, a second person who is the first."""

from datetime import timedelta
from typing import Any

import pytest

from records import clock
from records.errors import Forbidden, Incorrect
from referrals import people, workflow
from referrals.models import User
from referrals.pathways import TRANSITIONS
from tests.referrals.staff import hire
from tests.referrals.ward import MONDAY, Ward

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("slot", "words"),
    [
        ({"slot_start": MONDAY + 9 * HOUR, "slot_end": MONDAY + 8 * HOUR}, "ends before it starts"),
        ({"slot_start": MONDAY + 9 * HOUR, "slot_end": MONDAY + 9 * HOUR}, "ends before it starts"),
        ({"slot_end": MONDAY - timedelta(days=2_000)}, "before the order"),
        ({"slot_end": MONDAY + timedelta(days=27_000)}, "Is the year right"),
    ],
)
def test_an_appointment_that_can_not_be_meant_is_asked_about_and_nothing_is_booked(
    ward: Ward, slot: dict[str, Any], words: str
) -> None:
    fulfil = ward.sent()[1]

    with pytest.raises(Incorrect, match=words) as refused:
        workflow.perform(fulfil.id, "book", ward.clinic, data=slot)

    fulfil.refresh_from_db()
    assert [issue.expression for issue in refused.value.issues] == ["slot_end"]
    assert fulfil.stage == "sent"


def test_an_appointment_booked_with_the_patient_is_asked_about_as_well(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY + HOUR)
    with clock.at(MONDAY + 2 * HOUR):
        ward.does(ward.clinic, fulfil, "no-show")
        with pytest.raises(Incorrect, match="Is the year right"):
            ward.does(
                ward.coordinator, ward.only(loop, "contact-patient"), "book", slot_end=MONDAY + timedelta(days=27_000)
            )


def test_nobody_misses_an_appointment_before_it_has_begun_unless_its_own_system_says_so(ward: Ward) -> None:
    fulfil = ward.sent(performer="elsewhere")[1]
    slot = {"slot_end": MONDAY + timedelta(days=3)}
    ward.does(ward.partner, fulfil, "book", **slot)
    told = {"channel": "phone", "spoken_to": "Al"}
    with pytest.raises(Incorrect, match="hasn't begun yet"):
        workflow.perform(fulfil.id, "no-show", ward.coordinator, data=told, attested=True)
    with clock.at(slot["slot_end"]):
        workflow.perform(fulfil.id, "no-show", ward.coordinator, data=told, attested=True)
    ward.does(ward.partner, fulfil, "rebook", slot_end=MONDAY + timedelta(days=9))
    ward.does(ward.partner, fulfil, "no-show")
    fulfil.refresh_from_db()
    assert fulfil.stage == "no-show"


@pytest.mark.parametrize(("days", "is_refused"), [(-2, True), (0, False), (1, False), (3_000, False), (36_500, True)])
def test_an_authorisation_that_has_expired_or_would_hold_for_a_century_is_refused(
    ward: Ward, days: int, is_refused: bool
) -> None:
    loop = ward.order()
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", authorisation_needed=True)
    fulfil = ward.only(loop, "fulfil")
    agreed = {"authorisation": "A-4711", "valid_until": (MONDAY + timedelta(days=days)).date()}
    if not is_refused:
        ward.does(ward.coordinator, fulfil, "authorise", **agreed)
        return
    with pytest.raises(Incorrect) as refused:
        ward.does(ward.coordinator, fulfil, "authorise", **agreed)
    assert [issue.expression for issue in refused.value.issues] == ["valid_until"]


NOBODY_WHO_AGREES = {
    "oneself": "Practitioner/referrer",
    "nobody": "Practitioner/nobody",
    "anything": "X",
    "words": "Dr Boss",
    "another house's": "Practitioner/consultant",
    "a pool": "CareTeam/1",
    "an administrator": "Practitioner/admin",
    "a leaver": "Practitioner/gone",
    "the words of another system": "agreed in the sender's system",
}


@pytest.mark.parametrize("named", NOBODY_WHO_AGREES.values(), ids=NOBODY_WHO_AGREES.keys())
def test_the_second_person_at_an_urgent_end_is_a_colleague_who_works_here(ward: Ward, named: str) -> None:
    hire("admin", "administrator")
    User.objects.filter(pk=hire("gone", "supervisor").user.pk).update(is_active=False)
    fulfil = ward.sent(priority="urgent")[1]
    reason = {"reason": "no-longer-needed"}

    with pytest.raises(Incorrect) as refused:
        workflow.perform(fulfil.id, "cancel", ward.referrer, data=reason | {"second_person": named})
    assert [issue.expression for issue in refused.value.issues] == ["second_person"]

    workflow.perform(fulfil.id, "cancel", ward.referrer, data=reason | {"second_person": "Practitioner/coordinator"})


def test_of_the_two_who_say_that_an_order_was_an_error_one_is_a_supervisor(ward: Ward) -> None:
    by_referrer, by_boss = ward.sent()[1], ward.sent()[1]
    wrong = {"reason": "entered-in-error", "second_person": "Practitioner/coordinator"}

    with pytest.raises(Incorrect, match="supervisor"):
        workflow.perform(by_referrer.id, "enter-in-error", ward.referrer, data=wrong)
    workflow.perform(by_boss.id, "enter-in-error", ward.boss, data=wrong)
    right = wrong | {"second_person": "Practitioner/boss"}
    workflow.perform(by_referrer.id, "enter-in-error", ward.referrer, data=right)


def test_whoever_is_offered_as_the_second_person_may_be_it(ward: Ward) -> None:
    hire("admin", "administrator")
    assert dict(people.seconds(ward.coordinator)) == {"Practitioner/boss": "Boss"}
    assert dict(people.seconds(ward.boss)) == {"Practitioner/coordinator": "Coordinator"}
    assert dict(people.seconds(ward.referrer, ("supervisor",))) == {"Practitioner/boss": "Boss"}
    assert dict(people.seconds(ward.clinic)) == {}


def test_every_action_that_asks_for_a_second_person_asks_for_a_real_one() -> None:
    asked = [field for row in TRANSITIONS for field in row.fields if field.name == "second_person"]
    assert asked
    assert {field.kind for field in asked} == {"second-person"}


def test_a_report_is_acknowledged_by_a_clinician_and_not_by_a_coordinator(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.report(fulfil)
    review = ward.only(loop, "review-report")
    plan = {"plan": "Nothing to do.", "question_answered": True}

    with pytest.raises(Forbidden):
        workflow.perform(review.id, "acknowledge", ward.coordinator, data=plan)
    assert "acknowledge" not in {offer.action for offer in workflow.available(ward.coordinator, review)}

    with clock.at(MONDAY + HOUR):
        workflow.perform(review.id, "acknowledge", ward.referrer, data=plan)


def test_who_has_not_come_is_missed_from_the_beginning_of_the_appointment_on(ward: Ward) -> None:
    fulfil = ward.sent()[1]
    begins = MONDAY + timedelta(days=1)
    ward.does(ward.clinic, fulfil, "book", slot_start=begins, slot_end=begins + HOUR)
    with pytest.raises(Incorrect, match="hasn't begun yet"):
        ward.does(ward.clinic, fulfil, "no-show")
    with clock.at(begins + HOUR / 4):
        ward.does(ward.clinic, fulfil, "no-show")
    fulfil.refresh_from_db()
    assert fulfil.stage == "no-show"
