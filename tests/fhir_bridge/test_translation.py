"""References and profiles: what leaves says nothing of ours, and what comes back means the same."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_bridge import profiles
from fhir_bridge.sharing import references

US, THEM = "https://baton.example", "https://ehr.example/fhir"
IDS = {("Patient", "ana"): "17", ("ServiceRequest", "r1"): "42", ("Task", "t1"): "43"}
BACK = {(type_, theirs): ours for (type_, ours), theirs in IDS.items()}


def out(body: Any) -> Any:
    return references.outward(body, lambda *key: IDS.get(key), US, f"{US}/fhir")


def back(body: Any) -> Any:
    return references.inward(body, lambda *key: BACK.get(key), US, THEM)


def test_a_reference_travels_in_the_partners_ids_and_comes_back_in_ours() -> None:
    task = {"resourceType": "Task", "for": {"reference": "Patient/ana", "display": "Ana"}}

    assert out(task)["for"] == {"reference": "Patient/17", "display": "Ana"}
    assert back(out(task)) == task


def test_an_absolute_reference_to_us_or_to_the_partner_is_as_a_relative_one() -> None:
    assert out({"for": {"reference": f"{US}/fhir/Patient/ana"}}) == {"for": {"reference": "Patient/17"}}
    assert back({"for": {"reference": f"{THEM}/Patient/17/_history/3"}}) == {"for": {"reference": "Patient/ana"}}


def test_what_does_not_travel_is_named_by_our_identifier_and_recognised_when_it_returns() -> None:
    encounter = {"encounter": {"reference": "Encounter/e9"}}

    assert out(encounter)["encounter"] == {
        "type": "Encounter",
        "identifier": {"system": f"{US}/id/encounter", "value": "e9"},
    }
    assert back(out(encounter)) == encounter


def test_what_we_do_not_hold_stays_a_reference_to_the_partners_server() -> None:
    assert back({"focus": {"reference": "CarePlan/5"}}) == {"focus": {"reference": f"{THEM}/CarePlan/5"}}


def test_contained_urn_foreign_and_logical_references_are_left_alone() -> None:
    untouched = {
        "a": {"reference": "#p"},
        "b": {"reference": "urn:uuid:0198b2c4-0000-7000-8000-000000000000"},
        "c": {"reference": "https://elsewhere.example/fhir/Patient/17"},
        "d": {"identifier": {"system": "https://register.example", "value": "8"}, "type": "Organization"},
    }

    assert out(untouched) == untouched
    assert back(untouched) == untouched


def test_an_attachment_says_on_which_server_it_is() -> None:
    document = {"content": [{"attachment": {"url": "Binary/9"}}]}

    assert back(document) == {"content": [{"attachment": {"url": f"{THEM}/Binary/9"}}]}


@settings(max_examples=50)
@given(
    st.recursive(
        st.text() | st.none() | st.booleans(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner.filter(lambda value: value is not None)),
    )
)
def test_whatever_else_a_body_holds_is_not_touched(body: Any) -> None:
    assert out(body) == body


def test_our_extensions_and_the_parent_never_leave() -> None:
    task = {
        "resourceType": "Task",
        "id": "t1",
        "meta": {"versionId": "3"},
        "identifier": [{"system": f"{US}/id/task", "value": "t1"}],
        "partOf": [{"reference": "Task/loop"}],
        "extension": [{"url": f"{US}/StructureDefinition/stage"}, {"url": "https://guide.example/x", "valueCode": "y"}],
    }

    assert profiles.outward(task, profiles.PROFILES["core"], US) == {
        "resourceType": "Task",
        "identifier": [{"system": f"{US}/id/task", "value": "t1"}],
        "extension": [{"url": "https://guide.example/x", "valueCode": "y"}],
    }


def test_a_status_is_reached_step_by_step_along_the_legal_path() -> None:
    core = profiles.PROFILES["core"]
    status, path = "requested", []
    while status != "completed":
        status = profiles.next_status(core, status, "completed")
        path.append(status)

    assert path == ["received", "accepted", "in-progress", "completed"]
    assert profiles.next_status(core, "accepted", "failed") == "failed"
    assert profiles.next_status(core, "in-progress", "in-progress") == "in-progress"
