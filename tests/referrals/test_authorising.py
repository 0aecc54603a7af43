"""The payer must agree first: its answer, what follows a refusal, and a visit after the day until which it has agreed."""

from datetime import date, timedelta

import pytest

from records import access, clock, store
from records.access import SYSTEM, Actor
from records.errors import Incorrect, NotFound
from referrals import people, workflow, worklists
from referrals.models import Calendar, Event, Handoff, Loop
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
    with pytest.raises(NotFound):
        ward.does(ward.clinic, pending, "accept")
    with pytest.raises(NotFound):
        ward.does(ward.clinic, pending, "authorise", authorisation="A-4711")


def test_the_payers_agreement_sends_it(ward: Ward, authorised: Handoff) -> None:
    assert (authorised.stage, authorised.task_status) == ("sent", "requested")
    assert (authorised.list, authorised.authorised_until) == (ward.clinic_pool, UNTIL)
    assert authorised.authorisation == "A-4711"
    assert authorised.due_at == MONDAY + timedelta(hours=48)


def test_a_performer_elsewhere_is_sent_it_with_the_payers_agreement_and_not_before(ward: Ward) -> None:
    loop = ward.order(performer="elsewhere")
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", authorisation_needed=True)
    with pytest.raises(NotFound):
        ward.does(ward.partner, ward.only(loop, "fulfil"), "accept")
    ward.does(ward.coordinator, ward.only(loop, "fulfil"), "authorise", authorisation="A-4711")
    sent = ward.only(loop, "fulfil")
    assert (sent.stage, sent.task_status, store.get("Task", sent.id)["status"]) == ("sent", "requested", "requested")
    assert ward.does(ward.partner, sent, "accept").handoff.stage == "awaiting-booking"


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


def redirected(ward: Ward) -> Handoff:
    """A referral that another performer has declined, and that waits for the payer before it goes to the clinic."""
    loop, fulfil = ward.sent(performer="elsewhere")
    ward.does(ward.partner, fulfil, "decline", reason="no-capacity", reason_text="Full.")
    asked = {"performer": "Organization/clinic", "authorisation_needed": True}
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", **asked)
    return ward.only(loop, "fulfil")


def sees(actor: Actor, handoff: Handoff) -> list[bool]:
    """Whether the actor reads the Task, the loop's Task, and the loop."""
    tasks = access.visible(actor, "Task")
    try:
        worklists.loop_view(actor, handoff.loop_id, clock.now())
    except NotFound:
        is_shown = False
    else:
        is_shown = True
    return [tasks.filter(pk=key).exists() for key in (handoff.id, handoff.loop_id)] + [is_shown]


def test_a_performer_knows_nothing_of_a_draft_until_the_payer_agrees(ward: Ward) -> None:
    draft = redirected(ward)
    assert sees(ward.clinic, draft) == [False, False, False]
    assert not people.roles_in(ward.clinic, draft)
    assert workflow.available(ward.clinic, draft) == []
    ward.does(ward.coordinator, draft, "authorise", authorisation="A-4711")
    sent = ward.only(draft.loop, "fulfil")
    assert sees(ward.clinic, sent) == [True, True, True]
    assert sent.loop.performer == "clinic"
    ward.does(ward.clinic, sent, "accept")


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("refuse-authorisation", {"reason": "not-covered", "reason_text": "Only in the network."}),
        ("cancel", {"reason": "no-longer-needed"}),
    ],
)
def test_a_draft_that_ends_was_never_its_performers(ward: Ward, action: str, data: dict[str, str]) -> None:
    draft = redirected(ward)
    ward.does(ward.referrer, draft, action, **data)
    assert sees(ward.clinic, draft) == [False, False, False]


def test_a_draft_is_moved_by_the_payers_answer_and_by_its_referrer_alone(ward: Ward, pending: Handoff) -> None:
    offered = {offer.action for who in (ward.referrer, ward.boss) for offer in workflow.available(who, pending)}
    assert offered == {"authorise", "refuse-authorisation", "cancel", "add-performer", "hold", "transfer"}
    with pytest.raises(Incorrect):
        workflow.perform(pending.id, "report", SYSTEM, data={"report": "DocumentReference/1"})


@pytest.mark.parametrize("named", [{}, {"performer": "Organization/clinic"}])
def test_until_the_payer_agrees_whoever_was_named_reads_neither_the_request_nor_its_tasks(
    ward: Ward, named: dict[str, str]
) -> None:
    loop = ward.order(request=requested(ward))
    assert readable(ward, loop) == {"ServiceRequest", "Task"}
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", authorisation_needed=True, **named)
    assert readable(ward, loop) == set()
    ward.does(ward.coordinator, ward.only(loop, "fulfil"), "authorise", authorisation="A-4711")
    assert readable(ward, loop) == {"ServiceRequest", "Task"}


