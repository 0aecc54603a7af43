"""The first order that a partner addresses to an organisation of ours is heard, though nothing is linked with it yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner, Watermark
from fhir_bridge.sharing.addressees import BELONGING
from records import clock
from referrals import adoption
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import HOSPITAL, MRN, PRACTICE, REGISTER, Story, keep

FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
CARDIOLOGY = {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}


def ask(ehr: FakeEhr, story: Story, whom: dict[str, Any], what: dict[str, Any] = CARDIOLOGY) -> None:
    """The hospital orders cardiology for Ana, by a request and a Task."""
    for id_, name in (("us", PRACTICE), ("them", HOSPITAL), ("others", "clinic")):
        named = [{"system": REGISTER, "value": f"{name}-{story.run}"}]
        ehr.put({"resourceType": "Organization", "id": id_, "identifier": named, "name": name})
    ehr.put({"resourceType": "Patient", "id": "p1", "identifier": [{"system": MRN, "value": f"4711-{story.run}"}]})
    asked: dict[str, Any] = {"intent": "order", "requester": {"reference": "Organization/them"}}
    patient = {"reference": "Patient/p1"}
    order = {"status": "active", "code": what, "subject": patient, "performer": [whom]}
    ehr.put({"resourceType": "ServiceRequest", "id": "sr1", **asked, **order})
    task = {"status": "requested", "code": FULFILL, "focus": {"reference": "ServiceRequest/sr1"}, "for": patient}
    ehr.put({"resourceType": "Task", "id": "t1", **asked, **task, "owner": whom})


def take(partner: Partner) -> None:
    polling.poll(partner)
    applying.apply_pending(partner)


def later(partner: Partner, ehr: FakeEhr, minutes: int) -> None:
    """A round at a later time of both clocks."""
    ehr.skew = timedelta(minutes=minutes)
    with clock.at(datetime.now(UTC) + ehr.skew):
        take(partner)


def read(ehr: FakeEhr, path: str) -> int:
    return sum((request.verb, request.path) == ("GET", path) for request in ehr.requests)


def opened() -> list[tuple[str, str, str]]:
    """Of each order: who has placed it, and who has it now at what stage."""
    handoffs = Handoff.objects.filter(kind="fulfil", closed_at=None)
    return list(handoffs.values_list("loop__placer", "owner__organization", "stage"))


def test_the_first_order_that_is_addressed_to_us_is_opened(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"reference": "Organization/us"})

    take(hospital)

    [(placer, _owner, _stage)] = opened()
    assert placer == HOSPITAL
    assert Link.objects.filter(type="Organization", remote_id="us", local_id=PRACTICE).exists()
    assert Link.objects.filter(type="Task", remote_id="t1").exists()


PARTS = {"PractitionerRole": "organization", "HealthcareService": "providedBy"}


@pytest.mark.parametrize("type_", PARTS)
@pytest.mark.parametrize(
    "whose",
    [{"reference": "Organization/us"}, {"identifier": {"system": REGISTER, "value": PRACTICE}}],
    ids=["by its id", "by an identifier"],
)
def test_it_is_opened_where_a_role_or_a_service_of_ours_is_named(
    type_: str, whose: dict[str, Any], story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    if "identifier" in whose:
        whose = {"identifier": {"system": REGISTER, "value": f"{PRACTICE}-{story.run}"}}
    ehr.put({"resourceType": type_, "id": "part", PARTS[type_]: whose})
    ehr.put({"resourceType": type_, "id": "another", PARTS[type_]: {"reference": "Organization/others"}})
    ask(ehr, story, {"reference": f"{type_}/another"})
    take(hospital)
    assert not Inbox.objects.exists()

    ask(ehr, story, {"reference": f"{type_}/part"})
    with ehr.refusing(Answer(500), "GET", type_):
        later(hospital, ehr, minutes=10)
    assert not opened()
    for minutes in (120, 130):  # it can be read; so the orders are read again
        later(hospital, ehr, minutes)

    [(placer, owner, _stage)] = opened()
    assert (placer, owner) == (HOSPITAL, PRACTICE)


def test_an_order_of_no_kind_that_we_know_is_listed_for_a_coordinator_to_adopt(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"}, what={"text": "Meals at home"})
    take(hospital)
    later(hospital, ehr, minutes=5)

    assert not opened()
    [listed] = adoption.listed(story.nina, clock.now()).rows
    assert (listed.title, listed.placer) == ("Meals at home", HOSPITAL)
    [done] = adoption.adopt(story.nina, [listed.request])
    assert (done.refused, opened()[0][:2]) == ("", (HOSPITAL, PRACTICE))


def test_it_is_opened_where_we_are_named_by_an_identifier_alone(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"identifier": {"system": REGISTER, "value": f"{PRACTICE}-{story.run}"}})

    take(hospital)

    [(placer, _owner, _stage)] = opened()
    assert placer == HOSPITAL


@pytest.mark.parametrize(
    "whom",
    [{"reference": "Organization/others"}, {"identifier": {"system": REGISTER, "value": "clinic"}}, {"display": "Us"}],
)
def test_an_order_for_others_is_forgotten_and_they_are_asked_for_once(
    whom: dict[str, Any], story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, whom)

    take(hospital)
    take(hospital)

    assert not Inbox.objects.exists()
    assert not Loop.objects.exists()
    assert read(ehr, "Organization/others") == int("reference" in whom)


def test_an_organisation_that_can_not_be_read_for_a_while_is_asked_for_again(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    with ehr.refusing(Answer(500), "GET", "Organization/us"):
        take(hospital)
    assert opened() == []

    take(hospital)

    assert len(opened()) == 1


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(403), Answer(404), Answer(text="<html>")], ids=lambda one: str(one.status)
)
def test_whom_an_order_is_addressed_to_may_be_unreadable_for_long(
    answer: Answer, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    with ehr.refusing(answer, "GET", "Organization/us"):
        for minutes in (0, 20, 40, 70):
            later(hospital, ehr, minutes)
    assert opened() == []
    assert Inbox.objects.get(type="Organization").state == Inbox.State.WAITING, "and it is visible"
    assert not Inbox.objects.exclude(type="Organization").exists(), "of the orders nothing is kept"

    later(hospital, ehr, 75)
    later(hospital, ehr, 80)

    assert len(opened()) == 1
    assert not Inbox.objects.filter(state=Inbox.State.WAITING).exists()


def test_who_turns_out_to_be_somebody_else_leaves_nothing_behind(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"reference": "Organization/others"})
    with ehr.refusing(Answer(500), "GET", "Organization/others"):
        later(hospital, ehr, 0)
    mark = Watermark.objects.get(type="Task").until

    later(hospital, ehr, 20)

    assert not Inbox.objects.filter(state__in=("pending", "waiting")).exists()
    assert opened() == []
    assert Watermark.objects.get(type="Task").until > mark


def test_while_somebody_reads_the_orders_they_are_not_read_again(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    with ehr.refusing(Answer(500), "GET", "Organization/us"):
        later(hospital, ehr, 0)
    Watermark.objects.filter(type="Task").update(lease_until=clock.now() + timedelta(days=1))
    later(hospital, ehr, 20)
    assert Inbox.objects.filter(type="Organization", version_id="", state=Inbox.State.WAITING).exists()

    Watermark.objects.filter(type="Task").update(lease_until=None)
    later(hospital, ehr, 25)
    later(hospital, ehr, 30)

    assert len(opened()) == 1


@pytest.mark.parametrize("use", [{}, [], 7, None])
def test_an_order_whose_addressee_is_nonsense_keeps_nothing_else_from_coming(
    use: Any, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    odd = {"resourceType": "Task", "id": "odd", "status": "requested", "intent": "order"}
    ehr.put(odd | {"owner": {"identifier": {"system": "urn:x", "value": "y", "use": use}}})

    take(hospital)

    assert len(opened()) == 1


@pytest.mark.parametrize("how", ["our address", "our identifier", "contained"])
def test_it_is_opened_however_we_are_named(how: str, story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    own = f"https://baton-{story.run}.example"
    named = {"system": f"{own}/id/organization", "value": PRACTICE}
    ways: dict[str, dict[str, Any]] = {
        "our address": {"reference": f"{own}/fhir/Organization/{PRACTICE}"},
        "our identifier": {"type": "Organization", "identifier": named},
        "contained": {"reference": "#us"},
    }
    ask(ehr, story, ways[how])
    if how == "contained":
        registered = [{"system": REGISTER, "value": f"{PRACTICE}-{story.run}"}]
        within = [{"resourceType": "Organization", "id": "us", "identifier": registered}]
        for type_ in ("ServiceRequest", "Task"):
            ehr.put(ehr.all(type_)[0] | {"contained": within})

    take(hospital)

    [(placer, _owner, _stage)] = opened()
    assert placer == HOSPITAL


@pytest.mark.parametrize("type_", ["HealthcareService", "PractitionerRole", ""])
def test_it_is_opened_where_a_service_of_ours_is_named_by_an_identifier_alone(
    type_: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    number = {"system": "https://directory.example/services", "value": "17"}
    kind = type_ or "HealthcareService"
    house = {BELONGING[kind]: {"reference": f"Organization/{PRACTICE}"}}
    keep({"resourceType": kind, "id": "part", "identifier": [number], **house})
    ask(ehr, story, {"identifier": number, **({"type": type_} if type_ else {})})

    take(hospital)

    assert [one[:2] for one in opened()] == [(HOSPITAL, PRACTICE)]


@pytest.mark.parametrize("is_request", [True, False], ids=["in the request", "in the Task alone"])
def test_it_is_opened_where_nobody_is_named_and_the_place_is_ours(
    story: Story, hospital: Partner, ehr: FakeEhr, *, is_request: bool
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    place = {"reference": "Location/room"}
    ehr.put({"resourceType": "Location", "id": "room", "managingOrganization": {"reference": "Organization/us"}})
    for type_, element in (("ServiceRequest", "performer"), ("Task", "owner")):
        ehr.put({name: value for name, value in ehr.all(type_)[0].items() if name != element})
    if is_request:
        ehr.put(ehr.all("ServiceRequest")[0] | {"locationReference": [place]})
    ehr.put(ehr.all("Task")[0] | {"location": place})

    take(hospital)

    assert [one[:2] for one in opened()] == [(HOSPITAL, PRACTICE)]
    assert Link.objects.get(type="Task").local_id == Handoff.objects.get(kind="fulfil").id


def test_a_place_says_nothing_where_somebody_else_is_asked(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"reference": "Organization/others"})
    ehr.put({"resourceType": "Location", "id": "room", "managingOrganization": {"reference": "Organization/us"}})
    ehr.put(ehr.all("ServiceRequest")[0] | {"locationReference": [{"reference": "Location/room"}]})

    take(hospital)

    assert not Inbox.objects.exists()
