"""The payer must agree first: its answer, what follows a refusal, and a visit after the day until which it has agreed."""

from datetime import date, timedelta

import pytest

from records import clock
from records.errors import Forbidden, Incorrect
from referrals import worklists
from referrals.models import Event, Handoff, Loop
from referrals.worklists import Filters
from tests.referrals.ward import MONDAY, Ward

UNTIL = date(2026, 4, 1)


@pytest.fixture
def pending(ward: Ward) -> Handoff:
    """A referral to the clinic that waits for the payer."""
    loop = ward.order()
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", authorisation_needed=True)
    return ward.only(loop, "fulfil")


@pytest.fixture
def authorised(ward: Ward, pending: Handoff) -> Handoff:
    """The same, once the payer has agreed until the first of April."""
    ward.does(ward.coordinator, pending, "authorise", authorisation="A-4711", valid_until=UNTIL)
    return ward.only(pending.loop, "fulfil")


def label(ward: Ward, days: int) -> list[str]:
    now = MONDAY + timedelta(days=days)
    wanted = Filters(scope="organisation", label="authorisation-expiring")
    return [row.handoff_id for row in worklists.rows(ward.clinic, wanted, now=now).rows]


def test_until_the_payer_answers_it_is_the_placers_work_and_a_draft(ward: Ward, pending: Handoff) -> None:
    assert (pending.stage, pending.task_status) == ("authorisation-pending", "draft")
    assert pending.list == ward.practice_pool
    with pytest.raises(Incorrect):
        ward.does(ward.clinic, pending, "accept")
    with pytest.raises(Forbidden):
        ward.does(ward.clinic, pending, "authorise", authorisation="A-4711")


def test_the_payers_agreement_sends_it(ward: Ward, authorised: Handoff) -> None:
    assert (authorised.stage, authorised.task_status) == ("sent", "requested")
    assert (authorised.list, authorised.authorised_until) == (ward.clinic_pool, UNTIL)
    assert authorised.authorisation == "A-4711"
    assert authorised.due_at == MONDAY + timedelta(hours=48)


def test_a_refusal_is_decided_on_and_the_patient_hears_today(ward: Ward, pending: Handoff) -> None:
    why = {"reason": "not-covered", "reason_text": "Only in the network."}
    ward.does(ward.coordinator, pending, "refuse-authorisation", **why)
    assert ward.open_kinds(pending.loop) == ["decide-next-step", "notify-patient"]
    ended = Handoff.objects.get(pk=pending.pk)
    assert (ended.stage, ended.reason_code, Loop.objects.get(pk=pending.loop_id).closed_at) == (
        "cancelled",
        "not-covered",
        None,
    )


@pytest.mark.parametrize(("days", "is_allowed"), [(30, True), (31, False)])
def test_a_visit_after_the_authorisation_needs_a_coded_reason(
    ward: Ward, authorised: Handoff, days: int, is_allowed: bool
) -> None:
    visit = {"slot_end": (MONDAY + timedelta(days=days)).isoformat()}
    if is_allowed:
        assert ward.does(ward.clinic, authorised, "book", **visit).handoff.stage == "scheduled"
        return
    with pytest.raises(Incorrect) as refusal:
        ward.does(ward.clinic, authorised, "book", **visit)
    assert [(issue.expression, issue.code) for issue in refusal.value.issues] == [("override", "required")]
    ward.does(ward.clinic, authorised, "book", **visit, override="renewal-requested")
    event = Event.objects.get(handoff=authorised, action="book")
    assert event.details["override"] == "renewal-requested"


def test_an_expiring_authorisation_shows_from_two_weeks_before_until_the_visit_is_booked(
    ward: Ward, authorised: Handoff
) -> None:
    assert label(ward, 15) == []
    assert label(ward, 16) == [authorised.id]
    assert label(ward, 60) == [authorised.id], "what has expired doesn't disappear"
    ward.does(ward.clinic, authorised, "book", slot_end=MONDAY + timedelta(days=20))
    assert label(ward, 16) == []


def test_a_renewed_authorisation_allows_a_later_visit(ward: Ward, authorised: Handoff) -> None:
    due = authorised.due_at
    with clock.at(MONDAY + timedelta(days=1)):
        renewed = {"authorisation": "A-4712", "valid_until": date(2026, 6, 1)}
        ward.does(ward.coordinator, authorised, "renew-authorisation", **renewed)
    again = ward.only(authorised.loop, "fulfil")
    assert (again.authorised_until, again.stage, again.due_at) == (date(2026, 6, 1), "sent", due)
    ward.does(ward.clinic, again, "book", slot_end=MONDAY + timedelta(days=60))