def test_who_was_sent_it_before_keeps_what_it_has_read(ward: Ward) -> None:
    loop = ward.order(request=requested(ward))
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send")
    ward.does(ward.clinic, ward.only(loop, "fulfil"), "decline", reason="no-capacity", reason_text="Full.")
    decision = ward.only(loop, "decide-next-step")
    ward.does(ward.referrer, decision, "redirect", performer=CLINIC, authorisation_needed=True)
    assert readable(ward, loop) == {"ServiceRequest", "Task"}


CLINIC = "Organization/clinic"


def requested(ward: Ward) -> str:
    """A request that names the clinic, and may be read there."""
    key = clock.new_id()
    body = {"resourceType": "ServiceRequest", "id": key, "subject": {"reference": f"Patient/{ward.patient}"}}
    store.write(body, actor=SYSTEM, audience=["practice", "clinic"], validate=False)
    return key


def readable(ward: Ward, loop: Loop) -> set[str]:
    """What of a loop's own resources the clinic may read."""
    keys = {"ServiceRequest": [loop.request_id], "Task": [loop.id, *loop.handoffs.values_list("id", flat=True)]}
    return {type_ for type_, ids in keys.items() if access.visible(ward.clinic, type_).filter(pk__in=ids).exists()}


@pytest.mark.parametrize("bidding", [False, True])
def test_whoever_is_asked_besides_while_the_payer_has_not_answered_waits_for_the_payer_too(
    ward: Ward, pending: Handoff, bidding: bool
) -> None:
    ward.does(ward.referrer, pending, "add-performer", performer=["Organization/elsewhere"], bidding=bidding)
    added = pending.loop.handoffs.get(kind="fulfil", owner__organization="elsewhere")
    assert (added.stage, added.task_status, added.list) == ("authorisation-pending", "draft", ward.practice_pool)
    assert not access.visible(ward.partner, "Task").filter(pk=added.id).exists()
    with pytest.raises(NotFound):
        ward.does(ward.partner, added, "accept")
    ward.does(ward.coordinator, added, "authorise", authorisation="A-4712")
    ward.does(ward.partner, added, "accept")
    assert pending.loop.handoffs.get(pk=added.pk).stage == "awaiting-booking"


def test_a_visit_that_another_system_has_booked_beyond_the_authorisation_asks_the_referrer(
    ward: Ward, authorised: Handoff
) -> None:
    late = MONDAY + timedelta(days=40)
    ward.does(ward.clinic, authorised, "book", slot_end=late.isoformat(), override="booked-elsewhere")
    assert ward.open_kinds(authorised.loop) == ["decide-next-step", "fulfil"]
    assert label(ward, 20) == [authorised.id], "the visit comes when nobody pays for it"
    again = {"authorisation": "A-4712", "valid_until": date(2026, 6, 1)}
    ward.does(ward.coordinator, authorised, "renew-authorisation", **again)
    assert label(ward, 20) == []


def test_a_visit_within_the_authorisation_asks_nobody(ward: Ward, authorised: Handoff) -> None:
    ward.does(ward.clinic, authorised, "book", slot_end=(MONDAY + timedelta(days=20)).isoformat())
    assert (ward.open_kinds(authorised.loop), label(ward, 19)) == (["fulfil"], [])


def test_each_performer_is_bound_by_its_own_authorisation_alone(ward: Ward) -> None:
    loop = ward.order()
    both = ["Organization/clinic", "Organization/elsewhere"]
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=both, authorisation_needed=True)
    here, there = (loop.handoffs.get(kind="fulfil", owner__organization=one) for one in ("clinic", "elsewhere"))
    ward.does(ward.coordinator, here, "authorise", authorisation="A-1", valid_until=date(2026, 6, 1))
    ward.does(ward.coordinator, there, "authorise", authorisation="A-2", valid_until=date(2026, 3, 12))
    visit = {"slot_end": (MONDAY + timedelta(days=30)).isoformat()}
    with pytest.raises(Incorrect):
        ward.does(ward.partner, there, "book", **visit)
    ward.does(ward.clinic, here, "book", **visit)
    assert loop.handoffs.get(pk=here.pk).stage == "scheduled"


def test_the_last_day_of_an_authorisation_is_a_day_of_whoever_sees_the_patient(ward: Ward, authorised: Handoff) -> None:
    Calendar.objects.create(organization="clinic", time_zone="America/New_York")
    with pytest.raises(Incorrect):
        ward.does(ward.clinic, authorised, "book", slot_end="2026-04-02T00:30:00-04:00")
    with pytest.raises(Incorrect):
        ward.does(ward.clinic, authorised, "book", slot_end="2026-04-02T04:30:00+00:00")
    ward.does(ward.clinic, authorised, "book", slot_end="2026-04-02T00:30:00+00:00")
    assert ward.only(authorised.loop, "fulfil").stage == "scheduled"
