"""A Bundle comes in as a whole, with its references leading to where its resources are."""

import threading
from typing import Any

import pytest
from django.db import connection

from records import store
from records.access import SYSTEM
from records.errors import Incorrect
from records.json import Resource
from records.types import row_class

A, B = "urn:uuid:00000000-0000-4000-8000-00000000000a", "urn:uuid:00000000-0000-4000-8000-00000000000b"


def entry(full_url: str, resource: Resource, **request: str) -> dict[str, Any]:
    return {"fullUrl": full_url, "resource": resource, **({"request": request} if request else {})}


def bundle(kind: str, *entries: dict[str, Any]) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def task(**content: Any) -> Resource:
    return {"resourceType": "Task", "status": "draft", "intent": "order", **content}


def practitioner(value: str) -> Resource:
    return {"resourceType": "Practitioner", "identifier": [{"system": "urn:npi", "value": value}]}


@pytest.mark.django_db
def test_references_go_forward_and_back_and_in_circles() -> None:
    one, other = store.put_bundle(
        bundle(
            "transaction",
            entry(A, task(partOf=[{"reference": B}])),
            entry(B, task(partOf=[{"reference": A}], focus={"reference": B})),
        ),
        actor=SYSTEM,
    )

    assert store.get("Task", one.id)["partOf"] == [{"reference": f"Task/{other.id}"}]
    assert store.get("Task", other.id)["partOf"] == [{"reference": f"Task/{one.id}"}]
    assert row_class("Task").rows("Task").get(id=other.id).focus == f"Task/{other.id}"


@pytest.mark.django_db
def test_a_reference_by_identifier_is_looked_up_here() -> None:
    known = store.write(practitioner("17"), actor=SYSTEM)
    sent = bundle("batch", entry(A, task(requester={"reference": "Practitioner?identifier=urn:npi|17"})))

    (written,) = store.put_bundle(sent, actor=SYSTEM)

    assert store.get("Task", written.id)["requester"] == {"reference": f"Practitioner/{known.id}"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "reference", ["Practitioner?identifier=urn:npi|18", "urn:uuid:00000000-0000-4000-8000-00000000000c"]
)
def test_a_reference_that_leads_nowhere_refuses_the_whole_bundle_by_name(reference: str) -> None:
    sent = bundle("transaction", entry(A, practitioner("1")), entry(B, task(requester={"reference": reference})))

    with pytest.raises(Incorrect) as refusal:
        store.put_bundle(sent, actor=SYSTEM)

    assert refusal.value.issues[0].expression == "Bundle.entry[1].resource.requester.reference"
    assert not row_class("Practitioner").rows("Practitioner").exists()


@pytest.mark.django_db
def test_what_is_here_already_is_not_created_twice_and_is_referred_to() -> None:
    known = store.write(practitioner("17"), actor=SYSTEM)
    sent = bundle(
        "transaction",
        entry(A, practitioner("17"), method="POST", url="Practitioner", ifNoneExist="identifier=urn:npi|17"),
        entry(B, task(requester={"reference": A})),
    )

    (written,) = store.put_bundle(sent, actor=SYSTEM)

    assert store.get("Task", written.id)["requester"] == {"reference": f"Practitioner/{known.id}"}
    assert len(store.find_by_identifier("Practitioner", "urn:npi", "17")) == 1


@pytest.mark.usefixtures("commits")
def test_ten_senders_at_once_create_it_once() -> None:
    sent = bundle(
        "transaction",
        entry(A, practitioner("17"), method="POST", url="Practitioner", ifNoneExist="identifier=urn:npi|17"),
    )
    start = threading.Barrier(10)

    def send() -> None:
        start.wait()
        try:
            store.put_bundle(sent, actor=SYSTEM)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.find_by_identifier("Practitioner", "urn:npi", "17")) == 1


@pytest.mark.django_db
def test_an_invalid_entry_refuses_the_whole_bundle() -> None:
    sent = bundle("collection", entry(A, practitioner("1")), entry(B, task(status="wrong")))

    with pytest.raises(Incorrect):
        store.put_bundle(sent, actor=SYSTEM)


@pytest.mark.django_db
def test_a_document_and_a_question_are_kept_as_they_are() -> None:
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2024",
        "author": [{"reference": "Practitioner/1"}],
        "title": "x",
    }
    document = bundle("document", entry(A, composition))
    question = {**bundle("batch"), "entry": [{"request": {"method": "GET", "url": "Patient/1"}}]}

    for sent in (document, question):
        (written,) = store.put_bundle(sent, actor=SYSTEM)
        assert written.type == "Bundle"
        assert store.get("Bundle", written.id)["entry"] == sent["entry"]


@pytest.mark.django_db
def test_a_command_to_delete_is_refused_by_its_entry() -> None:
    sent = bundle("transaction", entry(A, practitioner("1")), {"request": {"method": "DELETE", "url": "Task/1"}})

    with pytest.raises(Incorrect) as refusal:
        store.put_bundle(sent, actor=SYSTEM)

    assert refusal.value.issues[0].expression == "Bundle.entry[1].resource"


@pytest.mark.django_db
def test_a_history_is_taken_in_from_its_oldest_version() -> None:
    newest, oldest = ({**task(status=status), "id": "t"} for status in ("accepted", "requested"))

    store.put_bundle(bundle("history", entry("", newest), entry("", oldest)), actor=SYSTEM)

    assert '"status":"requested"' in store.version("Task", "t", 1).body
    assert '"status":"accepted"' in store.read("Task", "t").body


@pytest.mark.django_db
@pytest.mark.parametrize("entries", [{"a": 1}, [1], [{"resource": {"id": "x"}}], [{"resource": {"resourceType": 1}}]])
def test_odd_entries_are_refused_and_break_nothing(entries: Any) -> None:
    sent = {"resourceType": "Bundle", "type": "collection", "entry": entries}

    with pytest.raises(Incorrect) as refusal:
        store.put_bundle(sent, actor=SYSTEM)

    assert refusal.value.issues[0].expression.startswith("Bundle.entry")
