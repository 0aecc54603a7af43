"""One loop's page: whom it is about, how far it is, what may be done, and what happened."""

import re
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from fhir_bridge.models import Link, Partner
from records import clock, store
from records.access import SYSTEM
from records.types import row_class
from referrals import people, workflow
from referrals.models import Escalation, Handoff, Loop, User
from referrals.pathways import REASONS
from tests.web.conftest import Story, refer
from web import reading

pytestmark = pytest.mark.django_db


def what_it_says(answer: object, address: str) -> str:
    """The page without its address and its one-time token."""
    page = answer.content.decode().replace(address, "")  # type: ignore[attr-defined]
    return re.sub(r'csrfmiddlewaretoken" value="\w+"', "", page)


def act(client: Client, story: Story, action: str, kind: str = "fulfil", **fields: str) -> object:
    handoff = story.handoff(kind)
    data = {"version": str(handoff.version)} | {f"{handoff.id}-{action}-{name}": text for name, text in fields.items()}
    return client.post(f"/loops/{story.loop.id}/handoffs/{handoff.id}/{action}/", data)


def test_the_page_tells_whom_it_is_about_and_what_comes_next(as_clara: Client, story: Story) -> None:
    page = as_clara.get(f"/loops/{story.loop.id}/").content.decode()

    for words in (
        "María José García",
        "12 Apr 1961",
        "MRN-4471",
        "Not known",
        "Do what was asked",
        "Accept",
        "Decline",
    ):
        assert words in page, words


def test_an_outsider_gets_the_same_answer_as_for_nothing(as_olga: Client, story: Story) -> None:
    handoff = story.handoff()
    addresses = (
        f"/loops/{story.loop.id}/",
        f"/patients/{story.loop.patient_id}/",
        f"/loops/{story.loop.id}/evidence/DocumentReference/x/",
    )
    for address in addresses:
        there, nowhere = as_olga.get(address), as_olga.get("/loops/nothing/")
        assert (there.status_code, what_it_says(there, address)) == (404, what_it_says(nowhere, "/loops/nothing/"))
    done = as_olga.post(f"/loops/{story.loop.id}/handoffs/{handoff.id}/accept/", {"version": "1"})
    assert done.status_code == 404


def test_the_clinic_accepts_and_the_journal_says_so(as_clara: Client, story: Story) -> None:
    assert act(as_clara, story, "accept").status_code == 302  # type: ignore[attr-defined]

    page = as_clara.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Clara Consultant accepted it." in page
    assert "Accepted, to be booked" in page


def test_a_decline_needs_a_reason_and_the_summary_links_to_the_field(as_clara: Client, story: Story) -> None:
    answer = act(as_clara, story, "decline", reason_text="No room <b>at all</b>")

    page = answer.content.decode()  # type: ignore[attr-defined]
    assert answer.status_code == 422  # type: ignore[attr-defined]
    field = f"id_{story.handoff().id}-decline-reason"
    assert f'href="#{field}"' in page
    assert f'id="{field}"' in page
    assert "No room &lt;b&gt;at all&lt;/b&gt;" in page, "what was typed is kept"


def test_the_journal_names_who_took_over_to_the_side_that_they_work_for(
    as_ana: Client, as_boris: Client, as_clara: Client, story: Story
) -> None:
    story.does(story.clara, "decline", reason="no-capacity", reason_text="Full")
    story.does(story.ana, "reassign", "decide-next-step", owner="Practitioner/practitioner-boris", note="On leave")

    address = f"/loops/{story.loop.id}/"
    assert "New owner: Борис Иванов" in as_ana.get(address).content.decode()
    assert "Note: On leave" in as_ana.get(address).content.decode()
    assert "New owner" not in as_clara.get(address).content.decode()


def test_an_old_page_is_told_who_changed_it_and_nothing_happens(as_clara: Client, story: Story) -> None:
    handoff = story.handoff()
    story.does(story.clara, "accept")

    answer = as_clara.post(f"/loops/{story.loop.id}/handoffs/{handoff.id}/accept/", {"version": "1"})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "This changed while you had it open" in page
    assert "Clara Consultant accepted it." in page


