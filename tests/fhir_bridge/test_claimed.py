"""A partner that writes our identifier on something of its own: it gets nothing by that which it may not see."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations, tasks
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import rewinding
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound.sending import Copy
from fhir_bridge.sharing import references
from records import clock, store
from records.access import SYSTEM
from referrals.models import Handoff
from tests.fhir_bridge.story import ANA, HOSPITAL, PRACTICE, Story, keep, promise

BEN = "ben"
SENDING = ["transaction", "batch", "single"]


@pytest.fixture
def other(story: Story) -> Iterator[FakeEhr]:
    """The EHR of an organisation that takes part in nothing."""
    keep({"resourceType": "Organization", "id": "other", "name": "Other"})
    with FakeEhr() as fake:
        partner = partners.add("Other", fake.base_url, organization="other", steward_pool=story.pool)
        partner.lag_seconds = -2.0
        promise(partner)
        yield fake


def claim(ehr: FakeEhr, type_: str, local_id: str, **more: Any) -> None:
    named = references.identifier(settings.BATON_BASE_URL, type_, local_id)
    ehr.put({"resourceType": type_, "id": "claimed", "identifier": [named], **more})


def exchange(minutes: int) -> None:
    with clock.at(datetime.now(UTC) + timedelta(minutes=minutes)):
        for partner in Partner.objects.all():
            tasks.pull(partner.pk)
        tasks.push_due(clock.now())


def change(type_: str, local_id: str) -> None:
    """Something new is written here that nobody else is to read."""
    secret = {"telecom": [{"system": "phone", "value": "555"}]} if type_ == "Patient" else {"note": [{"text": "555"}]}
    store.write(store.get(type_, local_id) | secret, actor=SYSTEM)


def test_it_gets_nothing_of_what_it_takes_no_part_in(handoff: Handoff, other: FakeEhr) -> None:
    value = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{ANA}"}}
    keep({"resourceType": "Observation", "id": "value", **value}, PRACTICE)
    keep({"resourceType": "Task", "id": "errand", "status": "requested", "intent": "order"}, PRACTICE)
    ours = {
        "Patient": ANA,
        "ServiceRequest": str(handoff.loop.request_id),
        "Observation": "value",
        "Task": "errand",
    }
    claim(other, "Patient", ANA)
    claim(other, "ServiceRequest", ours["ServiceRequest"], status="active", intent="order")
    claim(other, "Observation", "value", status="preliminary", code={"text": "x"})
    claim(other, "Task", "errand", status="requested", intent="order")
    claimed = {type_: other.all(type_) for type_ in ours}

    exchange(minutes=1)
    for type_, id_ in ours.items():
        change(type_, id_)
    exchange(minutes=2)

    assert {type_: other.all(type_) for type_ in ours} == claimed
    assert set(Link.objects.filter(partner__name="Other").values_list("origin", flat=True)) == {Link.Origin.THEIRS}
    assert Link.objects.get(partner__name="Other", type="Patient").local_id == ANA


def test_nor_does_who_takes_part_get_what_is_only_named_to_it(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    value = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{ANA}"}}
    keep({"resourceType": "Observation", "id": "value", **value}, PRACTICE)
    claim(ehr, "Observation", "value", status="preliminary", code={"text": "x"})
    claimed = ehr.all("Observation")

    exchange(minutes=1)
    change("Observation", "value")
    exchange(minutes=2)

    assert ehr.all("Observation") == claimed


def test_what_it_has_had_of_us_is_kept_in_step_under_another_registration_too(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    store.share("ServiceRequest", str(handoff.loop.request_id), [HOSPITAL])  # as whatever comes through the door is
    Link.objects.filter(type__in=["Patient", "ServiceRequest", "Task"]).delete()
    for type_ in ("Patient", "ServiceRequest", "Task"):
        ehr.put(ehr.all(type_)[0])

    exchange(minutes=1)
    change("ServiceRequest", str(handoff.loop.request_id))
    exchange(minutes=2)

    assert [one["note"] for one in ehr.all("ServiceRequest")] == [[{"text": "555"}]]
    assert [len(ehr.all(type_)) for type_ in ("Patient", "ServiceRequest", "Task")] == [1, 1, 1]


def test_whoever_tries_it_again_after_a_restore_writes_nothing_over_it(
    story: Story, handoff: Handoff, other: FakeEhr
) -> None:
    claim(other, "Patient", ANA)
    exchange(minutes=1)
    claimed = other.all("Patient")
    link = Link.objects.get(partner__name="Other", type="Patient")
    Link.objects.filter(pk=link.pk).update(state=Link.State.CONFLICT)

    operations.retry(f"Link/{link.pk}", story.nina)
    exchange(minutes=2)

    assert other.all("Patient") == claimed
    assert Link.objects.get(pk=link.pk).state == Link.State.CLEAN


@pytest.fixture(params=SENDING)
def restored(request: pytest.FixtureRequest, story: Story, handoff: Handoff, other: FakeEhr) -> list[Link]:
    """Ana and Ben, who are only recognised at a partner that was restored; it takes one write or several at once."""
    keep({"resourceType": "Patient", "id": BEN, "birthDate": "1970-01-01", "name": [{"family": "Ben"}]}, PRACTICE)
    Partner.objects.filter(name="Other").update(chosen={"send": request.param})
    for id_ in (ANA, BEN):
        claim(other, "Patient", id_, id=f"their-{id_}", name=[{"family": "Theirs"}])
    exchange(minutes=1)
    links = list(Link.objects.filter(partner__name="Other", type="Patient").order_by("pk"))
    assert {link.local_id for link in links} == {ANA, BEN}
    for link, theirs in zip(links, other.all("Patient"), strict=True):
        rewinding.differ(link, theirs | {"gender": "unknown"})
    return links


def test_several_that_are_tried_again_at_once_after_a_restore_are_left_as_they_are(
    story: Story, restored: list[Link], other: FakeEhr
) -> None:
    theirs = other.all("Patient")

    for link in restored:
        operations.retry(f"Link/{link.pk}", story.nina)
    exchange(minutes=2)

    assert (other.all("Patient"), writes(other)) == (theirs, [])
    is_left(restored)


def test_whatever_wants_several_sent_at_once_they_are_left_as_they_are(restored: list[Link], other: FakeEhr) -> None:
    theirs = other.all("Patient")
    named = Link.objects.filter(pk__in=[link.pk for link in restored])
    named.update(state=Link.State.WANTED, due_at=clock.now())
    for link, found in zip(named.order_by("pk"), theirs, strict=True):
        Copy.of(found).onto(link)
        link.save()

    exchange(minutes=2)

    assert (other.all("Patient"), writes(other)) == (theirs, [])
    is_left(restored)


def test_what_they_change_after_a_restore_is_theirs_and_the_work_about_it_is_over(
    restored: list[Link], other: FakeEhr
) -> None:
    other.skew = timedelta(minutes=2)
    for theirs in other.all("Patient"):
        other.put(theirs | {"address": [{"city": "Elsewhere"}]})
    theirs_now = other.all("Patient")

    for minutes in (3, 4):
        exchange(minutes)

    assert (other.all("Patient"), writes(other)) == (theirs_now, [])
    is_left(restored)


def writes(ehr: FakeEhr) -> list[str]:
    return [request.path for request in ehr.requests if request.verb != "GET"]


def is_left(links: list[Link]) -> None:
    now = Link.objects.filter(pk__in=[link.pk for link in links])
    assert set(now.values_list("state", "error_text", "mend_loop")) == {(Link.State.CLEAN, "", "")}
    assert not Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()
