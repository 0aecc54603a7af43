"""A type that a partner fails over: what can be read of it is read, and the rest is somebody's work after an hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import operations, status, tasks
from fhir_bridge.inbound import unread as unread_types
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import ageing
from records import clock
from referrals import worklists
from referrals.models import Handoff
from referrals.worklists import Filters
from tests.fhir_bridge.story import Story

BROKEN = "broken"


def at(minutes: float, ehr: FakeEhr, partner: Partner) -> None:
    """One round of the workers, that much later on both sides."""
    ehr.skew = timedelta(minutes=minutes)
    with clock.at(datetime.now(UTC) + ehr.skew):
        partner.refresh_from_db()
        tasks.pull(partner.pk)
        ageing.sweep(clock.now())
        unread_types.sweep(clock.now())


def to_mend(story: Story, minutes: float) -> list[str]:
    """What stands on the list of the house as exchanges to mend, by title."""
    now = clock.now() + timedelta(minutes=minutes)
    found = worklists.rows(story.nina, Filters(scope="organisation", handoff="mend-exchange"), now=now)
    return [row.title for row in found.rows]


def unread(partner: Partner, minutes: float) -> list[str]:
    with clock.at(clock.now() + timedelta(minutes=minutes)):
        return [one.type for one in status.of(partner).unread]


@pytest.fixture
def reports(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """A test was ordered; of its report that comes a minute later the hospital's server knows, and of a broken one."""
    handoff = story.order_test()
    pushing.run_once(hospital)
    at(0, ehr, hospital)
    about = {kind: {"reference": f"{kind}/{Link.objects.get(type=kind).remote_id}"} for kind in PARTS}
    report: dict[str, Any] = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Potassium"}}
    ehr.put(report | {"id": BROKEN})
    ehr.skew = timedelta(minutes=1)
    ehr.put(report | {"id": "good", "subject": about["Patient"], "basedOn": [about["ServiceRequest"]]})
    return handoff


PARTS = ("Patient", "ServiceRequest")


def fails_over_one(ehr: FakeEhr, request: Request) -> Answer | None:
    """Its server fails over each page with the broken report on it, unless the names alone are asked for."""
    if request.verb != "GET" or request.kind != "DiagnosticReport":
        return None
    query = dict(request.query)
    size = int(query.get("_count", "100"))
    shown = list(ehr._matching("DiagnosticReport", request.query))[:size] if "/" not in request.path else []
    ids = {str(each["id"]) for each in shown} | {request.path.rpartition("/")[2]}
    return Answer(500) if BROKEN in ids and "_elements" not in query else None


def test_one_report_that_a_server_fails_over_keeps_no_other_from_coming(
    reports: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.refusal = lambda request: fails_over_one(ehr, request)
    at(2, ehr, hospital)

    assert Inbox.objects.get(remote_id="good").state == Inbox.State.APPLIED
    assert Handoff.objects.filter(kind="review-report", closed_at=None).exists()
    assert Inbox.objects.get(remote_id=BROKEN).state == Inbox.State.WAITING
    at(64, ehr, hospital)
    assert (to_mend(story, 64), unread(hospital, 64)) == (["Hospital · DiagnosticReport"], [])

    ehr.refusal = None
    at(70, ehr, hospital)
    assert to_mend(story, 70) == [], "it can be read now, and concerns nobody here"


def test_a_type_that_is_not_read_for_an_hour_is_an_alarm_until_it_is(
    reports: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.refusal = lambda request: Answer(500) if request.path == "DiagnosticReport" else None
    for minutes in (2, 30, 61):
        at(minutes, ehr, hospital)
    assert (to_mend(story, 61), unread(hospital, 61)) == ([], []), "a hiccup is nobody's work"

    for minutes in (63, 70):
        at(minutes, ehr, hospital)
        assert to_mend(story, minutes) == ["Hospital · DiagnosticReport"], "once"
        assert unread(hospital, minutes) == ["DiagnosticReport"]
    assert status.of(hospital).silent_since is None, "all else is heard"

    ehr.refusal = None
    at(71, ehr, hospital)
    assert (to_mend(story, 71), unread(hospital, 71)) == ([], [])
    assert Handoff.objects.filter(kind="review-report", closed_at=None).exists()


def test_a_paused_partner_is_asked_for_nothing_and_its_alarm_stays(
    reports: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.refusal = lambda request: Answer(500) if request.path == "DiagnosticReport" else None
    for minutes in (2, 63):
        at(minutes, ehr, hospital)
    operations.pause(hospital, story.nina)

    at(70, ehr, hospital)

    assert to_mend(story, 70) == ["Hospital · DiagnosticReport"]


def test_a_server_that_fails_over_everything_is_asked_little(reports: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    ehr.requests.clear()
    with ehr.refusing(Answer(500), "GET", "DiagnosticReport"):
        at(2, ehr, hospital)
    assert sum(request.kind == "DiagnosticReport" for request in ehr.requests) <= 3
