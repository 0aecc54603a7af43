"""How much is asked of a partner, by all workers together; and that one that doesn't answer is left alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import operations, status, tasks
from fhir_bridge.connecting import circuit, limits, partners
from fhir_bridge.connecting.client import Server
from fhir_bridge.inbound import polling
from fhir_bridge.models import Link, Pace, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.sharing.relevance import POLLED
from records import clock, errors
from referrals.models import Handoff
from referrals.upheavals import silence
from tests.fhir_bridge.story import HOSPITAL, Story, build, promise

DOWN = Answer(is_dropped=True)


def fresh() -> Partner:
    return partners.by_name("Hospital")


# The circuit


def test_a_partner_that_does_not_answer_is_left_alone_longer_and_longer(hospital: Partner, ehr: FakeEhr) -> None:
    at, waits = clock.now(), []
    with ehr.refusing(DOWN):
        for _number in range(9):
            with clock.at(at):
                tasks.pull(hospital.pk)
                held = fresh().not_before_at
                waits.append((held - at).total_seconds() if held else 0.0)
                at = max(held or at, at) + timedelta(seconds=1)

    assert waits == [0.0, 0.0, 0.0, 0.0, 80.0, 160.0, 320.0, 640.0, 900.0]
    assert len(ehr.requests) == 9
    shown = status.of(hospital)
    assert (shown.circuit, shown.failures, shown.failing_since is not None) == ("open", 9, True)


def test_one_that_can_not_even_be_reached_is_left_alone_from_the_first_time(hospital: Partner) -> None:
    Partner.objects.update(base_url="http://127.0.0.1:9/fhir")
    tasks.pull(hospital.pk)
    assert (fresh().failures, circuit.may_ask(fresh())) == (1, False)
    tasks.pull(hospital.pk)
    assert fresh().failures == 1


def open_the_circuit(hospital: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(DOWN):
        for _number in range(circuit.THRESHOLD):
            tasks.pull(hospital.pk)
    assert status.of(hospital).circuit == "open"
    ehr.requests.clear()


def test_open_nothing_is_asked_half_open_one_asks_and_a_success_closes(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    open_the_circuit(hospital, ehr)
    story.refer()
    tasks.push(hospital.pk)
    tasks.pull(hospital.pk)
    tasks.reconcile_due(clock.now() + timedelta(days=2))
    tasks.discover_due(clock.now() + timedelta(days=2))
    assert ehr.requests == []

    with clock.at(clock.now() + timedelta(seconds=81)):
        assert status.of(hospital).circuit == "half-open"
        assert [circuit.may_ask(fresh()) for _number in range(3)] == [True, False, False]
        tasks.pull(hospital.pk)
        assert ehr.requests == []
    with clock.at(clock.now() + timedelta(seconds=81 + circuit.PROBE_SECONDS)):  # whoever should have asked is dead
        tasks.push(hospital.pk)
        assert set(Link.objects.values_list("state", flat=True)) == {"clean"}
    assert (status.of(hospital).circuit, fresh().failing_since) == ("closed", None)


def test_a_half_open_circuit_is_not_used_up_by_who_has_nothing_to_send(hospital: Partner, ehr: FakeEhr) -> None:
    open_the_circuit(hospital, ehr)
    with clock.at(clock.now() + timedelta(seconds=81)):
        tasks.push(hospital.pk)
        tasks.pull(hospital.pk)
    assert status.of(hospital).circuit == "closed"


def test_refusals_open_no_circuit(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    story.refer()
    with ehr.refusing(Answer(422), "POST"):
        pushing.run_once(hospital)
    assert (fresh().failures, fresh().not_before_at) == (0, None)


def test_a_person_who_resumes_it_closes_the_circuit(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    open_the_circuit(hospital, ehr)
    operations.resume(fresh(), story.nina)
    assert circuit.may_ask(fresh())


# Silence


def test_a_partner_that_never_says_a_word_is_an_alarm(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    late = hospital.created_at + timedelta(hours=2)
    with ehr.refusing(DOWN), clock.at(late):
        tasks.pull(hospital.pk)
        silence.sweep(late)
    asked = Handoff.objects.get(kind="mend-exchange", closed_at=None)
    assert (asked.loop.about, asked.owner.key) == (f"Organization/{HOSPITAL}", story.pool)

    with clock.at(late + timedelta(minutes=5)):
        polling.poll(fresh())
    asked.refresh_from_db()
    assert asked.closed_at is not None


# The rate


def test_a_rate_is_shared_by_all_and_a_short_burst_allowed(hospital: Partner) -> None:
    waits = [limits.take_turn(hospital.pk, 60)]
    began_at = Pace.objects.get().used_until
    waits += [limits.take_turn(hospital.pk, 60) for _number in range(5)]
    assert waits[:2] == [0.0, 0.0]
    assert max(waits) <= 3.0
    assert Pace.objects.get().used_until - began_at >= timedelta(seconds=5)


def test_whose_turn_would_come_too_late_gets_none(hospital: Partner) -> None:
    with pytest.raises(limits.Full):
        for _number in range(100):
            limits.take_turn(hospital.pk, 60)
    with pytest.raises(limits.Full):
        limits.take_turn(hospital.pk, 60)


def test_each_request_waits_for_its_turn(hospital: Partner, ehr: FakeEhr) -> None:
    hospital.requests_per_minute = 120
    slept: list[float] = []
    server = Server(ehr.base_url, gate=limits.gate(hospital, slept.append))
    for _number in range(8):
        list(server.search("Task", []))
    assert len(ehr.requests) == 8
    assert 1 <= len(slept) <= 4
    assert max(slept) <= 2.0


def test_without_bounds_nothing_is_asked_of_the_database(hospital: Partner, ehr: FakeEhr) -> None:
    server = partners.connect(hospital)
    with connection.execute_wrapper(lambda *_anything: pytest.fail("a query")):
        list(server.search("Task", []))


# Seats


@pytest.fixture
def committed(commits: None, ehr: FakeEhr) -> Partner:
    story = build("limits")
    partner = partners.add("Hospital", ehr.base_url, organization=HOSPITAL, steward_pool=story.pool)
    promise(partner)
    partner.concurrency = 2
    partner.save()
    return partner


def test_no_more_are_asked_at_once_than_there_are_seats(committed: Partner, ehr: FakeEhr) -> None:
    at_once, most, lock, both = 0, [0], threading.Lock(), threading.Barrier(2, timeout=20)

    def asked(sleep_until_full: bool = True) -> None:
        nonlocal at_once
        with limits.gate(committed)():
            with lock:
                at_once += 1
                most[0] = max(most[0], at_once)
            both.wait()  # two are in here together, or the barrier breaks
            with lock:
                at_once -= 1
        connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(asked) for _number in range(6)]:
            done.result()
    assert most == [2]


def test_who_finds_no_seat_for_long_sends_nothing_and_a_dead_worker_leaves_its_seat(
    committed: Partner, ehr: FakeEhr
) -> None:
    committed.concurrency = 1
    taken, go = threading.Event(), threading.Event()

    def die() -> None:
        limits._sit(committed)
        taken.set()
        go.wait(20)
        connections.close_all()  # as the database sees it when a worker is killed

    worker = threading.Thread(target=die)
    worker.start()
    taken.wait(20)
    slept: list[float] = []
    with pytest.raises(errors.Throttled):
        list(Server(ehr.base_url, gate=limits.gate(committed, slept.append)).search("Task", []))
    assert sum(slept) >= limits.LONGEST_WAIT_SECONDS - 1
    assert ehr.requests == []

    go.set()
    worker.join()
    list(Server(ehr.base_url, gate=limits.gate(committed)).search("Task", []))
    assert len(ehr.requests) == 1


def test_a_server_that_fails_over_everything_is_not_asked_for_everything(hospital: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(Answer(500)):
        for number in range(3):
            with clock.at(clock.now() + timedelta(hours=number)):
                tasks.pull(hospital.pk)
    asked = {request.path for request in ehr.requests if request.verb == "GET"}
    assert len(asked) < len(POLLED)
    assert fresh().failures == 3
