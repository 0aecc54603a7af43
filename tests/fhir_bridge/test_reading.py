"""Who reads what of a partner, from where to where: shared by workers, gone on with after a death, by the partner's clock."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import Answer, Body, FakeEhr, Request
from fhir_bridge import operations, tasks
from fhir_bridge.inbound import applying, polling, reconciling, watermarks
from fhir_bridge.models import Inbox, Link, Partner, Reconciliation, Watermark
from fhir_bridge.outbound import pushing
from fhir_bridge.sharing import relevance
from records import clock, errors, store
from records.access import SYSTEM
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.fhir_bridge.shelf import put_at
from tests.fhir_bridge.story import GP, HOSPITAL, MRN, PRACTICE, Story, keep, promise, request_for_ana

Put = Callable[..., dict[str, Any]]


@pytest.fixture
def put(story: Story, hospital: Partner, ehr: FakeEhr) -> Put:
    """Write an observation about Ana's request at the hospital, of an instant of its clock."""
    story.refer()
    pushing.run_once(hospital)
    request, patient = (Link.objects.get(type=type_).remote_id for type_ in ("ServiceRequest", "Patient"))
    ehr.shelf.tick = timedelta(milliseconds=5)

    def write(id_: str, at: datetime | None = None, value: str = "first") -> dict[str, Any]:
        body = {
            "resourceType": "Observation",
            "id": id_,
            "status": "final",
            "code": {"text": value},
            "subject": {"reference": f"Patient/{patient}"},
            "basedOn": [{"reference": f"ServiceRequest/{request}"}],
        }
        return ehr.put(body) if at is None else put_at(ehr, body, at)

    return write


def taken() -> list[str]:
    return sorted(Inbox.objects.filter(type="Observation").values_list("remote_id", flat=True))


def searches(ehr: FakeEhr, type_: str = "Observation") -> list[dict[str, str]]:
    return [dict(request.query) for request in ehr.requests if (request.verb, request.path) == ("GET", type_)]


@contextmanager
def skewed(ehr: FakeEhr, by: timedelta) -> Iterator[None]:
    """Within, its clock is off."""
    ehr.skew = by
    try:
        yield
    finally:
        ehr.skew = timedelta()


