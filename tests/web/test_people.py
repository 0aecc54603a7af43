"""People on the screens: writing down an absence, standing in, handing work over, and leaving."""

from typing import Any

import pytest
from django.test import Client

from records import clock, store
from records.access import SYSTEM
from referrals import people
from referrals.models import Absence, Handoff, Loop, User
from tests.web.conftest import Story, browser_of, organization, person, refer

pytestmark = pytest.mark.django_db
AWAY = {"starts_at": "2020-01-06T08:00", "ends_at": "2090-01-13T08:00"}


@pytest.fixture
def dana(hospital: str) -> User:
    return person("dana", "Dana", "Deputy", at=hospital, roles=["practitioner"])


@pytest.fixture
def boss(hospital: str) -> User:
    return person("boss", "Bo", "Boss", at=hospital, roles=["supervisor"])


def question_of(story: Story) -> Handoff:
    """Ana has a question to answer."""
    Loop.objects.filter(pk=story.loop.pk).update(responsible=people.owner_for("person", story.ana.practitioner))
    story.does(story.clara, "ask-information", question="Since when?")
    return story.handoff("provide-information")


def absence_of(user: User, surrogate: User | None) -> dict[str, str]:
    named = f"Practitioner/{surrogate.practitioner}" if surrogate else ""
    return {"person": f"Practitioner/{user.practitioner}", "surrogate": named} | AWAY


def test_one_writes_down_an_absence_and_the_surrogate_sees_for_whom_it_is(story: Story, dana: User) -> None:
    question_of(story)
    answer = browser_of(story.ana).post("/people/", absence_of(story.ana, dana), follow=True)
    assert "The absence is written down." in answer.content.decode()
    page = browser_of(dana).get("/?scope=mine").content.decode()
    assert "for Ana Fernández, who is away" in page
    assert "Ana Fernández" in browser_of(dana).get("/people/").content.decode()
    assert "End it" not in browser_of(dana).get("/people/").content.decode()


def test_an_absence_that_makes_no_sense_comes_back_with_what_was_typed(story: Story) -> None:
    as_ana = browser_of(story.ana)
    for wrong in ({"ends_at": "2019-01-01T08:00"}, {"surrogate": f"Practitioner/{story.ana.practitioner}"}):
        answer = as_ana.post("/people/", absence_of(story.ana, None) | wrong)
        assert answer.status_code == 422
        assert "Please check this first" in answer.content.decode()
    assert not Absence.objects.exists()


def test_for_others_only_a_supervisor_writes_it_down(story: Story, dana: User, boss: User) -> None:
    assert browser_of(dana).post("/people/", absence_of(story.ana, dana)).status_code == 422
    assert browser_of(boss).post("/people/", absence_of(story.ana, dana)).status_code == 302
    absence = Absence.objects.get()
    assert browser_of(dana).post(f"/people/absences/{absence.pk}/end/").status_code == 404
    assert browser_of(story.ana).post(f"/people/absences/{absence.pk}/end/").status_code == 302
    assert browser_of(story.ana).post("/people/absences/²/end/").status_code == 404


def test_a_standing_surrogate_is_chosen(ana: User, dana: User) -> None:
    browser_of(ana).post("/people/surrogate/", {"surrogate": f"Practitioner/{dana.practitioner}"})
    assert people.owner_for("person", ana.practitioner).surrogate == people.owner_for("person", dana.practitioner)
    browser_of(ana).post("/people/surrogate/", {"surrogate": ""})
    assert people.owner_for("person", ana.practitioner).surrogate is None


def test_chosen_rows_are_handed_over_without_javascript(
    story: Story, boris: User, dana: User, maria: str, clinic: str
) -> None:
    refer(story.ana, maria, clinic, "Dermatology")
    mine = question_of(story)
    outside = story.handoff()
    as_boris = browser_of(boris)
    boris.language = "en"
    boris.save()
    page = as_boris.get("/?scope=organisation").content.decode()
    assert f'name="handoff" value="{mine.id}"' in page
    assert f'name="handoff" value="{outside.id}"' not in page
    form = {
        "handoff": [mine.id, outside.id],
        "owner": f"Practitioner/{dana.practitioner}",
        "note": "Leave",
        "next": "/?scope=organisation",
    }
    answer = as_boris.post("/reassign/", form, follow=True)
    said = answer.content.decode()
    assert answer.redirect_chain[0][0] == "/?scope=organisation"
    assert "1 task was handed over." in said
    assert "Do what was asked · Cardiology stays: only its owner" in said
    assert Handoff.objects.get(pk=mine.id).owner.key == dana.practitioner


