"""What the exchange needs of any FHIR R4 server, whatever it can: tried with it, not read from its papers."""

import pytest

from fhir_bridge import tasks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.outbound.material import our_base
from records import clock, store
from records.access import SYSTEM
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import MRN, Story
from tests.fhir_bridge.test_journey import Clerk

pytestmark = [pytest.mark.partner, pytest.mark.xdist_group("partner")]


@pytest.fixture
def clerk(hospital: Partner) -> Clerk:
    return Clerk(hospital.base_url)


@pytest.fixture
def sent(story: Story, hospital: Partner) -> Handoff:
    """A referral that the hospital has."""
    handoff = story.refer()
    pushing.run_once(hospital)
    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}
    return handoff


def exchange(partner: Partner) -> None:
    for work in (tasks.push, tasks.pull, tasks.push):
        work(partner.pk)


def remote(type_: str) -> str:
    return str(Link.objects.get(type=type_, origin="ours").remote_id)


def copies(clerk: Clerk, type_: str, handoff: Handoff) -> int:
    own = f"{our_base().removesuffix('/fhir')}/id/{type_.lower()}"
    local = Link.objects.get(type=type_, origin="ours").local_id
    return len(clerk.find(type_, identifier=f"{own}|{local}"))


def test_an_order_arrives_once_and_its_references_resolve(
    story: Story, sent: Handoff, hospital: Partner, clerk: Clerk
) -> None:
    exchange(hospital)

    task = clerk.read("Task", remote("Task"))
    assert task["focus"]["reference"] == f"ServiceRequest/{remote('ServiceRequest')}"
    assert len(clerk.find("Patient", identifier=f"{MRN}|4711-{story.run}")) == 1
    assert copies(clerk, "Task", sent) == copies(clerk, "ServiceRequest", sent) == 1


@pytest.mark.parametrize("type_", ["Task", "Patient"])
def test_what_was_created_without_our_hearing_of_it_is_found_and_not_created_again(
    type_: str, sent: Handoff, hospital: Partner, clerk: Clerk
) -> None:
    of_type = Link.objects.filter(type=type_)
    before = of_type.get().remote_id
    of_type.update(
        state=Link.State.UNKNOWN, remote_id=None, base="", remote_hash="", remote_version="", due_at=clock.now()
    )

    pushing.run_once(hospital)

    assert of_type.get().remote_id == before
    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}


def test_a_change_of_theirs_is_read_and_applied_once(sent: Handoff, hospital: Partner, clerk: Clerk) -> None:
    clerk.change("Task", remote("Task"), status="accepted")

    for _round in range(2):
        exchange(hospital)

    assert Handoff.objects.get(pk=sent.pk).stage == "awaiting-booking"
    assert sent.loop.events.filter(action="accept").count() == 1
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}


def test_when_both_sides_write_neither_loses_a_word(sent: Handoff, hospital: Partner, clerk: Clerk) -> None:
    clerk.change("Task", remote("Task"), note=[{"text": "theirs"}])
    held = store.get("Task", sent.pk)
    store.write({**held, "note": [{"text": "ours"}]}, actor=SYSTEM)

    for _round in range(3):
        exchange(hospital)

    there = clerk.read("Task", remote("Task"))
    for task in (there, store.get("Task", sent.pk)):
        assert sorted(each["text"] for each in task["note"]) == ["ours", "theirs"]
    assert not Loop.objects.filter(kind="upkeep").exists()


def test_what_is_in_step_is_not_written_again(sent: Handoff, hospital: Partner, clerk: Clerk) -> None:
    exchange(hospital)
    before = clerk.read("Task", remote("Task"))["meta"]

    for _round in range(2):
        exchange(hospital)

    assert clerk.read("Task", remote("Task"))["meta"] == before
