"""What can't be read is refused in plain words, at once, before anything recurses or converts."""

import time
from contextlib import suppress

import pytest

from records import store, validation
from records.errors import BatonError, Incorrect, Malformed, Unsupported
from records.json import Resource


def wrapped(value: str) -> bytes:
    return f'{{"resourceType":"Task","x":{value}}}'.encode()


TRAPS = {
    "an exponent that takes 39 seconds": wrapped("1e999999"),
    "an exponent longer than a number": wrapped("1e" + "9" * 5000),
    "5,000 digits": wrapped("1" * 5000),
    "NaN": wrapped("NaN"),
    "Infinity": wrapped("-Infinity"),
    "5,000 brackets": b"[" * 5000,
    "5,000 objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "brackets in a string that never ends": b'{"a":' * 60 + b'["' + b'\\"[' * 500_000,
    "NUL": wrapped('"\\u0000"'),
    "NUL in a name": wrapped('{"\\u0000":1}'),
    "half a surrogate pair": wrapped('"\\ud800"'),
    "the same element twice": b'{"resourceType":"Task","status":"draft","status":"accepted"}',
    "a byte order mark": b"\xef\xbb\xbf" + wrapped("1"),
    "another encoding": '{"resourceType":"Task"}'.encode("utf-16"),
    "a list": b"[]",
    "a word": b'"Task"',
    "no type": b"{}",
    "a type that is no text": b'{"resourceType":["Task"]}',
    "nothing": b"",
    "half a resource": b'{"resourceType":',
    "more than the limit": wrapped('"' + "x" * 10_000_000 + '"'),
}


@pytest.mark.parametrize("raw", TRAPS.values(), ids=TRAPS)
def test_a_trap_is_refused_at_once(raw: bytes) -> None:
    begun = time.perf_counter()

    with pytest.raises(Malformed) as refusal:
        store.parse(raw)

    assert time.perf_counter() - begun < 2
    assert refusal.value.message.endswith(".")


def test_what_only_looks_like_a_trap_comes_through() -> None:
    body = store.parse('{"resourceType":"Task","description":"[[[{{{ \\ud83d\\ude00 \\\\u0000 Ω"}'.encode())

    assert body["description"] == "[[[{{{ 😀 \\u0000 Ω"


def test_the_deepest_that_is_taken_is_told_from_the_next_whatever_its_texts_hold() -> None:
    def nested(levels: int) -> bytes:
        return wrapped('["a\\\\","]\\"}",{"b":' * levels + '"[[["' + "}]" * levels)

    assert store.parse(nested(49))
    with pytest.raises(Malformed, match="deeper than 100 levels"):
        store.parse(nested(50))


ELEMENTS: dict[str, tuple[Resource, str]] = {
    "a status that isn't one": ({"status": "acepted"}, "Task.status"),
    "no intent": ({"intent": ...}, "Task.intent"),
    "one where a list is needed": ({"note": {"text": "x"}}, "Task.note"),
    "a list where one is needed": ({"code": [{"text": "x"}]}, "Task.code"),
    "a text where an object is needed": ({"code": "x"}, "Task.code"),
    "an empty object": ({"code": {}}, "Task.code"),
    "an empty list": ({"note": []}, "Task.note"),
    "null": ({"description": None}, "Task.description"),
    "an empty text": ({"description": ""}, "Task.description"),
    "a day that isn't": ({"authoredOn": "2024-02-30"}, "Task.authoredOn"),
    "a time without a zone": ({"authoredOn": "2024-02-03T10:00:00"}, "Task.authoredOn"),
    "a reference to the wrong type": ({"encounter": {"reference": "Patient/1"}}, "Task.encounter.reference"),
    "a reference with a new line": ({"for": {"reference": "Patient/1\r\nX: y"}}, "Task.for.reference"),
    "two values of a choice": (
        {"input": [{"type": {"text": "x"}, "valueString": "a", "valueCode": "b"}]},
        "Task.input[0].valueString",
    ),
    "no value of a choice": ({"output": [{"type": {"text": "x"}}]}, "Task.output[0].value[x]"),
    "an extension with neither": ({"extension": [{"url": "urn:x"}]}, "Task.extension[0]"),
    "a period that ends before it starts": (
        {"executionPeriod": {"start": "2024-02-04", "end": "2024-02-03"}},
        "Task.executionPeriod",
    ),
    "an id with a slash": ({"id": "a/b"}, "Task.id"),
    "a contained type that nobody knows": (
        {"contained": [{"resourceType": "Foo", "id": "a"}]},
        "Task.contained[0].resourceType",
    ),
    "a contained resource that is wrong": (
        {"contained": [{"resourceType": "Patient", "id": "a", "gender": "x"}]},
        "Task.contained[0].gender",
    ),
    "an element that R4 doesn't know": ({"unheardOf": 1}, "Task.unheardOf"),
    "a type within the resource": ({"code": {"resourceType": "Task"}}, "Task.code.resourceType"),
    "meta that is no object": ({"meta": "x"}, "Task.meta"),
}


@pytest.mark.parametrize(("change", "element"), ELEMENTS.values(), ids=ELEMENTS)
def test_what_is_wrong_is_refused_by_the_name_of_its_element(change: Resource, element: str) -> None:
    body = {"resourceType": "Task", "status": "draft", "intent": "order", **change}

    with pytest.raises(Incorrect) as refusal:
        validation.check({key: value for key, value in body.items() if value is not ...})

    assert refusal.value.issues[0].expression == element
    assert element in refusal.value.message


RIGHT: dict[str, Resource] = {
    "a value told absent by an extension": {
        "resourceType": "Task",
        "_status": {"extension": [{"url": "urn:absent", "valueCode": "unknown"}]},
        "intent": "order",
    },
    "a place in a list held by null": {
        "resourceType": "Patient",
        "name": [{"given": [None, "Ana"], "_given": [{"id": "x"}, None]}],
    },
    "a leap second and a partial date": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "effectivePeriod": {"start": "2016", "end": "2016-12-31T23:59:60Z"},
    },
    "a type that we declare nothing for": {"resourceType": "Claim", "id": "c", "whatever": {"it": ["is"]}},
    "an extension with a Meta, which only R4 has": {
        "resourceType": "Task",
        "status": "draft",
        "intent": "order",
        "extension": [{"url": "urn:x", "valueMeta": {"source": "urn:ehr"}}],
    },
}


@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT)
def test_what_is_valid_is_never_refused(body: Resource) -> None:
    validation.check(body)


def test_no_body_however_odd_breaks_the_check() -> None:
    odd: list[object] = [
        None,
        True,
        "x",
        [],
        [[]],
        {},
        {"x": None},
        1,
        [None],
        [{"coding": "x"}],
        {"coding": [1]},
        {"reference": 1},
    ]
    elements = ["meta", "for", "code", "note", "contained", "extension", "status", "_status", "input", "id", "text"]
    for element in elements:
        for value in odd:
            with suppress(BatonError):
                validation.check({"resourceType": "Task", "status": "draft", "intent": "order", element: value})


def test_a_type_that_is_not_of_r4_is_not_supported() -> None:
    with pytest.raises(Unsupported):
        validation.check({"resourceType": "NutritionProduct"})
