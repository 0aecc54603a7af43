"""What a person has to look at: however much there is of one kind, the other is seen, and it is said how much there is."""

import io
from datetime import timedelta

from django.core.management import call_command
from django.test import Client

from fhir_bridge import status
from fhir_bridge.models import Inbox, Link, Partner
from records import clock
from referrals.models import User
from tests.fhir_bridge.story import Story


def stuck(partner: Partner, number: int) -> None:
    """So many of our resources are refused there, one each minute of the last hours."""
    now = clock.now()
    Link.objects.bulk_create(
        Link(
            partner=partner,
            type="Task",
            local_id=f"ours-{each}",
            state=Link.State.STUCK,
            first_failed_at=now - timedelta(minutes=each),
        )
        for each in range(number)
    )


def quarantined(partner: Partner, number: int, *, minutes: int = 0) -> None:
    """So many of theirs can't be understood, all of that age."""
    Inbox.objects.bulk_create(
        Inbox(
            partner=partner,
            type="Task",
            remote_id=f"theirs-{each}",
            content_hash="x",
            body="{}",
            state=Inbox.State.QUARANTINED,
            received_at=clock.now() - timedelta(minutes=minutes),
        )
        for each in range(number)
    )


def test_many_writes_that_are_refused_hide_nothing_that_came(hospital: Partner) -> None:
    stuck(hospital, 300)
    quarantined(hospital, 1, minutes=30)

    found = status.troubles(hospital.pk)

    assert len(found) == status.DEFAULT_LIMIT
    assert [one.remote_id for one in found if one.key.startswith("Inbox/")] == ["theirs-0"]
    assert [one.since for one in found if one.since] == sorted(one.since for one in found if one.since)
    assert found[0].local_id == "ours-299", "the oldest first"
    assert status.number_of_troubles(hospital.pk) == 301


def test_each_has_a_half_where_there_is_too_much_of_both(hospital: Partner) -> None:
    stuck(hospital, 9)
    quarantined(hospital, 9)

    shown = [one.key.partition("/")[0] for one in status.troubles(hospital.pk, limit=5)]

    assert (shown.count("Link"), shown.count("Inbox")) == (2, 3)
    assert len(status.troubles(hospital.pk, limit=18)) == 18
    assert len(status.troubles(hospital.pk, limit=1)) == 1


def test_the_page_and_the_command_say_how_much_more_there_is_and_all_of_it_can_be_tried_again(
    story: Story, hospital: Partner
) -> None:
    stuck(hospital, 220)
    quarantined(hospital, 1)
    browser = Client()
    browser.force_login(User.objects.get(username="nina"), backend="django.contrib.auth.backends.ModelBackend")

    assert "21 more are not shown" in browser.get("/sync/").content.decode()
    said = io.StringIO()
    call_command("deadletters", "list", "--limit", "200", stdout=said)
    assert "More that are not listed: 21" in said.getvalue()

    last = Link.objects.get(local_id="ours-0")
    browser.post("/sync/retry/", {"key": f"Link/{last.pk}"})
    last.refresh_from_db()
    assert last.state == Link.State.WANTED
    browser.post("/sync/retry/", {"partner": "Hospital"})
    assert status.number_of_troubles() == 0
