"""After one change the number of writes is bounded, whatever a partner's server makes of what it is sent."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import tasks
from fhir_bridge.models import Link, Partner
from records import clock, store
from records.access import SYSTEM
from records.json import Resource
from tests.fhir_bridge.story import Story

Quirk = Callable[[Resource, int], dict[str, Any]]
"""What it puts into a Task at its save of that number, None to take something out."""

OF_THE_PERFORMER: Mapping[str, Quirk] = {
    "period": lambda _task, number: {"executionPeriod": {"start": f"2026-11-22T12:{number:02}:00Z"}},
    "log": lambda task, number: {"note": [*task.get("note", []), {"text": f"saved, {number}"}]},
    "last log": lambda _task, number: {"note": [{"text": f"saved, {number}"}]},
    "reason": lambda _task, number: {"statusReason": {"text": f"because of {number}"}},
}
OF_THE_PLACER: Mapping[str, Quirk] = {
    "filled": lambda _task, _number: {"performerType": [{"text": "Cardiology desk"}]},
    "counted": lambda _task, number: {"description": f"Number {number}"},
    "dropped": lambda _task, _number: {"authoredOn": None, "requester": None},
    "nothing": lambda _task, _number: {},
}


def bend(ehr: FakeEhr, *quirks: Quirk) -> None:
    """From now on its Tasks are saved with these quirks."""
    put, saved = ehr.shelf.put, list[int]()

    def keeps(body: Resource, late: timedelta = timedelta()) -> Resource:
        if body["resourceType"] == "Task":
            saved.append(1)
            for quirk in quirks:
                body = body | quirk(body, len(saved))
            body = {name: value for name, value in body.items() if value is not None}
        return put(body, late)

    ehr.shelf.put = keeps  # type: ignore[method-assign]


def rounds(partner: Partner, ehr: FakeEhr, *minutes: int) -> None:
    for each in minutes:
        ehr.skew = timedelta(minutes=each)
        with clock.at(datetime.now(UTC) + ehr.skew):
            partner.refresh_from_db()
            tasks.pull(partner.pk)
            tasks.push_due(clock.now())


def writes(ehr: FakeEhr) -> int:
    return sum(each.verb in {"PUT", "POST"} and each.path.startswith("Task") for each in ehr.requests)


@pytest.mark.parametrize("placers", OF_THE_PLACER)
@pytest.mark.parametrize("performers", OF_THE_PERFORMER)
def test_each_change_of_ours_is_written_and_then_it_is_quiet(
    performers: str, placers: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    bend(ehr, OF_THE_PERFORMER[performers], OF_THE_PLACER[placers])
    handoff = story.refer()
    rounds(hospital, ehr, *range(5))
    assert writes(ehr) <= 2
    ehr.requests.clear()

    rounds(hospital, ehr, *range(5, 8))
    assert writes(ehr) == 0

    store.write(store.get("Task", handoff.pk) | {"reasonCode": {"text": "Sooner"}}, actor=SYSTEM)
    rounds(hospital, ehr, *range(8, 14))
    assert 1 <= writes(ehr) <= 2
    [task] = ehr.all("Task")
    assert task["reasonCode"] == {"text": "Sooner"}
    assert Link.objects.get(type="Task").state == Link.State.CLEAN
