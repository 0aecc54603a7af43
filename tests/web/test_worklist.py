"""The worklist shows what must be done by whom by when, and each count is the number of rows behind it."""

import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from records import clock
from referrals import escalation, people
from referrals.models import Escalation, Handoff, Loop, User
from tests.web.conftest import Story, refer
from web.lines import next_action

pytestmark = pytest.mark.django_db
ROW = re.compile(r'<tr class="line')


def rows(client: Client, query: str = "?scope=organisation") -> int:
    return len(ROW.findall(client.get(f"/{query.removeprefix('/')}").content.decode()))


def test_an_empty_list_says_what_to_do(as_ana: Client) -> None:
    page = as_ana.get("/").content.decode()

    assert "Nothing waits here" in page
    assert 'href="/new/referral/"' in page


def test_a_row_says_who_what_and_by_when(as_clara: Client, story: Story) -> None:
    page = as_clara.get("/").content.decode()

    for words in (
        "María José García",
        "12 Apr 1961",
        "Cardiology",
        "Sent",
        "due in",
        "from Northfield Hospital",
        "Take into triage",
    ):
        assert words in page, words


def test_what_is_late_says_by_how_much(as_clara: Client, story: Story) -> None:
    with clock.at(story.handoff().due_at + timedelta(days=3, hours=1)):
        page = as_clara.get("/").content.decode()

    assert "overdue by 3 d" in page


def test_each_tile_counts_the_rows_behind_it(as_ana: Client, story: Story, maria: str, clinic: str) -> None:
    story.does(story.clara, "decline", reason="no-capacity", reason_text="Full until spring")
    for number in range(4):
        refer(story.ana, maria, clinic, f"Cardiology {number}")
    with clock.at(clock.now() + timedelta(days=4)):
        for scope in ("mine", "team", "organisation"):
            page = as_ana.get(f"/?scope={scope}")
            for tile in page.context["tiles"]:
                assert str(rows(as_ana, tile["url"])) == tile["count"], (scope, tile["label"])
            for name, _label, url, count in page.context["scopes"]:
                assert count in ("", str(rows(as_ana, url))), name


def test_the_filters_live_in_the_address(as_ana: Client, story: Story, maria: str, clinic: str) -> None:
    refer(story.ana, maria, clinic, "Dermatology", priority="urgent")

    assert rows(as_ana) == 2
    assert rows(as_ana, "?scope=organisation&priority=urgent") == 1
    assert rows(as_ana, "?scope=organisation&direction=received") == 0
    assert rows(as_ana, "?scope=organisation&kind=referral&stage=sent") == 2


def test_nonsense_in_the_address_is_not_an_error(as_ana: Client, story: Story) -> None:
    for query in ("?scope=x", "?owner=²", "?owner=99999999999999999999", "?kind=%00", "?find=x", "?stage=x&label=x"):
        assert as_ana.get(f"/{query}").status_code == 200, query
    assert as_ana.get("/?patient=%00").status_code == 200
    nul = urlsafe_b64encode(b"0~2026-01-01T00:00:00+00:00~x\0").decode()
    for key in ("nonsense", nul):
        assert as_ana.get("/", {"after": key}).status_code == 400, key


@pytest.mark.parametrize(
    "word", ["label=nonsense", "stage=nonsense", "kind=x", "priority=x", "scope=x", "handoff=x", "owner=abc"]
)
def test_a_word_that_narrows_nothing_is_named(as_ana: Client, story: Story, word: str) -> None:
    told = "are not known here and don"
    assert told in as_ana.get(f"/?{word}").content.decode()
    for known in ("", "?scope=mine&label=escalated", "?label=standing-in", "?label=follow-up-due&stage=planned"):
        page = as_ana.get(f"/{known}")
        assert (page.status_code, told in page.content.decode()) == (200, False), known


def test_a_name_that_was_searched_for_is_in_no_address(as_ana: Client, story: Story) -> None:
    answer = as_ana.post("/?scope=organisation", {"text": "García"})

    assert "Garc" not in answer["Location"]
    assert rows(as_ana, answer["Location"]) == 1
    assert rows(as_ana, as_ana.post("/?scope=organisation", {"text": "Nobody"})["Location"]) == 0


