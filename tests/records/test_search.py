"""What a search finds, in PostgreSQL."""

from typing import Any

import pytest
from django.db.models import Q

from records import clock, search, store
from records.access import SYSTEM, Actor
from records.errors import Malformed
from records.json import Resource
from records.params import Param
from records.search.predicates import predicate_for
from records.types import TYPES, row_class

pytestmark = pytest.mark.django_db
NORTH = Actor(
    id="client:north", kind="client", display="North", organization="north", scopes=frozenset({"system/*.cruds"})
)
CODE = "http://example.org/codes"


def keep(type_name: str, row_id: str, **content: Any) -> Resource:
    """Store a resource that the north may see."""
    body = {"resourceType": type_name, "id": row_id, **content}
    store.write(body, actor=SYSTEM, audience=["north"], validate=False)
    return body


def found(type_name: str, *params: tuple[str, str], actor: Actor = NORTH) -> list[str]:
    return sorted(match.id for match in search.search(actor, type_name, params, strict=True).matches)


SAMPLES = {"token": "x", "reference": "x", "string": "x", "date": "2026", "uri": "http://x", "quantity": "1"}
EVERY_PARAM = [(name, param) for name, row in TYPES.items() for param in row.search_params.values()]


@pytest.mark.parametrize(("type_name", "param"), EVERY_PARAM, ids=[f"{name}.{p.name}" for name, p in EVERY_PARAM])
def test_every_declared_parameter_runs_with_every_modifier_of_its_kind(type_name: str, param: Param) -> None:
    modifiers = ["", "not", "exact", "contains", "identifier", "Patient"]
    offered = [modifier for modifier in modifiers if predicate_for(param, modifier)]
    assert "" in offered
    condition = Q()
    for modifier in offered:
        name = f"{param.name}:{modifier}" if modifier else param.name
        condition &= search.compile(type_name, [(name, SAMPLES[param.kind])])
    missing = search.compile(type_name, [(f"{param.name}:missing", "true"), (f"{param.name}:missing", "false")])
    assert list(row_class(type_name).rows(type_name).filter(condition & missing)) == []


def test_tokens_match_with_and_without_their_system() -> None:
    keep("Task", "with", code={"coding": [{"system": CODE, "code": "a"}, {"system": CODE, "code": "b"}]})
    keep("Task", "without", code={"coding": [{"code": "a"}]})
    keep("Task", "empty", code={"text": "a"})
    keep("Task", "absent")
    assert found("Task", ("code", "a")) == ["with", "without"]
    assert found("Task", ("code", f"{CODE}|a")) == ["with"]
    assert found("Task", ("code", "|a")) == ["without"]
    assert found("Task", ("code", f"{CODE}|")) == ["with"]
    assert found("Task", ("code", "x,b")) == ["with"]
    assert found("Task", ("code", "a"), ("code", "b")) == ["with"]
    assert found("Task", ("code", "A")) == []
    assert found("Task", ("code:not", "b")) == ["absent", "empty", "without"]
    assert found("Task", ("code:missing", "true")) == ["absent"]
    assert found("Task", ("code:missing", "false")) == ["empty", "with", "without"]


def test_a_plain_code_matches_whatever_system_is_named_and_what_lacks_it_is_not_anything() -> None:
    keep("Task", "requested", status="requested")
    keep("Task", "absent")
    assert found("Task", ("status", "http://hl7.org/fhir/task-status|requested")) == ["requested"]
    assert found("Task", ("status", "requested,accepted")) == ["requested"]
    assert found("Task", ("status:not", "accepted")) == ["absent", "requested"]
    assert found("Task", ("status:not", "requested,accepted")) == ["absent"]


def test_references_match_by_id_type_and_address(settings: Any) -> None:
    keep("Task", "theirs", owner={"reference": "Organization/o1"})
    keep("Task", "absolute", owner={"reference": f"{settings.BATON_BASE_URL}/fhir/Organization/o1"})
    settings.BATON_SERVED_URL = "http://127.0.0.1:9000"
    keep("Task", "absolute-today", owner={"reference": "http://127.0.0.1:9000/fhir/Organization/o1"})
    keep("Task", "person", owner={"reference": "Practitioner/o1"})
    keep("Task", "elsewhere", owner={"reference": "https://other.example/fhir/Organization/o1"})
    keep("Task", "named", owner={"identifier": {"system": CODE, "value": "77"}})
    keep("Task", "nobody")
    ours = ["absolute", "absolute-today", "theirs"]
    assert found("Task", ("owner", "Organization/o1")) == ours
    assert found("Task", ("owner", f"{settings.BATON_BASE_URL}/fhir/Organization/o1")) == ours
    assert found("Task", ("owner", "https://other.example/fhir/Organization/o1")) == ["elsewhere"]
    assert found("Task", ("owner", "o1")) == ["absolute", "absolute-today", "person", "theirs"]
    assert found("Task", ("owner:Organization", "o1")) == ours
    assert found("Task", ("owner:Organization", "Practitioner/o1")) == []
    assert found("Task", ("owner:identifier", f"{CODE}|77")) == ["named"]
    assert found("Task", ("owner:identifier", "77")) == ["named"]
    assert found("Task", ("owner:missing", "true")) == ["nobody"]


