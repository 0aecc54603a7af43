"""A first load takes in what there is already: once, resumable, in bounded memory, refusing one by one, opening nothing."""

import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.loading import loader, sources
from fhir_bridge.models import Link, Load, Partner, Refusal
from records import clock, store
from records.errors import Conflict
from records.models import Version
from records.types import row_class
from referrals import adoption
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import ANA, MRN, PRACTICE, Story

SEED = {"resourceType": "Patient", "id": "1", "name": [{"family": "Old"}], "birthDate": "1950-01-01"}


def ndjson(folder: Path, name: str, resources: Iterable[dict[str, Any]]) -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(each)}\n" for each in resources))
    return path


def run(source: object, *options: str) -> dict[str, Any]:
    said = io.StringIO()
    whose = options or ("--organization", PRACTICE)
    call_command("import", str(source), *whose, "--json", stdout=said, stderr=io.StringIO())
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def here(type_: str) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in row_class(type_).rows(type_).order_by("id")]


def order(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "7",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}],
        "code": {"text": "Cardiology"},
        "subject": {"reference": "Patient/1"},
        "authoredOn": "2026-11-01T10:00:00Z",
        **more,
    }


def test_who_is_referred_to_is_read_first(tmp_path: Path) -> None:
    for name in ("Task.ndjson", "sub/ServiceRequest.0.ndjson.gz", "Observation.ndjson", "Patient.ndjson", "a.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "LICENSE").touch()
    assert [part.path.name for part in sources.parts(str(tmp_path))] == [
        "Patient.ndjson",
        "Observation.ndjson",
        "a.json",
        "ServiceRequest.0.ndjson.gz",
        "Task.ndjson",
    ]


# What becomes of them


@pytest.mark.usefixtures("story")
def test_everything_is_kept_with_ids_of_ours_and_references_that_lead_there(tmp_path: Path) -> None:
    ndjson(tmp_path, "Observation.ndjson", [
        {"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 1}}
        | {"subject": {"reference": "Patient/1"}, "performer": [{"reference": f"Patient/{ANA}"}]}
    ])  # fmt: skip
    ndjson(tmp_path, "Patient.ndjson", [SEED])

    assert run(tmp_path) | {"load": 0} == {"load": 0, "written": 2, "reasons": {}}

    patient = next(each for each in here("Patient") if each["id"] != ANA)
    (observation,) = here("Observation")
    assert patient["id"] not in {"1", ANA}
    assert observation["subject"]["reference"] == f"Patient/{patient['id']}"
    assert observation["performer"][0]["reference"] == f"https://import.invalid/{PRACTICE}/Patient/{ANA}", (
        "another's Ana"
    )


@pytest.mark.usefixtures("story")
def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    ndjson(tmp_path, "Patient.ndjson", [SEED, {**SEED, "id": "2"}])
    run(tmp_path)
    before = Version.objects.count()

    assert run(tmp_path)["unchanged"] == 2
    assert Version.objects.count() == before
    ndjson(tmp_path, "Patient.ndjson", [SEED | {"gender": "female"}, {**SEED, "id": "2"}])
    again = run(tmp_path)
    assert (again["written"], again["unchanged"]) == (1, 1)


def test_an_order_opens_no_loop_and_is_listed_to_be_adopted(story: Story, tmp_path: Path) -> None:
    ndjson(tmp_path, "a.ndjson", [order(), SEED])  # the patient comes after the order
    assert run(tmp_path)["written"] == 2
    assert not Loop.objects.exists()
    assert adoption.count(story.nina, clock.now()) == 1


def test_what_is_refused_is_kept_whole_tells_nothing_and_is_one_piece_of_work(story: Story, tmp_path: Path) -> None:
    path = ndjson(tmp_path, "a.ndjson", [SEED])
    broken = '{"resourceType": "Patient", "id": "3", "birthDate": "Canary", "extra": 1.50}'
    path.write_text(path.read_text() + broken + "\n{\n" + json.dumps(SEED | {"id": "4"}) + "\n")

    done = run(tmp_path)

    assert (done["written"], done["refused"]) == (2, 2)
    assert "Canary" not in json.dumps(done)
    assert Refusal.objects.get(remote_id="3").body == broken
    work = Handoff.objects.get(kind="mend-exchange")
    assert (work.loop.about, work.list.key) == (f"Load/{done['load']}", story.pool)
    path.write_text(json.dumps(SEED) + "\n")
    run(tmp_path)
    work.refresh_from_db()
    assert not work.is_open


@pytest.mark.usefixtures("story")
def test_a_load_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "BATCH", 3)
    path = ndjson(tmp_path, "Patient.ndjson", ({**SEED, "id": str(number)} for number in range(10)))
    parts, taken = sources.parts(str(path)), list[int]()

    def stop(phase: str, _part: str, _read: int) -> None:
        if phase == "write":
            taken.append(Load.objects.get().done["Patient.ndjson"])
            if len(taken) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loader.load(str(path), parts, partner=None, organization=PRACTICE, progress=stop)
    assert (taken, len(here("Patient"))) == ([3, 6], 7)

    done = loader.load(str(path), parts, partner=None, organization=PRACTICE, progress=stop)
    assert (taken, done.counts) == ([3, 6, 9, 10], {"written": 10})
    assert Load.objects.count() == 1


@pytest.mark.usefixtures("story")
def test_records_of_one_type_are_written_together(tmp_path: Path) -> None:
    def taken(number: int) -> int:
        values = [
            {"resourceType": "Observation", "id": f"{number}-{n}", "status": "final", "code": {"text": "x"}}
            for n in range(number)
        ]
        with CaptureQueriesContext(connection) as captured:
            assert run(ndjson(tmp_path, f"{number}.ndjson", values))["written"] == number
        return len(captured)

    assert taken(150) == taken(3)


@pytest.mark.usefixtures("story")
def test_one_of_an_odd_shape_spoils_none_of_those_that_come_with_it(tmp_path: Path) -> None:
    value = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    odd: list[dict[str, Any]] = [{"meta": "none"}, {"subject": "Ana"}, {"status": 7}, {"subject": {"reference": 7}}, {}]

    done = run(ndjson(tmp_path, "a.ndjson", [{**value, "id": str(n), **more} for n, more in enumerate(odd)]))

    assert done["written"] >= 1
    assert done["written"] + done["refused"] == len(odd)
    assert len(here("Observation")) == done["written"]


@pytest.mark.usefixtures("story")
def test_a_file_that_breaks_off_gives_what_there_was(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{json.dumps({**SEED, 'id': str(n)})}\n" for n in range(2000)).encode())
    (tmp_path / "Patient.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    done = run(tmp_path)
    assert done["written"] > 100
    assert done["refused"] == 1


@pytest.mark.usefixtures("story")
def test_a_bundle_that_breaks_off_gives_what_there_was_and_keeps_what_was_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "BATCH", 3)
    entries = [{"request": {}}, *({"resource": {**SEED, "id": str(number)}} for number in range(2))]
    text = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    (tmp_path / "all.json").write_text(text[:-2] + ", ")
    done = run(tmp_path)
    assert (done["written"], done["refused"]) == (2, 2)
    assert list(Refusal.objects.order_by("position").values_list("position", flat=True)) == [0, 3]


@pytest.mark.usefixtures("story")
def test_a_transaction_of_urns_and_questions_is_resolved_entry_by_entry(tmp_path: Path) -> None:
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": "urn:npi", "value": "9|9"}]}
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "urn:uuid:aa"},
        "participant": [{"individual": {"reference": "Practitioner?identifier=urn%3Anpi%7C9%7C9"}}],
    }
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:bb", "resource": encounter, "request": {"method": "POST", "url": "Encounter"}},
            {"fullUrl": "urn:uuid:aa", "resource": {**SEED, "id": "aa"}},
            {"fullUrl": "urn:uuid:cc", "resource": doctor},
            {"resource": {"resourceType": "OperationOutcome"}, "fullUrl": "urn:uuid:dd"},
            {"request": {"method": "DELETE", "url": "Patient/1"}},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(bundle))

    done = run(tmp_path)

    assert (done["written"], done["skipped"], done["refused"]) == (3, 1, 1)
    (kept,) = here("Encounter")
    assert kept["subject"]["reference"].removeprefix("Patient/") in {each["id"] for each in here("Patient")}
    assert kept["participant"][0]["individual"]["reference"].startswith("Practitioner/")


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(("kind", "kept"), [("document", 1), ("history", 0)])
def test_a_document_is_a_record_and_a_history_is_not_loaded(kind: str, kept: int, tmp_path: Path) -> None:
    composition = {
        "resourceType": "Composition",
        "id": "1",
        "status": "final",
        "type": {"text": "Letter"},
        "date": "2026-01-01",
        "author": [{"display": "Dr Heart"}],
        "title": "Letter",
    }
    bundle: dict[str, Any] = {"resourceType": "Bundle", "id": "b", "type": kind}
    if kind == "document":
        bundle |= {"timestamp": "2026-01-01T00:00:00Z", "identifier": {"system": "urn:x", "value": "1"}}
    bundle["entry"] = [{"fullUrl": "urn:uuid:6f0f3c6e-5d0b-5c7a-9b0e-1f7d2f3f9a11", "resource": composition}]
    (tmp_path / "a.json").write_text(json.dumps(bundle))
    assert run(tmp_path).get("written", 0) == kept
    assert len(here("Bundle")) == kept
    assert here("Composition") == []


