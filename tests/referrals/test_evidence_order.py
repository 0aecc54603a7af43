"""The versions of what a partner sends may come late, twice and in any order: the newest decides (law 7)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from records import clock, store
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Loop
from tests.referrals import region
from tests.referrals.exchange import appointment, concept, open_kinds, request, result, take, the, the_loop
from tests.referrals.region import Region
from tests.referrals.ward import MONDAY, hours

EVENING = MONDAY + timedelta(days=9)
KINDS: dict[str, dict[str, Any]] = {
    "referral": {},
    "follow-up": {"code": concept("390906007")},
    "test-order": {"code": {"text": "CBC"}, "category": [concept("108252007")]},
}
pytestmark = pytest.mark.django_db


@contextmanager
def undone() -> Iterator[None]:
    """One history; what it wrote is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def begin(kind: str) -> tuple[Region, Loop]:
    with clock.at(MONDAY):
        here = region.build()
        take(request(**KINDS[kind]), here.ehr)
        for waiting in the_loop().handoffs.filter(kind="dispatch"):
            workflow.perform(waiting.id, "send", here.gp)
    return here, the_loop()


def told(here: Region, messages: Sequence[Resource]) -> Loop:
    for number, message in enumerate(messages):
        with clock.at(EVENING + timedelta(minutes=number)):
            take(message, here.partner)
    return the_loop()


def visits(statuses: Sequence[tuple[str, str]]) -> list[Resource]:
    """What an EHR says of its appointments, one hour after the other: (which, status)."""
    return [appointment(status, hours(number + 1), key=key) for number, (key, status) in enumerate(statuses)]


# Which appointment says what in turn; what the EHR had said before is in a partner's history of that appointment.
STORY = st.lists(
    st.tuples(st.sampled_from(["first", "second"]), st.sampled_from(["booked", "cancelled", "noshow"])),
    min_size=1,
    max_size=4,
)


def where(loop: Loop) -> tuple[str, datetime | None]:
    """Where the loop stands, and on what the clock of a booked visit runs."""
    fulfil = the(loop, "fulfil")
    return fulfil.stage, fulfil.due_at if fulfil.stage in ("scheduled", "booked", "collection-booked") else None


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(KINDS)), STORY, st.data())
@example("referral", [("first", "booked"), ("second", "booked"), ("first", "cancelled")], None)
def test_any_order_of_appointments_leads_to_where_the_newest_leads(
    kind: str, story: list[tuple[str, str]], data: Any
) -> None:
    messages = visits(story)
    shuffled = list(reversed(messages))
    if data is not None:
        again = data.draw(st.lists(st.integers(0, len(messages) - 1), max_size=3))
        shuffled = [messages[each] for each in data.draw(st.permutations([*range(len(messages)), *again]))]
    ends = []
    newest = {one["id"]: one for one in messages}
    for history in (list(newest.values()), shuffled):
        with undone():
            here, _loop = begin(kind)
            ends.append(where(told(here, history)))
            assert {key: store.get("Appointment", key)["status"] for key in newest} == {
                key: one["status"] for key, one in newest.items()
            }
    assert ends[0] == ends[1]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([0, 1, 2, 3, 3, 1]))
def test_any_order_of_a_reports_versions_leaves_one_review_of_the_newest(order: list[int]) -> None:
    versions = [
        result("registered", hours(2)),
        result("preliminary", hours(3)),
        result("final", hours(4)),
        result("corrected", hours(5), conclusion="Lower than thought"),
    ]
    with undone():
        here, _loop = begin("test-order")
        loop = told(here, [versions[each] for each in order])
        assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("final", ["review-report"])
        assert store.get("DiagnosticReport", "result")["status"] == "corrected"
        last = Event.objects.filter(loop=loop, evidence="DiagnosticReport/result").order_by("-id")[0]
        assert last.details.get("state", "corrected") == "corrected"


def test_a_visit_moved_to_another_slot_stays_booked_when_the_old_one_is_cancelled() -> None:
    here, loop = begin("referral")
    first, second, cancelled = visits([("first", "booked"), ("second", "booked"), ("first", "cancelled")])
    told(here, [first, second, cancelled])
    fulfil = the(loop, "fulfil")
    assert (fulfil.stage, open_kinds(loop)) == ("scheduled", ["fulfil"])
    assert fulfil.due_at > datetime.fromisoformat(second["end"])


@pytest.mark.parametrize(
    ("kind", "stage", "kinds"),
    [
        ("referral", "appointment-cancelled", ["fulfil", "notify-patient"]),
        ("follow-up", "planned", ["contact-patient", "fulfil", "notify-patient"]),
        ("test-order", "ordered", ["fulfil", "notify-patient"]),
    ],
)
def test_a_visit_of_which_only_the_cancellation_was_heard_is_to_be_booked_again(
    kind: str, stage: str, kinds: list[str]
) -> None:
    here, loop = begin(kind)
    told(here, visits([("first", "cancelled")]))
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == (stage, kinds)


def test_a_slot_entered_in_error_is_no_booking() -> None:
    here, loop = begin("referral")
    told(here, visits([("first", "booked"), ("first", "entered-in-error")]))
    assert the(loop, "fulfil").stage == "appointment-cancelled"
    assert Event.objects.get(loop=loop, action="cancel-appointment").reason_code == "entered-in-error"