def test_the_patient_is_found_by_id_and_reference_and_nobody_elses() -> None:
    keep("Task", "hers", **{"for": {"reference": "Patient/p1"}})
    keep("Task", "nobodys")
    for value in ("p1", "Patient/p1", "x,p1"):
        assert found("Task", ("patient", value)) == ["hers"]
    assert found("Task", ("patient", "Group/p1")) == []
    assert found("Task", ("patient:missing", "true")) == ["nobodys"]


def test_names_match_from_their_beginning_whatever_case_and_accent() -> None:
    keep("Patient", "jose", name=[{"family": "Núñez", "given": ["José", "María"]}])
    keep("Patient", "anna", name=[{"family": "Анна", "given": ["100%_x"]}])
    assert found("Patient", ("family", "nun")) == ["jose"]
    assert found("Patient", ("given", "MARIA")) == ["jose"]
    assert found("Patient", ("family", "uñe")) == []
    assert found("Patient", ("family:contains", "uñe")) == ["jose"]
    assert found("Patient", ("family:exact", "Núñez")) == ["jose"]
    assert found("Patient", ("family:exact", "Nunez")) == []
    assert found("Patient", ("family", "анн")) == ["anna"]
    assert found("Patient", ("given:contains", "%_")) == ["anna"]
    assert found("Patient", ("given:contains", "_%")) == []
    assert found("Patient", ("given:missing", "true")) == []


def test_several_parameters_must_all_match() -> None:
    keep(
        "ServiceRequest",
        "yes",
        subject={"reference": "Patient/p1"},
        authoredOn="2026-03-02",
        category=[{"coding": [{"code": "c"}]}],
    )
    keep(
        "ServiceRequest",
        "old",
        subject={"reference": "Patient/p1"},
        authoredOn="2025-03-02",
        category=[{"coding": [{"code": "c"}]}],
    )
    assert found(
        "ServiceRequest", ("patient", "p1"), ("category", "c"), ("authored", "ge2026"), ("authored", "lt2027")
    ) == ["yes"]


def test_profiles_tags_and_ids_are_searched_on_every_type() -> None:
    keep("Goal", "g1", meta={"profile": ["http://example.org/p"], "tag": [{"system": CODE, "code": "t"}]})
    keep("Immunization", "i1", patient={"reference": "Patient/p1"}, identifier=[{"system": CODE, "value": "7"}])
    assert found("Goal", ("_profile", "http://example.org/p"), ("_tag", f"{CODE}|t"), ("_id", "g1,g2")) == ["g1"]
    assert found("Immunization", ("patient", "p1"), ("identifier", f"{CODE}|7"), ("_id", "i1")) == ["i1"]
    assert found("Claim", ("_id", "i1")) == []


def test_an_amount_matches_by_number_and_unit() -> None:
    keep(
        "Observation",
        "o",
        valueQuantity={"value": 5.4, "system": "http://unitsofmeasure.org", "code": "mg", "unit": "milligram"},
    )
    assert found("Observation", ("value-quantity", "5.4|http://unitsofmeasure.org|mg")) == ["o"]
    assert found("Observation", ("value-quantity", "gt5||mg")) == ["o"]
    assert found("Observation", ("value-quantity", "5.4||milligram")) == ["o"]
    assert found("Observation", ("value-quantity", "5.4||kg")) == []


def test_pages_follow_each_other_without_gap_or_repeat_in_every_order() -> None:
    for number in range(7):
        date = {"authoredOn": f"2026-01-0{number // 2 + 1}"} if number < 5 else {}
        keep("Task", f"t{number}", **date)
    for sort in ("_id", "-_id", "_lastUpdated", "-_lastUpdated", "authored-on", "-authored-on"):
        everything = [match.id for match in search.search(NORTH, "Task", [("_sort", sort)]).matches]
        paged, key = [], ""
        for _page in range(4):
            page = search.search(NORTH, "Task", [("_sort", sort), ("_count", "2"), *([("_page", key)] if key else [])])
            paged += [match.id for match in page.matches]
            key = page.next
        assert paged == everything
        assert len(set(paged)) == 7
        assert key == ""
        if sort.endswith("authored-on"):
            assert set(paged[5:]) == {"t5", "t6"}, "rows without a date come last"