def test_handing_over_leads_nowhere_else_and_needs_somebody(as_boris: Client, story: Story) -> None:
    mine = question_of(story)
    for form in (
        {"handoff": mine.id, "next": "https://evil.example/"},
        {"owner": "Practitioner/nobody", "next": "//evil"},
    ):
        answer = as_boris.post("/reassign/", form)
        assert answer["Location"] == "/"
    assert as_boris.get("/reassign/")["Location"] == "/"


def test_a_leaver_is_kept_by_open_work_until_it_is_handed_over_and_then_signed_out(
    story: Story, boss: User, dana: User
) -> None:
    mine = question_of(story)
    leaving = f"/people/{story.ana.practitioner}/leave/"
    as_ana, as_boss = browser_of(story.ana), browser_of(boss)
    assert as_ana.get("/").status_code == 200
    kept = as_boss.post(leaving)
    assert kept.status_code == 409
    assert f'href="/loops/{story.loop.id}/"' in kept.content.decode()
    given = {"owner": f"Practitioner/{dana.practitioner}", "all": "1"}
    answer = as_boss.post(f"/people/{story.ana.practitioner}/hand-over/", given, follow=True)
    assert "Nothing is left with" in answer.content.decode()
    assert Handoff.objects.get(pk=mine.pk).owner.key == dana.practitioner
    assert as_boss.post(leaving).status_code == 302
    assert as_ana.get("/")["Location"].startswith("/sign-in/"), "the session has ended"


def test_what_keeps_a_leaver_can_be_told_apart_by_patient_order_and_due_time(story: Story, boss: User) -> None:
    mine = question_of(story)
    page = browser_of(boss).post(f"/people/{story.ana.practitioner}/leave/")
    first, *others = page.context["left"]
    assert (first["patient"], first["title"], first["due_at"]) == ("María José García", "Cardiology", mine.due_at)
    assert all(one["title"] == "Cardiology" for one in others if one["loop"])
    shown = page.content.decode()
    assert "María José García · Cardiology" in shown
    assert "due in" in shown


def test_of_what_keeps_a_leaver_chosen_lines_go_to_one_colleague_and_the_rest_to_another(
    story: Story, boss: User, dana: User, boris: User, maria: str, clinic: str
) -> None:
    mine, leaving = question_of(story), f"/people/{story.ana.practitioner}/leave/"
    other = refer(story.ana, maria, clinic, "Dermatology")
    Loop.objects.filter(pk=other.pk).update(responsible=people.owner_for("person", story.ana.practitioner))
    as_boss, over = browser_of(boss), f"/people/{story.ana.practitioner}/hand-over/"
    page = as_boss.get(leaving)
    assert page.status_code == 200
    assert f'name="line" value="{mine.id}"' in page.content.decode()
    assert User.objects.get(pk=story.ana.pk).memberships.exists(), "to look at it lets nobody go"
    nothing = as_boss.post(over, {"owner": f"Practitioner/{dana.practitioner}"}, follow=True)
    assert "Choose what is to be handed over." in nothing.content.decode()
    chosen = {"owner": f"Practitioner/{dana.practitioner}", "line": [mine.id, story.loop.id], "note": "Leaves"}
    rest = as_boss.post(over, chosen, follow=True)
    assert rest.redirect_chain[0][0] == leaving
    assert "2 tasks were handed over." in rest.content.decode()
    assert [one["key"] for one in rest.context["left"] if one["loop"]] == [other.pk]
    assert Handoff.objects.get(pk=mine.pk).owner.key == dana.practitioner
    as_boss.post(over, {"owner": f"Practitioner/{boris.practitioner}", "all": "1"})
    owners = [Loop.objects.get(pk=key).responsible for key in (story.loop.pk, other.pk)]
    assert [one.key for one in owners if one] == [dana.practitioner, boris.practitioner]
    assert as_boss.post(leaving).status_code == 302


