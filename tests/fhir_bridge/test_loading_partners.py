"""A first load from a partner's own server: its export where it has one, else everything by searching."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge.loading import fetching
from fhir_bridge.models import Inbox, Link, Partner, Refusal
from fhir_bridge.outbound import pushing
from records.errors import BatonError, Forbidden, Unavailable
from records.types import row_class
from referrals.models import Handoff
from tests.fhir_bridge.story import HOSPITAL, MRN, PRACTICE, Story
from tests.fhir_bridge.test_addressed import take
from tests.fhir_bridge.test_loading import SEED, here, ndjson, order, run


def export(ehr: FakeEhr, files: dict[str, str], *, needs_token: bool = False) -> Callable[[Request, Answer], Answer]:
    """A server with `$export`: kick-off, one poll in vain, a manifest, and these files (name → NDJSON)."""
    polls = []

    def answer(request: Request, honest: Answer) -> Answer:
        if request.path == "$export":
            return Answer(202, None, {"Content-Location": f"{ehr.base_url}/status/1"}, text="")
        if request.path == "status/1":
            polls.append(request)
            output = [{"type": "Patient", "url": name} for name in files]
            manifest = {"requiresAccessToken": needs_token, "output": output}
            is_early = len(polls) == 1
            return (
                Answer(202, None, {"Retry-After": "3", "X-Progress": "half"}, "") if is_early else Answer(200, manifest)
            )
        text = next((text for name, text in files.items() if name.endswith(request.path) and request.path), None)
        return honest if text is None else Answer(200, None, {"Content-Type": "application/fhir+ndjson"}, text)

    return answer


@pytest.fixture
def exporting(hospital: Partner) -> Partner:
    hospital.chosen = {"load": "export"}
    hospital.save()
    return hospital


def test_an_export_is_asked_for_waited_for_and_fetched(exporting: Partner, ehr: FakeEhr, tmp_path: Path) -> None:
    waits: list[float] = []
    files = {f"{ehr.base_url}/files/1": json.dumps(SEED) + "\n"}
    with ehr.faulty(export(ehr, files)):
        fetching.fetch(exporting, tmp_path / "x", wait=waits.append)
        fetching.fetch(exporting, tmp_path / "x", wait=waits.append)
    assert waits == [3.0]
    assert [path.name for path in sorted((tmp_path / "x").glob("*.ndjson"))] == ["Patient.00000.ndjson"]
    kick_offs = [request for request in ehr.requests if request.path == "$export"]
    assert [request.headers["prefer"] for request in kick_offs] == ["respond-async"]


@pytest.mark.parametrize("status", [404, 410, 500])
def test_an_export_that_has_expired_or_failed_is_begun_anew(
    status: int, exporting: Partner, ehr: FakeEhr, tmp_path: Path
) -> None:
    folder, files = tmp_path / "x", {f"{ehr.base_url}/files/1": json.dumps(SEED) + "\n"}
    gone = Answer(status)
    with ehr.faulty(export(ehr, files)):
        with ehr.refusing(gone, "GET", "files/1"), pytest.raises(BatonError):
            fetching.fetch(exporting, folder, wait=lambda _s: None)
        (folder / ".status").write_text(f"{ehr.base_url}/status/0")
        (folder / "Patient.00007.ndjson").touch()
        with ehr.refusing(gone, "GET", "status/0"):
            fetching.fetch(exporting, folder, wait=lambda _s: None)
    assert [path.name for path in folder.glob("*.ndjson")] == ["Patient.00000.ndjson"]
    assert [request.path for request in ehr.requests].count("$export") == 2


@pytest.mark.parametrize("status", [429, 503])
def test_an_export_that_can_not_be_asked_for_now_is_asked_for_again(
    status: int, exporting: Partner, ehr: FakeEhr, tmp_path: Path
) -> None:
    files = {f"{ehr.base_url}/files/1": json.dumps(SEED) + "\n"}
    with ehr.faulty(export(ehr, files)):
        with ehr.refusing(Answer(status), "GET", "status/1"), pytest.raises(Unavailable):
            fetching.fetch(exporting, tmp_path / "x", wait=lambda _s: None)
        fetching.fetch(exporting, tmp_path / "x", wait=lambda _s: None)
    assert [request.path for request in ehr.requests].count("$export") == 1


def test_a_type_that_is_not_shown_keeps_no_other_from_coming(hospital: Partner, ehr: FakeEhr) -> None:
    hospital.chosen = {"load": "search"}
    hospital.save()
    ehr.put(SEED)
    with ehr.refusing(Answer(403), "GET", "Practitioner"):
        done = run(hospital.base_url, "--partner", "Hospital")
    assert set(done["not_shown"]) == {"Practitioner", "PractitionerRole"}
    assert Link.objects.filter(type="Patient", remote_id=SEED["id"]).exists()


def test_a_gateway_that_says_that_there_is_nothing_is_no_empty_partner(hospital: Partner, ehr: FakeEhr) -> None:
    hospital.chosen = {"load": "search"}
    hospital.save()
    ehr.put(SEED)
    with ehr.refusing(Answer(404), "GET"), pytest.raises(CommandError):
        run(hospital.base_url, "--partner", "Hospital")
    with ehr.refusing(Answer(404), "GET", "Practitioner"):
        assert set(run(hospital.base_url, "--partner", "Hospital")["not_shown"]) == {"Practitioner", "PractitionerRole"}
    assert Link.objects.filter(type="Patient", remote_id=SEED["id"]).exists()


def test_a_file_on_a_server_that_nobody_named_is_not_fetched(exporting: Partner, ehr: FakeEhr, tmp_path: Path) -> None:
    with FakeEhr() as elsewhere:
        files = {f"{elsewhere.base_url}/files/1": ""}
        with ehr.faulty(export(ehr, files)), pytest.raises(Forbidden):
            fetching.fetch(exporting, tmp_path / "x", wait=lambda _s: None)
        assert elsewhere.requests == []
        with (
            ehr.faulty(export(ehr, files, needs_token=True)),
            pytest.raises(Forbidden),
        ):
            fetching.fetch(exporting, tmp_path / "y", wait=lambda _s: None, origins=[elsewhere.base_url])
        assert elsewhere.requests == []
        with ehr.faulty(export(ehr, files)), elsewhere.faulty(lambda _r, _h: Answer(200, text="{}")):
            fetching.fetch(exporting, tmp_path / "z", wait=lambda _s: None, origins=[elsewhere.base_url])
        assert ["authorization" in request.headers for request in elsewhere.requests] == [False]


def test_without_export_everything_is_found_by_searching(hospital: Partner, ehr: FakeEhr) -> None:
    ehr.put(SEED)
    ehr.put(order())
    done = run(hospital.base_url, "--partner", "Hospital")
    assert done["written"] == 2
    assert {request.path for request in ehr.requests} >= {"Patient", "ServiceRequest", "Practitioner"}
    assert not Inbox.objects.exists()
    assert Link.objects.filter(partner__organization=HOSPITAL).count() == 2


def test_of_what_can_not_be_read_there_the_name_is_kept_as_refused(hospital: Partner, ehr: FakeEhr) -> None:
    for id_, name in (("1", "One"), ("2", "Tw\x00o"), ("3", "Three")):
        ehr.put({**SEED, "id": id_, "name": [{"family": name}]})

    def by_elements(asked: Request, honest: Answer) -> Answer:
        entries = (honest.body or {}).get("entry") if "_elements" in dict(asked.query) else None
        for each in entries or ():
            each["resource"] = {word: each["resource"][word] for word in ("resourceType", "id", "meta")}
        return honest

    with ehr.faulty(by_elements):
        done = run(hospital.base_url, "--partner", "Hospital")
    assert (done["written"], done["refused"]) == (2, 1)
    assert '"id":"2"' in Refusal.objects.get().body


@pytest.mark.parametrize("identifier", [[{"use": {}, "system": "urn:x", "value": "b"}], [None], {}, "x", [["x"]]])
@pytest.mark.parametrize("who", [("--partner", "Hospital"), ("--organization", PRACTICE)])
def test_one_odd_person_keeps_no_other_from_being_taken_in(
    identifier: object, who: tuple[str, str], hospital: Partner, tmp_path: Path
) -> None:
    before = len(here("Patient"))
    good = [{"resourceType": "Patient", "id": f"g{number}", "name": [{"family": "Good"}]} for number in range(3)]
    odd = {"resourceType": "Patient", "id": "odd", "identifier": identifier}
    file = ndjson(tmp_path, "patients.ndjson", [good[0], odd, *good[1:]])
    run(file, *who)
    assert Refusal.objects.count() == 1
    assert len(here("Patient")) - before == len(good)


OURS = ("Organization", "Practitioner", "Patient", "ServiceRequest", "Task")


@pytest.mark.parametrize("is_caught_up", [True, False])
def test_what_the_partner_has_had_of_us_is_not_taken_for_its_own(
    is_caught_up: bool, handoff: Handoff, hospital: Partner, ehr: FakeEhr, tmp_path: Path
) -> None:
    """The hospital is registered anew: its export comes before the first push, or before we know that it has anything."""
    had = Counter(Link.objects.values_list("type", flat=True))
    Link.objects.all().delete()
    if is_caught_up:
        pushing.catch_up(hospital)
    lines = [json.dumps(each) for kind in OURS for each in ehr.all(kind)]
    (tmp_path / "all.ndjson").write_text("\n".join(lines) + "\n")
    before = {kind: row_class(kind).rows(kind).count() for kind in OURS}

    run(str(tmp_path / "all.ndjson"), "--partner", hospital.name)

    assert not Refusal.objects.exists()
    pushing.run_once(hospital)
    take(hospital)
    pushing.run_once(hospital)
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    take(hospital)
    pushing.run_once(hospital)
    assert {kind: row_class(kind).rows(kind).count() for kind in OURS} == before
    assert {kind: len(ehr.all(kind)) for kind in OURS} == {kind: had[kind] for kind in OURS}, "there is none twice"
    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"


def test_whom_we_are_about_to_name_to_the_partner_and_it_knows_already_is_recognised(
    story: Story, hospital: Partner, ehr: FakeEhr, tmp_path: Path
) -> None:
    known = {"resourceType": "Patient", "id": "h-ana", "identifier": [{"system": MRN, "value": f"4711-{story.run}"}]}
    ehr.put(known)
    story.refer()
    (tmp_path / "all.ndjson").write_text(json.dumps(known) + "\n")

    run(str(tmp_path / "all.ndjson"), "--partner", hospital.name)
    pushing.run_once(hospital)

    assert not Refusal.objects.exists()
    assert Link.objects.get(type="Patient").remote_id == "h-ana"
