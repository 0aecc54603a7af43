"""The journal speaks in sentences: whatever a table lets happen has one of its own."""

import pytest
from django.test import Client

from referrals.pathways import TRANSITIONS
from tests.web.conftest import Story
from web.journal import SENTENCES


def test_every_action_has_a_sentence_that_says_who() -> None:
    told = {(row.handoff, row.action) for row in TRANSITIONS}
    silent = {pair for pair in told if not SENTENCES.keys() & {pair[1], "/".join(pair)}}
    assert silent == set()
    assert all("%(who)s" in str(sentence) for sentence in SENTENCES.values())


@pytest.mark.django_db
def test_a_hold_is_told_as_what_somebody_did(as_clara: Client, story: Story) -> None:
    story.does(story.clara, "hold", note="Until the scan is here.")
    page = as_clara.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Clara Consultant put it on hold; its clock runs on." in page
    assert "Until the scan is here." in page
