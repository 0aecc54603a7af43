"""A real server tells Baton's own web process of a change, and that word alone brings it in: no poll is due."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from pytest_django import Settings

from fhir_bridge import operations, tasks
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying
from fhir_bridge.models import Hint, Inbox, Link, Partner, Subscription, Watermark
from fhir_bridge.notifying import hints, subscribing
from fhir_bridge.outbound import pushing
from records import clock
from referrals.models import Handoff
from tests.fhir_bridge.story import HOSPITAL, build
from tests.fhir_bridge.test_journey import Clerk
from tests.interop.served import serving
from tests.journeys.ehr import eventually

pytestmark = [pytest.mark.partner, pytest.mark.xdist_group("partner")]


@dataclass(frozen=True, slots=True)
class Hooked:
    """A referral that the hospital has, and whose server has agreed to tell us of its Tasks."""

    hospital: Partner
    clerk: Clerk
    handoff: Handoff
    task: str
    row: Subscription

    def stage(self) -> str:
        return str(Handoff.objects.get(pk=self.handoff.pk).stage)

    def told(self, remote_id: str) -> Hint:
        """The hint that a notification has left, once it is there."""
        found = Hint.objects.filter(partner=self.hospital, type="Task", remote_id=remote_id)
        return eventually(f"a hint of Task/{remote_id}", found.first)


@pytest.fixture
def served(commits: None, settings: Settings) -> Iterator[str]:
    """Baton's web process; all is committed for it, and gone afterwards."""
    settings.BATON_BASE_URL = f"http://baton-{uuid.uuid4().hex[:10]}.example"
    with serving() as address:
        settings.BATON_SERVED_URL = address
        yield address


@pytest.fixture
def hooked(served: str, fhir_partner: str) -> Iterator[Hooked]:
    story = build(uuid.uuid4().hex[:10])
    partners.add("Hospital", fhir_partner, organization=HOSPITAL, steward_pool=story.pool)
    hospital = partners.by_name("Hospital")
    operations.test(hospital)
    hospital.refresh_from_db()
    if hospital.can().subscriptions != "rest-hook":
        pytest.skip(f"{fhir_partner} offers no rest-hook Subscriptions")
    handoff = story.refer()
    pushing.run_once(hospital)
    tasks.pull(hospital.pk)
    subscribing.keep(hospital)
    clerk = Clerk(fhir_partner)
    row = Subscription.objects.get(partner=hospital, type="Task")
    eventually("an active Subscription", lambda: is_active(clerk, str(row.remote_id)))
    task = str(Link.objects.get(partner=hospital, type="Task").remote_id)
    Watermark.objects.update(read_at=clock.now() + timedelta(days=1))  # no poll is due for a day
    Hint.objects.all().delete()
    yield Hooked(hospital, clerk, handoff, task, row)
    subscribing.end(hospital)


def is_active(clerk: Clerk, remote_id: str) -> bool:
    return bool(clerk.read("Subscription", remote_id)["status"] == "active")


def test_a_word_without_content_makes_us_read_what_has_changed(hooked: Hooked) -> None:
    assert "payload" not in hooked.clerk.read("Subscription", str(hooked.row.remote_id))["channel"]
    hooked.clerk.change("Task", hooked.task, status="accepted")
    hint = hooked.told("")
    Hint.objects.all().delete()
    tasks.pull(hooked.hospital.pk)
    assert hooked.stage() == "sent", "without the word it is not looked for"

    hint.save(force_insert=True)
    tasks.pull(hooked.hospital.pk)

    assert hooked.stage() == "awaiting-booking"
    assert Subscription.objects.get(pk=hooked.row.pk).heard_at is not None
    read = Watermark.objects.filter(read_at__lte=clock.now())
    assert set(read.values_list("type", flat=True)) == {"Task"}


def test_a_whole_resource_is_no_more_than_its_name(hooked: Hooked) -> None:
    """Somebody at the hospital has asked their server to send us the resource too, with PUT …/Task/id."""
    theirs = hooked.clerk.read("Subscription", str(hooked.row.remote_id))
    loud = theirs["channel"] | {"payload": "application/fhir+json"}
    made = hooked.clerk.post(
        {**{k: v for k, v in theirs.items() if k not in {"id", "meta"}}, "status": "requested", "channel": loud}
    )
    eventually("the other Subscription", lambda: is_active(hooked.clerk, made["id"]))

    hooked.clerk.change("Task", hooked.task, status="accepted")
    hooked.told(hooked.task)
    assert not Inbox.objects.filter(state=Inbox.State.PENDING).exists(), "what came is not kept"

    assert hints.follow(hooked.hospital).stored == 1
    applying.apply_pending(hooked.hospital)

    assert hooked.stage() == "awaiting-booking"
    assert not Watermark.objects.filter(read_at__lte=clock.now()).exists()
    hooked.clerk.change("Subscription", made["id"], status="off")