def test_a_colleague_who_opens_the_address_of_a_search_is_told_and_is_not_shown_everything(
    as_ana: Client, as_clara: Client, story: Story
) -> None:
    address = as_ana.post("/?scope=organisation", {"text": "García"})["Location"]
    told = "The words of this search are not known here"
    assert (rows(as_clara), rows(as_clara, address), rows(as_ana, address)) == (1, 0, 1)

    assert told in as_clara.get(address).content.decode()
    assert told not in as_ana.get(address).content.decode()


def test_more_is_loaded_by_key_without_gap_or_repeat(as_ana: Client, ana: User, maria: str, clinic: str) -> None:
    for number in range(60):
        refer(ana, maria, clinic, f"Referral {number}")
    seen: list[str] = []
    url = "/?scope=organisation"
    while url:
        answer = as_ana.get(url)
        seen += [line["id"] for line in answer.context["lines"]]
        url = f"/{answer.context['more_url']}" if answer.context["more_url"] else ""

    assert len(seen) == len(set(seen)) == 60


BOX = re.compile(r'name="handoff" value="([^"]+)"')


def test_a_box_stands_before_exactly_what_the_reader_may_hand_over(
    as_ana: Client, as_boris: Client, as_clara: Client, story: Story, boris: User, maria: str, clinic: str
) -> None:
    refer(story.ana, maria, clinic, "Dermatology")
    story.does(story.clara, "ask-information", question="Since when?")
    story.does(story.clara, "decline", reason="no-capacity", reason_text="Full until spring")
    absent = people.owner_for("person", story.ana.practitioner)
    decision = story.handoff("decide-next-step")
    Handoff.objects.filter(pk=decision.pk).update(owner=absent, list=absent)
    for browser, user in ((as_ana, story.ana), (as_boris, boris), (as_clara, story.clara)):
        actor = people.actor_for(user)
        shown = browser.get("/?scope=organisation")
        rows = Handoff.objects.select_related("owner", "loop__accountable")
        listed = {one.pk: one for one in rows.filter(pk__in=[line["id"] for line in shown.context["lines"]])}
        givable = {key for key, one in listed.items() if "holder" in people.roles_in(actor, one)}
        assert set(BOX.findall(shown.content.decode())) == givable, user.username
        assert ("Hand the chosen ones over" in shown.content.decode()) == bool(givable) or user.language != "en"
        assert listed


def test_an_outsider_sees_nothing_of_it(as_olga: Client, story: Story) -> None:
    page = as_olga.get("/?scope=organisation").content.decode()

    assert "García" not in page
    assert rows(as_olga) == 0


def test_the_number_of_queries_does_not_grow_with_the_rows(
    as_ana: Client, ana: User, story: Story, maria: str, clinic: str, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        refer(ana, maria, clinic, f"Referral {number}")

    as_ana.get("/")
    with django_assert_num_queries(10):
        as_ana.get("/?scope=organisation")
    mine = people.owner_for("person", ana.practitioner)
    Loop.objects.filter(pk=story.loop.pk).update(responsible=mine)
    story.does(story.clara, "ask-information", question="Since when?")
    with django_assert_num_queries(12):  # what may be handed over brings the names of the colleagues
        as_ana.get("/?scope=organisation")


@pytest.mark.parametrize(
    ("kind", "stage", "words"),
    [
        ("test-order", "ordered", "Book the collection"),
        ("test-order", "collection-booked", "Specimen collected"),
        ("referral", "no-show", "Book another appointment"),
        ("referral", "appointment-cancelled", "Book another appointment"),
        ("referral", "scheduled", "The patient was seen"),
        ("follow-up", "no-show", "Book the visit"),
        ("follow-up", "booked", "The visit has taken place"),
    ],
)
def test_the_next_step_leads_on_from_the_stage(kind: str, stage: str, words: str) -> None:
    assert str(next_action("fulfil", stage, kind)) == words


def test_whoever_sees_on_their_list_what_is_overdue_has_heard_of_it(
    as_ana: Client, as_clara: Client, story: Story
) -> None:
    late = clock.now() + timedelta(days=4)
    with clock.at(late):
        escalation.sweep(late)
        as_ana.get("/?scope=organisation")
        assert not Escalation.objects.exclude(delivered_at=None).filter(owner=story.handoff().list).exists()
        as_clara.get("/")
    heard = Escalation.objects.get(owner=story.handoff().list, level=escalation.OWNER)
    assert (heard.delivered_at, heard.channel) == (late, "app")
