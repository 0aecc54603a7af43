"""An element that is ``null`` says nothing: JSON for FHIR knows none, and some servers write them all the same."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import tasks
from fhir_bridge.models import Inbox, Link, Partner
from records import clock, store
from records.access import SYSTEM
from referrals.models import Handoff
from tests.fhir_bridge.test_loading import ndjson, run

NULLS = ("note", "output", "input", "statusReason", "businessStatus", "extension", "identifier", "executionPeriod")


@pytest.mark.parametrize("name", NULLS)
def test_a_task_with_a_null_is_heard_and_written_to(
    name: str, handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    theirs = ehr.put(ehr.all("Task")[0] | {"status": "accepted", name: None})
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        tasks.pull(hospital.pk)
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert not Inbox.objects.exclude(state=Inbox.State.APPLIED).exists()
    assert json.loads(Inbox.objects.get().body)[name] is None, "what came is kept as it came"
    assert store.get("Task", handoff.pk).get(name, ()) is not None

    held = store.get("Task", handoff.pk)
    store.write(held | {"note": [{"text": "hurry"}]}, actor=SYSTEM)
    ehr.put({**ehr.all("Task")[0], "note": None, "description": "x"})
    with clock.at(datetime.now(UTC) + timedelta(minutes=5)):
        tasks.push(hospital.pk)
        tasks.push(hospital.pk)
    assert Link.objects.get(type="Task").state == Link.State.CLEAN
    [there] = ehr.all("Task")
    assert (there["id"], [each["text"] for each in there["note"]]) == (theirs["id"], ["hurry"])


def test_a_file_with_nulls_is_refused_by_the_name_of_the_element(hospital: Partner, tmp_path: Path) -> None:
    odd = {"resourceType": "Patient", "id": "1", "name": [{"family": "Old"}], "telecom": None}
    done = run(ndjson(tmp_path, "p.ndjson", [odd]), "--partner", "Hospital")
    assert done["refused"] == 1
    assert "Patient.telecom" in str(done["reasons"])
