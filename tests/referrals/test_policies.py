"""An organisation's own clocks and working days: who may set them, what is refused, what they rule, what is kept of it."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from records import access, clock
from records.access import SYSTEM
from records.errors import Forbidden, Incorrect, NotFound
from records.json import loads
from referrals import policies, workflow
from referrals.calendars import Span
from referrals.deadlines import DEFAULTS
from referrals.models import Handoff, Policy
from tests.referrals.ward import MONDAY, Ward

KEY = "*.dispatch.*.*"
TWO_HOURS = Span(2, "hours")


def told(ward: Ward) -> list[dict[str, Any]]:
    """The AuditEvents that the practice's supervisor can read."""
    rows = access.visible(ward.boss, "AuditEvent").order_by("last_updated")
    return [loads(body) for body in rows.values_list("body", flat=True)]


def test_a_change_rules_the_clocks_that_start_afterwards_and_no_other(ward: Ward) -> None:
    before = ward.only(ward.order(), "dispatch")
    policies.set_clock(ward.boss, "practice", KEY, TWO_HOURS)
    after = ward.only(ward.order(), "dispatch")
    assert (before.due_at, after.due_at) == (MONDAY + timedelta(days=1), MONDAY + timedelta(hours=2))
    before.refresh_from_db()
    assert before.due_at == MONDAY + timedelta(days=1)
    policies.unset_clock(ward.boss, "practice", KEY)
    assert ward.only(ward.order(), "dispatch").due_at == MONDAY + timedelta(days=1)


def test_every_change_leaves_an_audit_event_that_names_who_what_and_how_much(ward: Ward) -> None:
    policies.set_clock(ward.boss, "practice", KEY, TWO_HOURS)
    with clock.at(MONDAY + timedelta(minutes=1)):
        policies.set_clock(ward.boss, "practice", KEY, Span(3, "hours"))
    with clock.at(MONDAY + timedelta(minutes=2)):
        policies.unset_clock(ward.boss, "practice", KEY)
    with clock.at(MONDAY + timedelta(minutes=3)):
        policies.set_calendar(ward.boss, "practice", time_zone="Europe/Berlin", closed_on=[date(2026, 3, 4)])
    events = told(ward)
    assert [(one["action"], one["entity"][0]["name"]) for one in events] == [
        ("C", "policy"),
        ("U", "policy"),
        ("D", "policy"),
        ("C", "calendar"),
    ]
    assert events[0]["agent"][0]["who"]["reference"] == "Practitioner/boss"
    assert {one["type"]: one["valueString"] for one in events[1]["entity"][0]["detail"]} == {
        "key": KEY,
        "value": "3 hours",
    }
    assert access.visible(ward.clinic, "AuditEvent").count() == 0


def test_only_supervisors_and_administrators_of_the_organisation_may(ward: Ward) -> None:
    administrator = replace(ward.boss, roles=frozenset({"administrator"}))
    policies.set_clock(administrator, "practice", KEY, TWO_HOURS)
    for actor in (
        ward.referrer,
        ward.coordinator,
        ward.stranger,
        ward.partner,
        replace(ward.partner, organization="practice"),
    ):
        with pytest.raises(Forbidden):
            policies.set_clock(actor, "practice", KEY, TWO_HOURS)
        with pytest.raises(Forbidden):
            policies.unset_clock(actor, "practice", KEY)
        with pytest.raises(Forbidden):
            policies.set_calendar(actor, "practice", time_zone="UTC", closed_on=[])
    with pytest.raises(NotFound):
        policies.set_clock(SYSTEM, "elsewhere", KEY, TWO_HOURS)
    assert Policy.objects.count() == 1


@pytest.mark.parametrize(
    ("key", "span", "field"),
    [
        ("dispatch", TWO_HOURS, "key"),
        ("*.*.*.*", TWO_HOURS, "key"),
        ("referral.fulfil.nowhere.*", TWO_HOURS, "key"),
        ("referral.fulfil.report-sent.*", TWO_HOURS, "key"),
        ("journey.dispatch.*.*", TWO_HOURS, "key"),
        ("*.dispatch.*.soon", TWO_HOURS, "key"),
        ("*.escalation.owner.*", TWO_HOURS, "key"),
        ("referral.escalation.pool.*", TWO_HOURS, "key"),
        (KEY, Span(0, "days"), "amount"),
        (KEY, Span(-1, "days"), "amount"),
        (KEY, Span(367, "days"), "amount"),
        (KEY, Span(1, "same-day"), "unit"),
        (KEY, Span(1, "years"), "unit"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused_and_named(ward: Ward, key: str, span: Span, field: str) -> None:
    with pytest.raises(Incorrect) as refused:
        policies.set_clock(ward.boss, "practice", key, span)
    assert [issue.expression for issue in refused.value.issues] == [field]
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"country": "XX"}, "country"),
        ({"country": "DE", "region": "CA"}, "region"),
        ({"region": "BY"}, "region"),
        ({"closed_on": [date(2026, 1, 1)] * 1_001}, "closed_on"),
    ],
)
def test_a_calendar_that_nobody_can_keep_is_refused(ward: Ward, changes: dict[str, Any], field: str) -> None:
    values: dict[str, Any] = {"time_zone": "UTC", "closed_on": []} | changes
    with pytest.raises(Incorrect) as refused:
        policies.set_calendar(ward.boss, "practice", **values)
    assert [issue.expression for issue in refused.value.issues] == [field]