def test_pages_in_the_order_of_a_date_that_is_also_asked_for_follow_each_other_too() -> None:
    for number in range(5):
        keep("Task", f"t{number}", authoredOn=f"2026-01-0{number // 2 + 1}")
    keep("Task", "undated")
    params = [("_sort", "-authored-on"), ("authored-on", "ge2026"), ("_count", "3")]
    first = search.search(NORTH, "Task", params)
    second = search.search(NORTH, "Task", [*params, ("_page", first.next)])
    assert [match.id for match in first.matches + second.matches] == ["t4", "t3", "t2", "t1", "t0"]


def test_a_page_key_serves_only_its_own_query_and_caller() -> None:
    for number in range(3):
        keep("Task", f"t{number}", status="requested")
    south = Actor(id="client:south", kind="client", display="South", organization="south", scopes=NORTH.scopes)
    key = search.search(NORTH, "Task", [("_count", "1")]).next
    assert search.search(NORTH, "Task", [("_count", "1"), ("_page", key)]).matches
    for actor, params in (
        (south, [("_count", "1"), ("_page", key)]),
        (NORTH, [("_count", "1"), ("status", "requested"), ("_page", key)]),
        (NORTH, [("_sort", "_id"), ("_page", key)]),
        (NORTH, [("_page", key[:-4] + "AAAA")]),
        (NORTH, [("_page", "nonsense")]),
    ):
        with pytest.raises(Malformed):
            search.search(actor, "Task", params)


def test_a_deleted_resource_is_found_no_more() -> None:
    keep("Task", "t", status="requested")
    store.delete("Task", "t", actor=SYSTEM)
    assert found("Task") == []
    assert search.search(NORTH, "Task", [("_total", "accurate")]).total == 0


def test_counts_come_only_on_request_and_cost_one_statement(django_assert_num_queries: Any) -> None:
    for number in range(3):
        keep("Task", f"t{number}", status="requested")
    with django_assert_num_queries(1):
        page = search.search(NORTH, "Task", [("status", "requested"), ("_count", "2")])
    assert page.total is None
    with django_assert_num_queries(2):
        assert search.search(NORTH, "Task", [("_total", "accurate"), ("_count", "1")]).total == 3
    with django_assert_num_queries(1):
        counted = search.search(NORTH, "Task", [("_summary", "count")])
    assert (counted.total, counted.matches) == (3, [])
    assert search.search(NORTH, "Task", [("_total", "estimate")]).total == 3


def test_unknown_parameters_are_told_and_refused_when_strict() -> None:
    keep("Task", "t")
    unknown = ["foo", "status__in", "order_by", "_connector", "body__contains", "id__gt", "pk", "deleted", "__class__"]
    page = search.search(NORTH, "Task", [(name, "x") for name in unknown])
    assert page.ignored == tuple(unknown)
    assert [match.id for match in page.matches] == ["t"]
    assert page.used == ()
    with pytest.raises(Malformed) as refused:
        search.search(NORTH, "Task", [("foo", "x")], strict=True)
    assert refused.value.issues[0].code == "not-supported"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("_count", value) for value in ("-1", "x", "", "1.5", "٣", "1" * 40)],
        *[("_sort", value) for value in ("status", "-", "authored-on,_id", "body", "__class__")],
        *[("_total", "all"), ("_summary", "yes"), ("_include", "Task:focus"), ("_has:Task:focus:_id", "x")],
        *[("patient.name", "x"), ("status:fuzzy", "x"), ("status:missing", "maybe"), ("authored-on", "yesterday")],
        *[
            ("authored-on:not", "2026"),
            ("status", ""),
            ("status", ","),
            ("code", "a\x00"),
            ("a\x00", "b"),
            ("code", "\ud800"),
        ],
        *[("_lastUpdated", "gtx"), ("status", ",".join("x" * 1001)), ("owner:Nobody", "x")],
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(Malformed):
        search.search(NORTH, "Task", [(name, value)])


def test_too_many_parameters_are_refused_and_huge_counts_are_capped() -> None:
    with pytest.raises(Malformed):
        search.search(NORTH, "Task", [("status", "x")] * 501)
    assert search.search(NORTH, "Task", [("_count", "1000000000")]).matches == []


def test_a_change_in_this_millisecond_is_not_newer_than_itself() -> None:
    keep("Task", "t")
    at = store.read("Task", "t").last_updated
    text = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    assert found("Task", ("_lastUpdated", f"gt{text}")) == []
    assert found("Task", ("_lastUpdated", f"ge{text}")) == ["t"]
    assert found("Task", ("_lastUpdated", text)) == ["t"]
    assert found("Task", ("_lastUpdated", f"ne{text}")) == []
    assert found("Task", ("_lastUpdated", f"ap{clock.now():%Y-%m-%d}")) == ["t"]
