"""Somebody moves, leaves, or can't be reached any more: people are asked, and the work stays somebody's."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from records import clock, store
from referrals import workflow
from referrals.models import Loop, Owner
from referrals.upheavals import silence
from referrals.worklists import Filters, loop_view, rows
from tests.referrals.exchange import open_kinds, request, take, the, the_loop
from tests.referrals.region import CARDIOLOGY, HOSPITAL, PRACTICE, Region
from tests.referrals.ward import MONDAY, keep_report

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def sent(here: Region, key: str = "sr", **elements: Any) -> Loop:
    take(request(key, **elements), here.ehr)
    workflow.perform(the(the_loop(key), "dispatch").id, "send", here.gp)
    return the_loop(key)


def lives(here: Region, **elements: Any) -> None:
    take({**store.get("Patient", "ana"), **elements}, here.ehr)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"generalPractitioner": [{"reference": "Practitioner/gp"}]},
            {"generalPractitioner": [{"reference": "Practitioner/nina"}]},
        ),
        (
            {"address": [{"use": "home", "state": "Bavaria"}]},
            {"address": [{"use": "old", "state": "Bavaria"}, {"use": "home", "state": "Saxony"}]},
        ),
        (
            {"managingOrganization": {"reference": f"Organization/{PRACTICE}"}},
            {"managingOrganization": {"reference": "Organization/clinic"}},
        ),
    ],
)
def test_a_patient_who_moves_asks_whoever_is_accountable(here: Region, before: Any, after: Any) -> None:
    loop = sent(here)
    lives(here, **before)
    assert open_kinds(loop) == ["fulfil"], "what becomes known is no move"
    lives(here, **after)
    lives(here, **before)
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    decide = the(loop, "decide-next-step")
    assert decide.owner == here.pool.owner
    offered = {one.action for one in workflow.available(here.nina, decide)}
    assert {"redirect", "keep", "close"} <= offered


def test_a_patient_who_moves_asks_however_far_their_loop_has_come(here: Region) -> None:
    lives(here, address=[{"use": "home", "state": "Bavaria"}])
    take(request("unsent"), here.ehr)
    read = sent(here, "read")
    keep_report("DocumentReference/note", "ana")
    note = {"report": "DocumentReference/note"}
    workflow.perform(the(read, "fulfil").id, "report", here.partner, data=note)
    lives(here, address=[{"use": "home", "state": "Saxony"}])
    assert open_kinds(the_loop("unsent")) == ["decide-next-step", "dispatch"]
    assert open_kinds(read) == ["decide-next-step", "review-report"]
    workflow.perform(the(read, "decide-next-step").id, "keep", here.nina)
    assert open_kinds(read) == ["review-report"]


def test_another_street_is_no_move(here: Region) -> None:
    loop = sent(here)
    lives(here, address=[{"use": "home", "state": "Bavaria", "city": "Munich"}])
    lives(here, address=[{"use": "home", "state": "Bavaria", "city": "Augsburg"}])
    assert open_kinds(loop) == ["fulfil"]


@pytest.mark.parametrize(
    "entry",
    [
        {
            "resourceType": "Endpoint",
            "id": "fhir",
            "status": "off",
            "connectionType": {"code": "hl7-fhir-rest"},
            "payloadType": [{"text": "any"}],
            "address": "https://hospital.example/fhir",
            "managingOrganization": {"reference": f"Organization/{CARDIOLOGY}"},
        },
        {"resourceType": "Organization", "id": HOSPITAL, "name": "Hospital", "active": False},
    ],
)
def test_a_system_that_goes_away_asks_the_referrer_and_the_visit_may_still_happen(here: Region, entry: Any) -> None:
    loop, ours = sent(here), sent(here, "ours", performer=[{"reference": "Organization/clinic"}])
    take(entry, here.partner)
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert open_kinds(ours) == ["fulfil"]


def hears(at: datetime, pool: Owner) -> None:
    with clock.at(at):
        silence.heard("ehr", CARDIOLOGY, at, silent_after=timedelta(hours=1), pool=pool, name="Hospital EHR")


def test_a_system_that_is_silent_is_one_though_another_of_the_same_house_answers(here: Region) -> None:
    loop = sent(here)
    window, pool = timedelta(hours=1), here.pool.owner
    hears(MONDAY, pool)
    late = MONDAY + timedelta(hours=2)
    silence.heard("directory", HOSPITAL, late, silent_after=window, pool=pool, name="Hospital directory")
    assert silence.silent_since(HOSPITAL, late) == MONDAY
    with clock.at(late):
        assert silence.sweep(late) == 1
        silence.heard("directory", HOSPITAL, late, silent_after=window, pool=pool, name="Hospital directory")
    assert loop_view(here.nina, loop.id, late).next.unknown_since == MONDAY  # type: ignore[union-attr]
    assert open_kinds(Loop.objects.get(kind="upkeep")) == ["mend-exchange"]
    hears(late, pool)
    assert open_kinds(Loop.objects.get(kind="upkeep")) == []


def test_what_is_with_a_silent_system_is_of_unknown_status_and_its_stewards_are_told_once(here: Region) -> None:
    loop = sent(here)
    hears(MONDAY, here.pool.owner)
    unknown = Filters(scope="organisation", label="status-unknown")
    soon, late = MONDAY + timedelta(minutes=59), MONDAY + timedelta(hours=2)
    assert rows(here.nina, unknown, now=soon).rows == []
    assert silence.sweep(soon) == 0
    assert [one.handoff_id for one in rows(here.nina, unknown, now=late).rows] == [the(loop, "fulfil").id]
    assert loop_view(here.nina, loop.id, late).next.unknown_since == MONDAY  # type: ignore[union-attr]
    with clock.at(late):
        assert (silence.sweep(late), silence.sweep(late)) == (1, 0)
    told = Loop.objects.get(kind="upkeep")
    assert (open_kinds(told), told.about, told.accountable) == (
        ["mend-exchange"],
        f"Organization/{HOSPITAL}",
        here.pool.owner,
    )
    hears(late, here.pool.owner)
    assert (open_kinds(told), rows(here.nina, unknown, now=late).rows) == ([], [])
    assert silence.silent_since(HOSPITAL, late) is None