def test_what_was_typed_into_an_old_page_is_not_lost(as_clara: Client, story: Story) -> None:
    handoff = story.handoff()
    story.does(story.clara, "accept")

    def on_the_old_page(action: str, **fields: str) -> str:
        typed = {f"{handoff.id}-{action}-{name}": text for name, text in fields.items()}
        answer = as_clara.post(f"/loops/{story.loop.id}/handoffs/{handoff.id}/{action}/", {"version": "1"} | typed)
        assert answer.status_code == 409
        return answer.content.decode()

    kept = on_the_old_page("ask-information", question="Which <b>drugs</b>?")
    assert "What you entered still stands in the form below." in kept
    assert re.search(r"<textarea[^>]*>\s*Which &lt;b&gt;drugs&lt;/b&gt;\?</textarea>", kept)
    assert f'name="version" value="{story.handoff().version}"' in kept, "sent once more, it is done"

    story.does(story.clara, "decline", reason="no-capacity", reason_text="Full")
    gone = on_the_old_page("ask-information", question="Which <b>drugs</b>?")
    assert not re.search(r"<textarea[^>]*>\s*Which", gone)
    assert "Which &lt;b&gt;drugs&lt;/b&gt;?" in gone


def test_somebody_who_may_do_nothing_sees_for_whom_it_waits(as_ana: Client, story: Story) -> None:
    page = as_ana.get(f"/loops/{story.loop.id}/").content.decode()

    assert "Cancel the request" in page
    assert ">Accept<" not in page


def test_a_report_written_here_is_reviewed_and_the_patient_told(
    as_clara: Client, as_ana: Client, as_boris: Client, story: Story
) -> None:
    store.write(
        {
            "resourceType": "ServiceRequest",
            "id": story.loop.request_id,
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{story.loop.patient_id}"},
            "reasonCode": [{"text": "Dyspnoea at rest"}],
        },
        actor=SYSTEM,
        audience=[story.loop.placer, story.loop.performer],
    )
    assert act(as_clara, story, "report").status_code == 422  # type: ignore[attr-defined]
    act(as_clara, story, "report", report_text="Ejection fraction 35 %.\n<script>alert(1)</script>")

    page = as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Review the report" in page
    assert "Dyspnoea at rest" in page
    link = next(part for part in page.split('"') if "/evidence/DocumentReference/" in part)
    document = as_ana.get(link).content.decode()
    assert "Ejection fraction 35 %." in document
    assert "<script>alert" not in document

    act(as_ana, story, "acknowledge", "review-report", plan="Start an ACE inhibitor", question_answered="false")
    assert story.loop.events.get(action="acknowledge").details["question_answered"] is False
    page = as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "The clinical question is answered: no" in page
    assert "Plan: Start an ACE inhibitor" in page
    act(as_boris, story, "tell", "notify-patient", channel="phone")
    assert Loop.objects.get(pk=story.loop.pk).stage == "closed"
    assert "This loop is closed" in as_ana.get(f"/loops/{story.loop.id}/").content.decode()


def test_a_report_told_by_telephone_is_written_down_for_a_performer_outside(
    as_ana: Client, story: Story, ana: User, maria: str
) -> None:
    store.write({"resourceType": "Organization", "id": "org-outside", "name": "Dr. Outside"}, actor=SYSTEM)
    told = Story(refer(ana, maria, "org-outside"), ana, story.clara)
    handoff = told.handoff()
    field = f"{handoff.id}-report-told"
    assert f'name="{field}-report_text"' in as_ana.get(f"/loops/{told.loop.id}/").content.decode()

    address = f"/loops/{told.loop.id}/handoffs/{handoff.id}/report/"
    entered = {"version": str(handoff.version), "attested": "yes", f"{field}-report_text": "Ejection fraction 35 %."}
    assert as_ana.post(address, entered).status_code == 422, "nobody knows who said so"
    assert not row_class("DocumentReference").rows("DocumentReference").exists(), "a refusal keeps nothing"
    heard = {f"{field}-channel": "phone", f"{field}-spoken_to": "Dr. Outside"}
    assert as_ana.post(address, entered | heard).status_code == 302

    event = told.loop.events.get(action="report")
    assert (event.attested, event.details["spoken_to"]) == (True, "Dr. Outside")
    assert told.handoff("review-report").is_open
    assert not Loop.objects.filter(kind="unsolicited").exists(), "it is no evidence that somebody has to match"
    page = as_ana.get(f"/loops/{told.loop.id}/").content.decode()
    link = next(part for part in page.split('"') if "/evidence/DocumentReference/" in part)
    assert "Ejection fraction 35 %." in as_ana.get(link).content.decode()


def test_a_narrative_never_becomes_markup(as_ana: Client, story: Story, ana: User) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>Left ventricle <b>dilated</b></p><script>steal()</script></div>'
    store.write(
        {
            "resourceType": "DocumentReference",
            "id": "doc-1",
            "status": "current",
            "description": "Echo <i>report</i>",
            "text": {"status": "generated", "div": div},
            "content": [
                {"attachment": {"contentType": "text/html", "data": "PHNjcmlwdD54PC9zY3JpcHQ+PHA+SGVsbG88L3A+"}}
            ],
        },
        actor=SYSTEM,
        audience=[story.loop.placer, story.loop.performer],
    )
    story.does(story.clara, "report", report="DocumentReference/doc-1")

    page = as_ana.get(f"/loops/{story.loop.id}/evidence/DocumentReference/doc-1/").content.decode()
    assert "Left ventricle dilated" in page
    assert "Hello" in page
    assert "steal()" not in page
    assert "Echo &lt;i&gt;report&lt;/i&gt;" in page


