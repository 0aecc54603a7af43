"""A system creates, reads and changes resources."""

import json

import pytest
from pytest_django import Settings

from records import store
from records.access import SYSTEM
from tests.api.fhir.conftest import System

TASK = (
    '{"resourceType":"Task","status":"requested","intent":"order","extension":[{"url":"http://x","valueDecimal":1.50}]}'
)


def created(system: System, body: str = TASK) -> str:
    answer = system.post("Task", body)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def with_id(row_id: str, **changes: object) -> str:
    return json.dumps({**json.loads(TASK), "id": row_id, **changes})


def test_what_was_created_can_be_read_at_its_location_with_its_version(north: System) -> None:
    answer = north.post("Task", TASK)
    assert answer.status_code == 201
    row_id = answer.json()["id"]
    assert answer["ETag"] == 'W/"1"'
    assert answer["Location"].endswith(f"/fhir/Task/{row_id}/_history/1")
    assert answer["Last-Modified"].endswith("GMT")
    read = north.get(f"Task/{row_id}")
    assert read.content == answer.content
    assert b"1.50" in read.content
    assert read["Content-Type"].startswith("application/fhir+json")
    assert north.get(f"Task/{row_id}/_history/1").content == answer.content


def test_an_installation_that_moved_is_found_where_it_answers(north: System, settings: Settings) -> None:
    settings.BATON_SERVED_URL = "http://127.0.0.1:9000"
    answer = north.post("Task", TASK)
    assert answer["Location"] == f"http://127.0.0.1:9000/fhir/Task/{answer.json()['id']}/_history/1"


def test_the_server_chooses_the_id_of_what_is_posted(north: System) -> None:
    assert north.post("Task", with_id("mine")).json()["id"] != "mine"


def test_an_update_needs_the_version_that_it_names(north: System) -> None:
    row_id = created(north)
    changed = north.put(f"Task/{row_id}", with_id(row_id, status="ready"), if_match='W/"1"')
    assert (changed.status_code, changed["ETag"]) == (200, 'W/"2"')
    assert north.put(f"Task/{row_id}", with_id(row_id, status="draft"), if_match='W/"1"').status_code == 412
    assert north.put(f"Task/{row_id}", with_id(row_id, status="draft"), if_match="2").status_code == 200
    assert north.put(f"Task/{row_id}", with_id(row_id), if_match="new").status_code == 400
    assert north.get(f"Task/{row_id}").json()["status"] == "draft"
    assert north.get(f"Task/{row_id}/_history/2").json()["status"] == "ready"


def test_an_update_may_create_under_the_clients_id(north: System) -> None:
    answer = north.put("Task/my-task", with_id("my-task"))
    assert (answer.status_code, answer.json()["id"]) == (201, "my-task")
    assert north.put("Task/none", with_id("none"), if_match='W/"1"').status_code == 412


def test_writing_the_same_again_changes_nothing(north: System) -> None:
    row_id = created(north)
    assert north.put(f"Task/{row_id}", north.get(f"Task/{row_id}").content)["ETag"] == 'W/"1"'


def test_a_deleted_resource_is_gone_and_its_past_stays(north: System) -> None:
    row_id = created(north)
    store.delete("Task", row_id, actor=SYSTEM)
    assert north.get(f"Task/{row_id}").status_code == 410
    assert north.get(f"Task/{row_id}/_history/1").status_code == 200
    assert north.put(f"Task/{row_id}", with_id(row_id)).status_code == 201


@pytest.mark.parametrize("type_name", ["Task", "Patient", "ServiceRequest"])
def test_nobody_deletes_from_outside_what_a_loop_may_stand_on(north: System, type_name: str) -> None:
    store.write({"resourceType": type_name, "id": "kept"}, actor=SYSTEM, audience=["north"], validate=False)
    answer = north.delete(f"{type_name}/kept")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (405, "not-supported")
    assert "PUT" in answer["Allow"]
    assert "DELETE" not in answer["Allow"]
    assert north.get(f"{type_name}/kept").status_code == 200


def test_a_reader_who_has_this_version_is_not_sent_it_again(north: System) -> None:
    row_id = created(north)
    for known in ('W/"1"', '"1"', "1", 'W/"7", W/"1"'):
        answer = north.get(f"Task/{row_id}", if_none_match=known)
        assert (answer.status_code, answer.content) == (304, b"")
    assert north.get(f"Task/{row_id}", if_none_match='W/"2"').status_code == 200


def test_the_caller_says_what_a_write_answers(north: System) -> None:
    assert north.post("Task", TASK, prefer="return=minimal").content == b""
    told = north.post("Task", TASK, prefer="return=OperationOutcome")
    assert (told.status_code, told.json()["resourceType"]) == (201, "OperationOutcome")
    assert north.post("Task", TASK, prefer="return=representation").json()["resourceType"] == "Task"