def test_a_reader_that_failed_is_taken_up_where_it_was(put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    ehr.page = 3
    for number in range(9):
        put(f"o{number}")
    busy = Answer(429, headers={"Retry-After": "60"})

    def third_fails(request: Request, honest: Answer) -> Answer:
        return busy if request.path == "Observation" and len(searches(ehr)) >= 3 else honest

    with ehr.faulty(third_fails), pytest.raises(errors.Throttled):
        polling.poll(hospital)
    hospital.refresh_from_db()
    before = taken()
    mark = Watermark.objects.get(type="Observation")
    assert (len(before), mark.lease_until) == (5, None)
    assert polling.poll(hospital) == 0, "it asked us to wait"

    ehr.requests.clear()
    with clock.at(clock.now() + timedelta(seconds=61)):
        polling.poll(hospital)
    assert taken() == [f"o{number}" for number in range(9)]
    assert mark.reached is not None
    first = next(value for name, value in ehr.requests[1].query if name == "_lastUpdated")
    assert datetime.fromisoformat(first[2:]) == mark.reached
    mark.refresh_from_db()
    assert mark.reached is None


def test_a_type_of_a_dead_reader_is_taken_over_and_the_dead_can_not_move_the_mark(
    put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    put("o1")
    watermarks.ensure(hospital, relevance.POLLED)
    now = clock.now()
    dead = watermarks.claim(hospital, ["Observation"], now + timedelta(seconds=2), read_before=now)
    assert dead is not None

    polling.poll(hospital)
    assert taken() == [], "somebody reads it"
    with clock.at(now + timedelta(seconds=watermarks.LEASE_SECONDS + 1)):
        polling.poll(hospital)
        assert taken() == ["o1"]
        with pytest.raises(errors.Conflict):
            watermarks.finish(dead, now)


def test_workers_at_once_do_not_read_a_type_twice(put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    put("o1")
    polling.poll(hospital)
    ehr.requests.clear()
    polling.poll(hospital, unless_read_since=timedelta(seconds=5))
    assert searches(ehr) == []


def test_a_type_that_can_not_be_read_holds_up_no_other(put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    put("o1")
    for _round in range(2):
        with ehr.refusing(Answer(500), "GET", "Encounter"), pytest.raises(errors.Unavailable):
            polling.poll(hospital)
    assert taken() == ["o1"]
    assert Watermark.objects.get(type="Encounter").read_at is None


def test_a_type_that_can_not_be_read_keeps_nothing_that_came_from_being_applied(
    put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    put("o1")
    with ehr.refusing(Answer(500), "GET", "Encounter"):
        tasks.pull(hospital.pk)
    assert Inbox.objects.get(type="Observation").state == Inbox.State.APPLIED
    hospital.refresh_from_db()
    assert hospital.last_error == "The partner answered 500."


@pytest.mark.parametrize(
    "answer",
    [Answer(500), Answer(400), Answer(text="<html></html>", headers={"Content-Type": "text/html"})],
    ids=["500", "400", "a page"],
)
def test_where_tasks_can_not_be_searched_the_other_types_are_read(
    answer: Answer, put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    put("o1")
    with ehr.refusing(answer, "GET", "Task"), pytest.raises(errors.BatonError):
        polling.poll(hospital)
    assert taken() == ["o1"]


def unnumbered(_request: Request, honest: Answer) -> Answer:
    """A façade: nothing has a version."""

    def plain(body: dict[str, Any]) -> dict[str, Any]:
        if body["resourceType"] == "Bundle":
            return body | {"entry": [each | {"resource": plain(each["resource"])} for each in body["entry"]]}
        return body | {"meta": {"lastUpdated": body["meta"]["lastUpdated"]}} if "meta" in body else body

    return replace(honest, body=plain(honest.body) if honest.body else None, headers={})


@pytest.mark.parametrize("is_given_up", [False, True])
def test_what_is_quarantined_stays_one_where_each_reading_tells_another_time(
    is_given_up: bool, put: Put, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    def read_at(minutes: int, body: dict[str, Any]) -> None:
        at = timedelta(minutes=minutes)
        with ehr.faulty(unnumbered), skewed(ehr, at), clock.at(datetime.now(UTC) + at):
            ehr.put(body)  # the façade's instant is that of the reading
            tasks.pull(hospital.pk)

    items = Inbox.objects.filter(type="Observation")
    good = put("o1")
    wrong = good | {"effectiveDateTime": "tomorrow"}
    read_at(1, wrong)
    if is_given_up:
        mend = Handoff.objects.get(loop=items.get().mend_loop)
        workflow.perform(mend.pk, "discard", story.nina, data={"reason": "not-worth-sending"})
    for minutes in (2, 3, 4):
        read_at(minutes, wrong)
    assert items.get().state == (Inbox.State.DISCARDED if is_given_up else Inbox.State.QUARANTINED)

    read_at(5, good)
    read_at(6, wrong)
    assert list(items.order_by("pk").values_list("state", flat=True))[1:] == ["applied", "quarantined"]


def test_what_comes_back_after_a_write_of_ours_is_heard_where_no_version_has_a_number(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    promise(hospital, if_match=False)
    handoff = story.refer()
    with ehr.faulty(unnumbered):
        pushing.run_once(hospital)
        ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
        tasks.pull(hospital.pk)
        accepted = ehr.all("Task")[0]
        store.write(store.get("Task", handoff.pk) | {"note": [{"text": "Please hurry"}]}, actor=SYSTEM)
        pushing.run_once(hospital)
        assert "note" in ehr.all("Task")[0]
        ehr.put(accepted)
        polling.poll(hospital)
        applying.apply_pending(hospital)
    assert Inbox.objects.filter(type="Task", state=Inbox.State.APPLIED).count() == 2


@pytest.mark.parametrize("minutes", [-5, 5])
def test_changes_are_read_by_the_clock_of_the_partner(minutes: int, put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    skew = timedelta(minutes=minutes)
    with skewed(ehr, skew):
        put("o1", clock.now() + skew)
        polling.poll(hospital)
        put("o2", clock.now() + skew)
        polling.poll(hospital)
    assert taken() == ["o1", "o2"]


@pytest.mark.parametrize("is_finer", [True, False], ids=["a finer answer", "a coarser answer"])
def test_an_answer_that_tells_its_time_in_another_unit_and_less_than_a_reading_is_no_sign(
    is_finer: bool, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    def shown(body: Body, is_read: bool) -> Body:
        if body["resourceType"] == "Bundle":
            return body | {"entry": [each | {"resource": shown(each["resource"], is_read)} for each in body["entry"]]}
        at = body["meta"]["lastUpdated"].replace("Z", "Z" if is_read == is_finer else "456Z")
        text = {"text": {"status": "generated", "div": "<div>Read</div>"}} if is_read else {}
        return body | text | {"meta": body["meta"] | {"lastUpdated": at}}

    def in_two_units(request: Request, honest: Answer) -> Answer:
        is_plain = honest.body is None or (honest.body["resourceType"] != "Bundle" and "meta" not in honest.body)
        return honest if is_plain else replace(honest, body=shown(honest.body or {}, request.verb == "GET"))

    hospital.chosen = {"send": "single"}
    hospital.save()
    with ehr.faulty(in_two_units):
        story.refer()
        pushing.run_once(hospital)
        for at in (timedelta(minutes=5), timedelta(minutes=10)):
            ehr.skew = at
            with clock.at(datetime.now(UTC) + at):
                tasks.pull(hospital.pk)
                reconciling.run(hospital, Reconciliation.Scope.ALL)

    hospital.refresh_from_db()
    assert hospital.state == Partner.State.ACTIVE
    assert not Link.objects.exclude(state=Link.State.CLEAN).exists()


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_database_of_theirs_with_another_clock_than_their_web_server_hides_nothing(
    minutes: int, put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    polling.poll(hospital)
    put("o1", clock.now() + timedelta(minutes=minutes))
    polling.poll(hospital)
    with clock.at(clock.now() + timedelta(minutes=6)), skewed(ehr, timedelta(minutes=6)):
        polling.poll(hospital)
    assert taken() == ["o1"]


def test_what_is_committed_late_is_found_by_a_deep_reading(put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    start = clock.now()
    polling.poll(hospital)
    for minutes in (1, 4, 8, 12):
        late = timedelta(minutes=minutes)
        with clock.at(start + late), skewed(ehr, late):
            if minutes == 8:
                put("late", start)
            polling.poll(hospital)
    assert taken() == ["late"]


def test_a_clock_of_theirs_that_was_ahead_and_is_right_again_hides_nothing(
    put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    with skewed(ehr, timedelta(hours=3)):
        polling.poll(hospital)
    polling.poll(hospital)
    put("o1")
    polling.poll(hospital)
    assert taken() == ["o1"]


def test_the_first_reading_begins_when_the_partner_was_registered(put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    put("o1")
    with clock.at(clock.now() + timedelta(hours=5)), skewed(ehr, timedelta(hours=5)):
        polling.poll(hospital)
    assert taken() == ["o1"]


def test_of_one_resource_an_older_version_is_applied_before_a_newer_one(
    put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    polling.poll(hospital)
    for value in ("first", "second", "third"):
        put("o1", value=value)
        polling.poll(hospital)

    assert applying.apply_pending(hospital) == {"applied": 3}
    held = store.get("Observation", Link.objects.get(type="Observation").local_id)
    assert (held["code"]["text"], held["meta"]["versionId"]) == ("third", "3")


def test_a_partner_that_can_not_be_searched_by_time_is_asked_for_each_patient_now_and_then(
    put: Put, hospital: Partner, ehr: FakeEhr
) -> None:
    hospital.chosen = {"hear": "poll-by-patient"}
    hospital.save()
    put("o1")

    polling.poll(hospital)
    polling.poll(hospital)

    assert taken() == ["o1"]
    assert [query["patient"] for query in searches(ehr)] == [Link.objects.get(type="Patient").remote_id]
    put("o2")
    with clock.at(clock.now() + timedelta(minutes=6)):
        polling.poll(hospital)
    assert taken() == ["o1", "o2"]


@pytest.mark.parametrize("status", [403, 400, 500])
def test_a_patient_of_whom_nothing_can_be_read_keeps_no_other_from_being_read(
    status: int, put: Put, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    hospital.chosen = {"hear": "poll-by-patient"}
    hospital.save()
    put("of-ana")
    ana = Link.objects.get(type="Patient").remote_id
    order_for_ben(story)
    pushing.run_once(hospital)
    ben = Link.objects.get(type="Patient", local_id="ben").remote_id
    order = Link.objects.filter(type="ServiceRequest").latest("pk").remote_id
    about = {"subject": {"reference": f"Patient/{ben}"}, "basedOn": [{"reference": f"ServiceRequest/{order}"}]}
    ehr.put({"resourceType": "Observation", "id": "of-ben", "status": "final", "code": {"text": "first"}, **about})

    ehr.refusal = lambda asked: Answer(status) if ("patient", str(ana)) in asked.query else None
    for _round in range(2):
        tasks.pull(hospital.pk)

    assert Inbox.objects.get(type="Observation", remote_id="of-ben").state == Inbox.State.APPLIED
    assert taken() == ["of-ben"]
    assert [query["patient"] for query in searches(ehr)] == [ana, ben], "each once in a while"
    hospital.refresh_from_db()
    assert hospital.last_error == f"Patients of whom no ServiceRequest can be read: 1. The partner answered {status}."
    ehr.refusal = None
    with clock.at(clock.now() + timedelta(minutes=6)):
        tasks.pull(hospital.pk)
    assert taken() == ["of-ana", "of-ben"]


def order_for_ben(story: Story) -> None:
    """The GP refers a second patient to the hospital."""
    named = {"system": MRN, "value": f"4712-{story.run}"}
    keep({"resourceType": "Patient", "id": "ben", "identifier": [named], "name": [{"family": "Ben"}]}, PRACTICE)
    workflow.open_loop(
        workflow.Order(
            kind="referral",
            request=keep(request_for_ana(story.run) | {"subject": {"reference": "Patient/ben"}}),
            patient_id="ben",
            placer=PRACTICE,
            performer=HOSPITAL,
            requester=GP,
            title="Cardiology",
            is_sent=True,
        ),
        story.gp,
    )


def test_what_nobody_can_read_is_quarantined_once_and_blocks_nothing(put: Put, hospital: Partner, ehr: FakeEhr) -> None:
    for number in range(5):
        put(f"o{number}")

    def broken(request: Request, honest: Answer) -> Answer:
        is_whole = request.path.startswith("Observation") and "_elements" not in dict(request.query)
        return Answer(200, text="{") if is_whole and '"o2"' in json.dumps(honest.body) else honest

    with ehr.faulty(broken):
        polling.poll(hospital)
        polling.poll(hospital)
    assert taken() == [f"o{number}" for number in range(5)]
    (item,) = Inbox.objects.filter(state=Inbox.State.QUARANTINED)
    assert (item.remote_id, item.error_category) == ("o2", "Unreadable")
    assert Loop.objects.get(kind="upkeep").about == f"Inbox/{item.pk}"

    operations.retry(f"Inbox/{item.pk}", SYSTEM)
    with ehr.faulty(broken):
        assert applying.apply_pending(hospital) == {"applied": 4, "quarantined": 1}
    operations.retry(f"Inbox/{item.pk}", SYSTEM)
    assert applying.apply_pending(hospital) == {"discarded": 1, "applied": 1}
    assert Link.objects.filter(type="Observation", remote_id="o2").exists()