def test_a_loop_that_does_not_get_through_to_its_partner_says_so(as_ana: Client, story: Story) -> None:
    address = f"/loops/{story.loop.id}/"
    assert "does not get through" not in as_ana.get(address).content.decode()
    partner = Partner.objects.create(
        name="Lakeside EHR",
        base_url="https://ehr.example/fhir",
        organization="org-clinic",
        steward_pool=story.loop.accountable,
        created_at=clock.now(),
    )
    Link.objects.create(partner=partner, type="Task", local_id=story.handoff().id, state=Link.State.STUCK)

    page = as_ana.get(address).content.decode()
    assert f"between Baton and Lakeside EHR; {story.loop.accountable.name} mends it." in page


def test_it_is_sent_to_several_services_by_ticking_them_with_their_waits(
    as_ana: Client, as_clara: Client, story: Story, hospital: str, cardiology: str
) -> None:
    own = {"resourceType": "HealthcareService", "id": "own", "name": "Own clinic"}
    store.write(own | {"providedBy": {"reference": f"Organization/{hospital}"}}, actor=SYSTEM)
    story.does(story.clara, "decline", reason="no-capacity", reason_text="Full.")

    page = as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "about 18 days of waiting" in page
    assert page.index("Own clinic") < page.index("Heart failure clinic · "), "who has just declined comes last"

    day = reading.day(timezone.localdate(clock.now()).isoformat())
    label = f"about 18 days of waiting · asked before: declined on {day}, {REASONS['no-capacity'].label}"
    assert label in page, "what came of asking them before"
    assert page.count("asked before") == page.count(label)

    both = ["HealthcareService/own", f"HealthcareService/{cardiology}"]
    answer = act(as_ana, story, "redirect", "decide-next-step", performer=both, bidding="on")  # type: ignore[arg-type]
    assert answer.status_code == 302  # type: ignore[attr-defined]
    page = as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Performer: Own clinic, Heart failure clinic" in page, "the journal says to whom"
    theirs = as_clara.get(f"/loops/{story.loop.id}/").content.decode()
    assert "first of them to accept" not in theirs
    assert "another performer" not in theirs
    offers = Handoff.objects.filter(loop=story.loop, kind="fulfil", closed_at=None)
    assert {(one.owner.organization, one.is_offer) for one in offers} == {
        (hospital, True),
        (story.loop.performer, True),
    }

    own_offer = offers.get(owner__organization=hospital)
    workflow.perform(own_offer.id, "accept", people.actor_for(story.ana))
    story.does(story.ana, "tell", "notify-patient", channel="phone")
    lost = as_clara.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Your part of it has ended" in lost, "whoever has lost the bidding"
    assert "This loop is closed" not in lost


def test_after_the_end_the_report_can_still_be_declared_void_or_amended_on_the_page(
    as_ana: Client, as_clara: Client, story: Story
) -> None:
    act(as_clara, story, "report", report_text="Ejection fraction 35 %.")
    act(as_ana, story, "acknowledge", "review-report", plan="Start an ACE inhibitor", question_answered="false")
    story.does(story.ana, "tell", "notify-patient", channel="phone")
    assert Loop.objects.get(pk=story.loop.pk).closed_at
    page = as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Wrong patient or entered in error" in page

    fulfil = Handoff.objects.get(loop=story.loop, kind="fulfil")
    address = f"/loops/{story.loop.id}/handoffs/{fulfil.id}/amend/"
    assert address in as_clara.get(f"/loops/{story.loop.id}/").content.decode()
    typed = {"state": "corrected", "report_text": "Ejection fraction 53 %."}
    said = {f"{fulfil.id}-amend-{name}": text for name, text in typed.items()} | {"version": str(fulfil.version)}
    assert as_clara.post(address, said).status_code == 302
    later = Loop.objects.get(based_on=story.loop)
    assert later.handoffs.filter(kind="review-report", closed_at=None).exists()

    review = Handoff.objects.get(loop=story.loop, kind="review-report")
    said = {"version": str(review.version), f"{review.id}-void-reason": "wrong-patient"}
    assert as_ana.post(f"/loops/{story.loop.id}/handoffs/{review.id}/void/", said).status_code == 302
    assert later.handoffs.filter(kind="decide-next-step", stage="right-result", closed_at=None).exists()


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:00:00-05:00", "2026-02-30T10:00:00Z"])
def test_a_time_that_no_calendar_of_the_reader_has_is_shown_as_it_came(at: str) -> None:
    with timezone.override("America/New_York" if at.startswith("0") else "Asia/Tokyo"):
        assert reading.moment(at) == at
    assert reading.age("2030-01-01", date(2026, 11, 22)) == ""