def test_the_list_shows_every_clock_and_which_are_its_own(ward: Ward) -> None:
    policies.set_clock(ward.boss, "practice", KEY, TWO_HOURS)
    policies.set_clock(ward.boss, "practice", "test-order.dispatch.*.stat", Span(1, "hours"))
    listed = {one.key: one for one in policies.clocks("practice")}
    assert len(listed) == len(DEFAULTS) + 1
    assert (listed[KEY].amount, listed[KEY].unit, listed[KEY].default_amount) == (2, "hours", 1)
    assert [key for key, one in listed.items() if one.is_own] == [KEY, "test-order.dispatch.*.stat"]
    assert not any(one.is_own for one in policies.clocks("clinic"))
    for key in listed:
        assert policies.name_of(policies.key_named(key)) == key


def test_the_command_lists_sets_and_unsets(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("policy", "set", "practice", KEY, "5", "hours", "--json")
    assert json.loads(capsys.readouterr().out)[0]["amount"] == 5
    call_command("policy", "list", "practice", "--json")
    assert [one["key"] for one in json.loads(capsys.readouterr().out) if one["is_own"]] == [KEY]
    call_command("policy", "unset", "practice", KEY)
    assert "start from now on" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("policy", "unset", "practice", KEY)
    with pytest.raises(CommandError):
        call_command("policy", "list", "elsewhere")


@pytest.mark.parametrize(
    ("key", "span"),
    [
        ("test-order.review-report.*.*", Span(10, "days")),
        ("test-order.review-report.*.urgent", Span(3, "days")),
        ("*.review-report.*.*", Span(30, "days")),
    ],
)
def test_no_wide_number_makes_a_critical_result_wait(ward: Ward, key: str, span: Span) -> None:
    policies.set_clock(ward.boss, "practice", key, span)
    loop, fulfil = ward.sent("test-order", priority="urgent")
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r", severity="critical")
    review = ward.only(loop, "review-report")
    assert review.due_at == MONDAY + timedelta(hours=24)


def test_what_the_patient_is_told_today_is_told_today_whatever_else_an_organisation_has_set(ward: Ward) -> None:
    today, today_too = ward.sent(), ward.sent()
    ward.does(ward.clinic, today[1], "decline", reason="no-capacity", reason_text="Full.")
    policies.set_clock(ward.boss, "practice", "*.notify-patient.*.*", Span(10, "days"))
    ward.does(ward.clinic, today_too[1], "decline", reason="no-capacity", reason_text="Full.")
    assert ward.only(today_too[0], "notify-patient").due_at == ward.only(today[0], "notify-patient").due_at


def test_a_wide_number_that_is_sooner_counts_for_all_that_it_is_about(ward: Ward) -> None:
    policies.set_clock(SYSTEM, "clinic", "referral.fulfil.in-triage.*", Span(1, "hours"))
    _loop, fulfil = ward.sent(priority="urgent")
    ward.does(ward.clinic, fulfil, "receive")
    assert Handoff.objects.get(pk=fulfil.pk).due_at == MONDAY + timedelta(hours=1)


@pytest.mark.parametrize("wanted", ["urgent", "routine"])
def test_however_urgent_its_order_becomes_a_critical_result_is_due_no_later(ward: Ward, wanted: str) -> None:
    policies.set_clock(ward.boss, "practice", "test-order.review-report.*.urgent", Span(3, "days"))
    was = "routine" if wanted == "urgent" else "urgent"
    loop, fulfil = ward.sent("test-order", priority=was)
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r", severity="critical")
    workflow.revise(loop, {"priority": wanted}, ward.referrer)
    assert ward.only(loop, "review-report").due_at == MONDAY + timedelta(hours=24)