@pytest.mark.usefixtures("story")
def test_the_same_load_does_not_run_twice_at_once(tmp_path: Path) -> None:
    path = ndjson(tmp_path, "Patient.ndjson", [SEED])
    parts, elsewhere = sources.parts(str(path)), connection.copy()
    key = Load.objects.create(organization=PRACTICE, source=str(path), started_at=clock.now()).pk
    try:
        with elsewhere.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [loader._LOCKS, key])
        with pytest.raises(Conflict):
            loader.load(str(path), parts, partner=None, organization=PRACTICE, progress=lambda *_told: None)
        with elsewhere.cursor() as cursor:  # a connection that is closed lets go a little later
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        elsewhere.close()
    done = loader.load(str(path), parts, partner=None, organization=PRACTICE, progress=lambda *_told: None)
    assert (done.pk, done.counts) == (key, {"written": 1})


def test_a_partners_resources_are_linked_and_its_later_changes_follow(
    story: Story, hospital: Partner, ehr: FakeEhr, tmp_path: Path
) -> None:
    ana = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": MRN, "value": f"4711-{story.run}"}]}
    theirs = [ehr.put(ana), ehr.put(order(id="s1", subject={"reference": "Patient/p1"}))]
    ndjson(tmp_path, "all.ndjson", theirs)

    done = run(tmp_path, "--partner", "Hospital")

    assert (done["written"], done["recognised"]) == (1, 1)
    assert Link.objects.get(type="Patient").local_id == ANA
    link = Link.objects.get(type="ServiceRequest")
    assert (link.remote_id, link.follows, link.origin) == ("s1", True, Link.Origin.THEIRS)
    assert store.get("ServiceRequest", link.local_id)["subject"]["reference"] == f"Patient/{ANA}"
    assert run(tmp_path, "--partner", "Hospital")["unchanged"] == 2

    ehr.put(theirs[1] | {"note": [{"text": "later"}]})
    polling.poll(hospital)
    assert applying.apply_pending(hospital) == {"applied": 1}
    assert store.get("ServiceRequest", link.local_id)["note"] == [{"text": "later"}]
    assert not Loop.objects.filter(closed_at=None).exists()


# What is fetched from a partner


@pytest.mark.parametrize(
    "arguments",
    [
        ("/nowhere", "--organization", PRACTICE),
        ("https://elsewhere.example/a.ndjson", "--organization", PRACTICE),
        ("https://elsewhere.example/a.ndjson", "--partner", "Hospital"),
        (".", "--organization", "nobody"),
        (".", "--partner", "Nobody"),
    ],
)
@pytest.mark.usefixtures("hospital")
def test_what_can_not_be_loaded_is_said_in_a_line(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("import", *arguments, stderr=io.StringIO())


@pytest.mark.usefixtures("story")
def test_synthea_is_taken_in(fixtures: Path) -> None:
    folder = fixtures / "data" / "synthea"
    smallest = min(folder.glob("*.json.gz"), key=lambda path: path.stat().st_size)
    done = run(smallest)
    assert done["written"] > 10
    assert not Loop.objects.exists()