def test_a_day_beyond_every_calendar_is_an_error_at_its_field(as_clara: Client, story: Story) -> None:
    answer = act(as_clara, story, "book", slot_end="9999-12-31T23:59")
    page = answer.content.decode()  # type: ignore[attr-defined]
    assert answer.status_code == 422  # type: ignore[attr-defined]
    assert "Please give a year between" in page
    assert 'value="9999-12-31T23:59"' in page


def test_what_happened_yesterday_at_a_performer_outside_starts_its_clock_yesterday(
    as_ana: Client, story: Story, ana: User, maria: str
) -> None:
    store.write({"resourceType": "Organization", "id": "org-outside", "name": "Dr. Outside"}, actor=SYSTEM)
    long_ago = clock.now() - timedelta(days=3)
    told = Story(refer(ana, maria, "org-outside", ordered_at=long_ago), ana, story.clara)
    handoff = told.handoff()
    yesterday = (clock.now() - timedelta(days=1)).replace(second=0, microsecond=0)
    field = f"{handoff.id}-accept-told"
    said = {"channel": "phone", "spoken_to": "Dr. Outside", "told_at": yesterday.strftime("%Y-%m-%dT%H:%M")}
    entered = {"version": str(handoff.version), "attested": "yes"} | {f"{field}-{key}": v for key, v in said.items()}
    address = f"/loops/{told.loop.id}/"
    ahead = {f"{field}-told_at": (clock.now() + timedelta(minutes=7)).strftime("%Y-%m-%dT%H:%M")}
    refused = as_ana.post(f"{address}handoffs/{handoff.id}/accept/", entered | ahead)
    assert refused.status_code == 422
    assert "This time is still to come: give when it has happened." in refused.content.decode()
    assert as_ana.post(f"{address}handoffs/{handoff.id}/accept/", entered).status_code == 302
    assert (told.handoff().stage_since, told.loop.events.get(action="accept").at) == (yesterday, yesterday)
    assert "To be confirmed once more by" in as_ana.get(address).content.decode()


def test_the_card_says_who_has_heard_that_it_is_late(as_ana: Client, as_clara: Client, story: Story) -> None:
    handoff = story.handoff()
    now = clock.now()
    Handoff.objects.filter(pk=handoff.pk).update(escalation_level=2)
    heard = people.owner_for("person", story.ana.practitioner, organization=story.loop.placer)
    Escalation.objects.create(handoff=handoff, due_at=handoff.due_at, level=2, owner=heard, recorded_at=now)
    assert "Escalated to" in as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Escalated to" not in as_clara.get(f"/loops/{story.loop.id}/").content.decode()


def test_a_cancellation_that_was_refused_leaves_no_reason_on_the_card(
    as_ana: Client, as_clara: Client, story: Story
) -> None:
    story.does(story.clara, "accept")
    story.does(story.clara, "start")
    story.does(story.ana, "request-cancellation", reason="no-longer-needed", reason_text="She feels well again.")
    story.does(story.clara, "refuse-cancellation", "request-cancellation", reason="other", reason_text="Half done.")
    for browser in (as_ana, as_clara):
        shown = browser.get(f"/loops/{story.loop.id}/")
        assert [card["reason"] for card in shown.context["cards"] if card["id"] == story.handoff().id] == [""]
        assert "She feels well again." in shown.content.decode(), "the journal still tells why it was asked"


def test_a_clock_that_is_a_little_fast_is_no_time_to_come(as_ana: Client, ana: User, maria: str) -> None:
    store.write({"resourceType": "Organization", "id": "org-outside", "name": "Dr. Outside"}, actor=SYSTEM)
    loop = refer(ana, maria, "org-outside")
    handoff = Handoff.objects.get(loop=loop, kind="fulfil")
    field, soon = f"{handoff.id}-accept-told", clock.now() + timedelta(minutes=3)
    said = {"channel": "phone", "spoken_to": "Dr. Outside", "told_at": soon.strftime("%Y-%m-%dT%H:%M")}
    entered = {"version": str(handoff.version), "attested": "yes"} | {f"{field}-{key}": v for key, v in said.items()}
    assert as_ana.post(f"/loops/{loop.id}/handoffs/{handoff.id}/accept/", entered).status_code == 302
    assert loop.events.get(action="accept").at <= clock.now()
