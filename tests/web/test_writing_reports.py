"""A report that is written into the form of an action: all that the form says is done, once, and the text is kept beside it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client

from records import clock
from records.types import row_class
from referrals import locking
from referrals.models import Handoff, Loop, User
from tests.referrals.meanwhile import waiting
from tests.web.conftest import Story, browser_of, refer


@pytest.fixture
def kept(commits: None) -> None:
    """Committed: two requests at one moment have a connection each."""


@pytest.fixture
def ordered(ana: User, clara: User, maria: str, clinic: str) -> Story:
    """A test that Ana ordered of Clara's laboratory."""
    return Story(refer(ana, maria, clinic, "Potassium", kind="test-order"), ana, clara)


def fill_in(client: Client, handoff: Handoff, action: str, **typed: str) -> int:
    """What comes of sending the form of an action, as HTTP says it."""
    said = {f"{handoff.id}-{action}-{name}": text for name, text in typed.items()}
    address = f"/loops/{handoff.loop_id}/handoffs/{handoff.id}/{action}/"
    return client.post(address, said | {"version": str(handoff.version)}).status_code


def documents() -> int:
    return row_class("DocumentReference").rows("DocumentReference").count()


def test_a_critical_result_that_is_typed_in_is_read_within_a_day(as_clara: Client, ordered: Story) -> None:
    assert fill_in(as_clara, ordered.handoff(), "result", severity="critical", report_text="7.9 mmol/L") == 302
    review = ordered.handoff("review-report")
    assert review.due_at <= clock.now() + timedelta(days=1)
    assert review.priority_rank == 0
    assert documents() == 1


def test_a_test_that_the_laboratory_calls_off_in_writing_is_called_off(as_clara: Client, ordered: Story) -> None:
    said = {"reason": "unable", "reason_text": "Tube broken", "report_text": "There is no result."}
    assert fill_in(as_clara, ordered.handoff(), "cancel-test", **said) == 302
    ended = Handoff.objects.get(loop=ordered.loop, kind="fulfil")
    assert (ended.stage, ended.reason_code, ended.reason_text) == ("declined", "unable", "Tube broken")
    open_ones = set(ordered.loop.handoffs.filter(closed_at=None).values_list("kind", flat=True))
    assert open_ones == {"decide-next-step", "notify-patient", "review-report"}


def test_what_a_newer_report_is_and_how_urgent_is_as_the_form_says(
    as_ana: Client, as_clara: Client, ordered: Story
) -> None:
    fill_in(as_clara, ordered.handoff(), "result", severity="normal", report_text="4.1 mmol/L")
    fill_in(as_ana, ordered.handoff("review-report"), "acknowledge", plan="None", question_answered="true")
    fulfil = Handoff.objects.get(loop=ordered.loop, kind="fulfil")
    said = {"state": "corrected", "severity": "critical", "report_text": "Read wrongly: 7.9 mmol/L"}
    assert fill_in(as_clara, fulfil, "amend", **said) == 302
    assert ordered.loop.events.get(action="amend").details["state"] == "corrected"
    assert ordered.handoff("review-report").due_at <= clock.now() + timedelta(days=1)


def test_a_report_that_is_sent_twice_at_one_moment_is_there_once(story: Story) -> None:
    fulfil, clara = story.handoff(), story.clara

    def send() -> int:
        try:
            return fill_in(browser_of(clara), fulfil, "report", report_text="Ejection fraction 35 %.")
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as both, transaction.atomic():
        locking.loops([story.loop.id])
        answers = [both.submit(send) for _each in range(2)]
        while waiting() < len(answers) and not any(one.done() for one in answers):
            pass
    assert sorted(one.result() for one in answers) == [302, 409]
    assert (documents(), story.loop.events.filter(action="report").count()) == (1, 1)


def test_who_owes_the_right_report_after_the_end_can_write_it(as_ana: Client, as_clara: Client, story: Story) -> None:
    fill_in(as_clara, story.handoff(), "report", report_text="Somebody else's findings.")
    fill_in(as_ana, story.handoff("review-report"), "acknowledge", plan="None", question_answered="true")
    story.does(story.ana, "tell", "notify-patient", channel="phone")
    read = Handoff.objects.get(loop=story.loop, kind="review-report")
    assert fill_in(as_ana, read, "void", reason="wrong-patient") == 302
    later = Loop.objects.get(based_on=story.loop)
    owed = later.handoffs.get(kind="fulfil", closed_at=None)
    assert fill_in(as_clara, owed, "report", report_text="Ejection fraction 35 %.") == 302
    assert later.handoffs.filter(kind="review-report", closed_at=None).exists()