def test_one_click_on_the_list_of_colleagues_lets_nobody_go(story: Story, boss: User, dana: User) -> None:
    page, leaving = browser_of(boss).get("/people/").content.decode(), f"/people/{dana.practitioner}/leave/"
    assert f'<a class="button" href="{leaving}"' in page
    assert f'action="{leaving}"' not in page
    asked = browser_of(boss).get(leaving).content.decode()
    assert "From then on" in asked
    assert f'action="{leaving}"' in asked
    assert User.objects.get(pk=dana.pk).memberships.exists(), "to look at it lets nobody go"


def test_nobody_else_lets_people_go(story: Story, dana: User, as_olga: Client) -> None:
    for client in (browser_of(dana), as_olga):
        for action in ("leave", "hand-over"):
            assert client.post(f"/people/{story.ana.practitioner}/{action}/").status_code == 404
        assert "/leave/" not in client.get("/people/").content.decode()
    assert User.objects.get(pk=story.ana.pk).is_active


def test_the_forms_of_a_loop_name_the_colleagues(story: Story, dana: User, as_ana: Client) -> None:
    question_of(story)
    page: Any = as_ana.get(f"/loops/{story.loop.id}/").content.decode()
    assert "Hand over to a colleague" in page
    assert "Dana Deputy" in page


def test_what_could_not_be_handed_over_is_named_in_words(story: Story, dana: User) -> None:
    task = story.handoff()
    given = {"handoff": [task.id], "owner": f"Practitioner/{dana.practitioner}"}
    page = browser_of(story.ana).post("/reassign/", given, follow=True).content.decode()
    assert "Do what was asked · Cardiology stays: only its owner" in page
    assert f"Task {task.id}" not in page


def test_a_task_of_another_house_is_called_as_one_that_does_not_exist(
    story: Story, ana: User, dana: User, clinic: str
) -> None:
    elsewhere = organization("org-eye", "Eye Hospital")
    erik = person("erik", "Erik", "Eye", at=elsewhere, roles=["practitioner"])
    patient = {"resourceType": "Patient", "id": "patient-pia", "name": [{"family": "Private"}]}
    store.write(patient, actor=SYSTEM, audience=[elsewhere, clinic])
    theirs = Handoff.objects.get(loop=refer(erik, "patient-pia", clinic, "Orthopaedic clinic"), kind="fulfil")
    said = []
    for key in (theirs.id, clock.new_id()):
        form = {"handoff": key, "owner": f"Practitioner/{dana.practitioner}"}
        answer = browser_of(ana).post("/reassign/", form, follow=True)
        said += [[str(one) for one in answer.context["messages"]]]
    assert said[0] == said[1] == ["A task stays: There is no such task."]


def test_an_absence_that_was_ended_is_written_down_again_from_an_earlier_hour(story: Story) -> None:
    as_ana, away = browser_of(story.ana), absence_of(story.ana, None)
    for _time in range(2):
        assert as_ana.post("/people/", away).status_code == 302
        assert as_ana.post("/people/", away).status_code == 422, "what is not over stands in the way"
        current = Absence.objects.latest("pk")
        as_ana.post(f"/people/absences/{current.pk}/end/")
    assert Absence.objects.count() == 2


def test_who_leaves_takes_nothing_over_from_themself(story: Story, boss: User) -> None:
    mine = question_of(story)
    as_boss, person = browser_of(boss), story.ana.practitioner
    offered = as_boss.get(f"/people/{person}/leave/").context["form"].fields["owner"].choices
    assert f"Practitioner/{boss.practitioner}" in dict(offered)
    assert f"Practitioner/{person}" not in dict(offered)
    for wrong, why in ((person, "It is theirs already: choose somebody else."), ("nobody", "")):
        given = {"owner": f"Practitioner/{wrong}", "all": "1"}
        page = as_boss.post(f"/people/{person}/hand-over/", given, follow=True)
        assert why in page.content.decode()
        assert "handed over." not in page.content.decode()
    assert Handoff.objects.get(pk=mine.pk).owner.key == person
