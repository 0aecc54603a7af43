"""Law 9: what was sent is kept exactly; a write that changes nothing writes nothing."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from records import dates, store
from records.access import SYSTEM, Actor
from records.errors import Incorrect
from records.models import Version

PARTNER = Actor(id="partner:1", kind="partner", display="An EHR", organization="north")

integers = some.integers(-(10**30), 10**30).map(str)
decimals = some.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=6).map(
    str
)
exponents = some.tuples(some.integers(-999, 999), some.sampled_from("eE"), some.integers(-300, 300)).map(
    lambda parts: f"{parts[0]}{parts[1]}{parts[2]}"
)
numbers = some.one_of(integers, decimals, exponents).filter(lambda text: "E" not in text[:1])
texts = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
leaves = some.one_of(numbers.map(lambda text: ("number", text)), texts, some.booleans(), some.none())
trees = some.recursive(
    leaves,
    lambda inner: some.one_of(some.lists(inner, max_size=4), some.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)


def written_out(value: Any) -> str:
    """JSON text with the numbers as they are."""
    if isinstance(value, tuple):
        return str(value[1])
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written_out(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written_out(item) for item in value) + "]"
    return json.dumps(value)


def lexical(text: str) -> Any:
    def number(given: str) -> tuple[str, str]:
        return ("number", given)

    return json.loads(text, parse_float=number, parse_int=number)


class TestWhatWasSentIsKept(TestCase):
    """Whatever an EHR puts into elements that nobody knows."""

    @settings(max_examples=60, deadline=None)
    @given(trees)
    def test_every_number_text_and_unknown_element_survives(self, tree: Any) -> None:
        raw = f'{{"resourceType":"Task","status":"draft","intent":"order","unheardOf":{written_out(tree)}}}'.encode()
        body = store.parse(raw)

        kept = store.write(body, actor=PARTNER)

        assert lexical(store.read("Task", kept.id).body)["unheardOf"] == lexical(raw.decode())["unheardOf"]
        assert not store.write(store.get("Task", kept.id), actor=PARTNER).changed

    @settings(max_examples=60, deadline=None)
    @given(some.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=4))
    def test_a_decimal_keeps_its_zeros_and_is_still_found_by_its_value(self, value: Decimal) -> None:
        raw = (
            '{"resourceType":"Observation","id":"weight","status":"final","code":{"text":"weight"},'
            f'"valueQuantity":{{"value":{value},"unit":"kg"}}}}'
        )
        kept = store.write(store.parse(raw.encode()), actor=SYSTEM)
        assert f'"value":{value},' in kept.body


TASK = {"resourceType": "Task", "id": "t", "status": "draft", "intent": "order", "description": "x"}


@pytest.mark.django_db
def test_the_order_of_keys_and_our_own_elements_of_meta_make_no_new_version() -> None:
    store.write(TASK, actor=SYSTEM)

    again = store.write({**dict(reversed(TASK.items())), "meta": {"versionId": "7"}}, actor=SYSTEM)

    assert (again.changed, again.version) == (False, 1)
    assert Version.objects.filter(resource_id="t").count() == 1


@pytest.mark.django_db
def test_the_rest_of_meta_is_the_senders() -> None:
    sent = {**TASK, "meta": {"versionId": "99", "source": "urn:ehr", "tag": [{"code": "a"}]}}

    meta = store.get("Task", store.write(sent, actor=SYSTEM).id)["meta"]

    assert (meta["versionId"], meta["source"], meta["tag"]) == ("1", "urn:ehr", [{"code": "a"}])


@pytest.mark.django_db
def test_a_misspelt_element_is_kept_from_a_partner_and_refused_from_everybody_else() -> None:
    misspelt = {**TASK, "stattus": "draft"}

    assert '"stattus":"draft"' in store.write(misspelt, actor=PARTNER).body
    with pytest.raises(Incorrect) as refusal:
        store.write(misspelt, actor=SYSTEM)

    assert refusal.value.issues[0].expression == "Task.stattus"


@pytest.mark.django_db
def test_a_script_in_a_narrative_is_kept_as_text() -> None:
    story = '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>'
    sent = {**TASK, "text": {"status": "generated", "div": story}}

    assert store.get("Task", store.write(sent, actor=SYSTEM).id)["text"]["div"] == story


@pytest.mark.django_db
@pytest.mark.parametrize("letter", ["x", "я", "😀"])
def test_a_text_longer_than_any_index_takes_is_kept_whole(letter: str) -> None:
    long = letter * 50_000
    sent = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": "urn:s", "value": long}],
        "name": [{"family": long}],
        "managingOrganization": {"reference": f"http://example.org/{long}"},
    }

    store.write(sent, actor=SYSTEM)

    assert store.get("Patient", "p")["name"] == [{"family": long}]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "2024-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
        ("2024-02", "2024-02-01T00:00:00+00:00", "2024-03-01T00:00:00+00:00"),
        ("2024-12-31", "2024-12-31T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
        ("2024-02-03T23:30:00-05:00", "2024-02-04T04:30:00+00:00", "2024-02-04T04:30:01+00:00"),
        ("2024-02-03T10:00:00.5Z", "2024-02-03T10:00:00.500000+00:00", "2024-02-03T10:00:00.600000+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00", "2017-01-01T00:00:00+00:00"),
        ("9999-12-31", "9999-12-31T00:00:00+00:00", "9999-12-31T00:00:00+00:00"),
    ],
)
def test_a_date_is_a_range_as_long_as_it_is_precise(text: str, low: str, high: str) -> None:
    found = dates.period_of(text)

    assert found is not None
    assert (found[0].isoformat(), found[1].isoformat()) == (low, high)