def test_the_request_id_comes_back_unless_it_is_harmful(north: System) -> None:
    assert north.get("Task", x_request_id="abc-1")["X-Request-ID"] == "abc-1"
    assert north.get("Task", x_request_id="a<b>")["X-Request-ID"] != "a<b>"


def test_a_document_is_stored_as_it_came_and_other_bundles_are_not(north: System) -> None:
    document = '{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Composition","status":"final"}}]}'
    answer = north.post("Bundle", document)
    assert answer.status_code in {201, 422}
    for kind in ("transaction", "batch", "searchset"):
        assert north.post("Bundle", json.dumps({"resourceType": "Bundle", "type": kind})).status_code == 422
        assert north.post("", json.dumps({"resourceType": "Bundle", "type": kind})).status_code == 422


def test_an_audit_event_is_for_reading_only(north: System) -> None:
    body = '{"resourceType":"AuditEvent","id":"a"}'
    assert north.post("AuditEvent", body).status_code == 405
    assert north.put("AuditEvent/a", body).status_code == 405
    assert north.delete("AuditEvent/a").status_code == 405
    assert north.get("AuditEvent").status_code == 200


@pytest.mark.parametrize("body", ['{"resourceType":"Patient"}', "{}", "[]", '"x"', "null", '{"resourceType":5}', ""])
def test_a_body_of_another_type_is_refused(north: System, body: str) -> None:
    assert north.post("Task", body).status_code == 400
    assert north.put("Task/t", body).status_code == 400


def test_search_answers_a_bundle_whose_next_link_leads_on(north: System) -> None:
    ids = {created(north) for _number in range(3)}
    first = north.get("Task?status=requested&_count=2&foo=1&_total=accurate").json()
    assert (first["type"], first["total"]) == ("searchset", 3)
    links = {link["relation"]: link["url"] for link in first["link"]}
    assert "foo" not in links["self"]
    assert first["entry"][2]["search"]["mode"] == "outcome"
    second = north.get(links["next"].split("/fhir/")[1]).json()
    matches = [entry for entry in first["entry"] + second["entry"] if entry["search"]["mode"] == "match"]
    assert {entry["resource"]["id"] for entry in matches} == ids
    assert matches[0]["fullUrl"].endswith(f"/fhir/Task/{matches[0]['resource']['id']}")
    assert "next" not in {link["relation"] for link in second["link"]}


def test_a_posted_search_is_the_same_search(north: System) -> None:
    created(north)
    form = "application/x-www-form-urlencoded"
    by_form = north.post("Task/_search?intent=order", "status=requested&status:not=draft", form).json()
    by_query = north.get("Task?intent=order&status=requested&status:not=draft").json()
    assert by_form["entry"] == by_query["entry"]
    assert len(by_form["entry"]) == 1
    assert "entry" not in north.post("Task/_search", "status=draft", form).json()
    assert len(north.post("Task/_search", "", form).json()["entry"]) == 1
    assert north.post("Task/_search", "{}").status_code == 415


def test_what_was_posted_to_be_found_by_stands_in_no_link_and_the_next_page_is_found_all_the_same(
    north: System, south: System
) -> None:
    for number in range(3):
        body = {"resourceType": "Patient", "name": [{"family": "Quixano", "given": [f"Alonso {number}"]}]}
        assert north.post("Patient", json.dumps(body)).status_code == 201
    form = "family=Quixano&birthdate:missing=true&_count=2"
    first = north.post("Patient/_search?_total=accurate", form, "application/x-www-form-urlencoded").json()
    links = {link["relation"]: link["url"].split("/fhir/")[1] for link in first["link"]}
    assert links["self"] == "Patient?family=&birthdate:missing=&_total=accurate&_count=2"
    assert "quixano" not in json.dumps(first["link"]).lower()
    second = north.get(links["next"]).json()
    assert [len(page["entry"]) for page in (first, second)] == [2, 1]
    assert len({entry["resource"]["id"] for page in (first, second) for entry in page["entry"]}) == 3
    assert (second["total"], [link["relation"] for link in second["link"]]) == (3, ["self"])
    assert "quixano" not in json.dumps(second["link"]).lower()
    assert north.get(links["next"].replace("_page=p.gAAA", "_page=p.gAAB")).status_code == 400
    assert south.get(links["next"]).status_code == 400


def test_elements_leave_the_rest_out_and_say_so(north: System) -> None:
    created(north)
    resource = north.get("Task?_elements=status").json()["entry"][0]["resource"]
    assert set(resource) == {"resourceType", "id", "meta", "status"}
    assert resource["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_a_summary_count_has_a_total_and_no_entries(north: System) -> None:
    created(north)
    answer = north.get("Task?_summary=count").json()
    assert (answer["total"], "entry" in answer) == (1, False)
    assert north.get("Task?_count=0").json()["total"] == 1
