"""Nonsense of every kind gets an answer that a FHIR client can read, and never a 5xx."""

from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.types import TYPES
from tests.api.fhir.conftest import BROWSER, FHIR, System

TYPE_NAMES = [*sorted(TYPES), "Claim", "Nothing", "task", "OtherResource"]
NAMES = ["_id", "_lastUpdated", "_sort", "_count", "_page", "_total", "_summary", "_elements", "_format", "_include"]
NAMES += ["_has:Task:focus:_id", "_tag", "_profile", "identifier", "patient", "subject", "subject:Patient", "code"]
NAMES += ["code:not", "code:missing", "date", "authored", "name", "name:contains", "name:exact", "owner:identifier"]
NAMES += ["status__in", "pk", "_connector", "a.b.c", ":", "", ":missing", "_filter", "value-quantity", "url", "\x00"]
VALUES = ["", ",", "\\", "\\,", "|", "a|", "||", "|||", "a|b|c", "%", "_", "'", '"', "; DROP TABLE x", "\x00", "\ud7ff"]
VALUES += ["0", "-1", "1e999999", "NaN", "9" * 40, "ge", "gt2026", "ap2026", "eq0001", "lt9999", "9999-12-31T23:59:59Z"]
VALUES += ["0000", "2026-02-31", "2026-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00", "ap0001", "ap9999-12-31"]
VALUES += ["true", "Patient/1", "Patient/", "/", "http://", "urn:uuid:x", "#x", "x" * 3000, "é", "𝔘", "\u202e"]
BODIES = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    "[" * 5000,
    '{"resourceType":"Task"}',
    '{"resourceType":["Task"]}',
    '{"id":1e999999}',
]
BODIES += [
    '{"resourceType":"Task","id":{},"meta":[]}',
    '{"resourceType":"Task","meta":{"tag":5},"for":"x"}',
    "\x00",
    "\ufeff",
]
BODIES += ['{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":5},"code":{"coding":{}}}']
BODIES += ['{"resourceType":"Task","status":"requested","intent":"order","contained":[{"resourceType":"Nothing"}]}']
HEADERS = {
    "Accept": ["", "*/*", "application/fhir+json;q=x", "a/b/c", "/", ";;", "text/xml"],
    "Content-Type": ["", FHIR, "application/json", "x", "application/fhir+json; charset=utf-16", "multipart/form-data"],
    "If-Match": ["", "x", 'W/"1"', "W/", "9" * 30],
    "If-None-Match": ["", "*", '"x"', "1"],
    "If-None-Exist": ["", "x", "?", "_count=1", "identifier=1"],
    "Prefer": ["", "handling=strict", "return=", "return=nothing", ";;=,"],
    "X-Request-ID": ["", "x" * 500, "é"],
}

parameters = st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.text(max_size=20)))
queries = st.lists(parameters, max_size=4).map(
    lambda pairs: "&".join(
        f"{quote(name, safe=':')}={quote(value.encode('utf-8', 'replace'))}" for name, value in pairs
    )
)
ids = st.one_of(
    st.sampled_from(["x", "1", "_search", "$op", "..", "%00", "%ff", "_history", "a" * 65]),
    st.text(max_size=5).map(quote),
)
paths = st.builds("/".join, st.tuples(st.sampled_from(TYPE_NAMES)) | st.tuples(st.sampled_from(TYPE_NAMES), ids))
headers = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in HEADERS.items()})
requests = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]), paths, queries, headers, st.sampled_from(BODIES)
)


def test_no_request_is_too_strange_for_an_answer(north: System) -> None:
    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(requests)
    def answered(request: tuple[str, str, str, dict[str, str], str]) -> None:
        method, path, query, more, body = request
        content_type = more.pop("Content-Type", FHIR)
        sent = {**north.headers(), **more}
        answer = BROWSER.generic(method, f"/fhir/{path}?{query}", body, content_type, headers=sent)
        assert answer.status_code < 500, (answer.status_code, answer.content)
        if answer.status_code >= 400:
            assert answer.json()["resourceType"] == "OperationOutcome"

    answered()
