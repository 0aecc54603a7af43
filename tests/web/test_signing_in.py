"""Nobody gets in without a password, and nobody is led out of the house."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from referrals.models import Membership, User
from tests.web.conftest import PASSWORD, Story, organization

pytestmark = pytest.mark.django_db


def test_every_page_asks_a_stranger_to_sign_in() -> None:
    for name in ("worklist", "new-referral", "new-follow-up", "new-test-order", "patients", "sync"):
        answer = Client().get(reverse(name))
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/sign-in/")


def test_the_right_password_leads_to_the_worklist_in_the_persons_language(boris: User) -> None:
    client = Client()

    answer = client.post("/sign-in/", {"username": "boris", "password": PASSWORD}, follow=True)

    assert answer.redirect_chain == [("/", 302)]
    assert '<html lang="ru">' in answer.content.decode()


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(ana: User) -> None:
    known = Client().post("/sign-in/", {"username": "ana", "password": "wrong"})
    unknown = Client().post("/sign-in/", {"username": "nobody", "password": "wrong"})

    assert known.context["form"].errors == unknown.context["form"].errors


def test_too_many_tries_are_stopped_however_the_name_is_spelled(ana: User) -> None:
    client = Client()
    for spelling in ["ana", "ANA", "Ana", "ａna", "anA"] * 2:
        last = client.post("/sign-in/", {"username": spelling, "password": "wrong"})
    assert last.status_code == 429

    assert client.post("/sign-in/", {"username": "ana", "password": PASSWORD}).status_code == 429


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_nobody_is_sent_to_a_strange_place(ana: User, target: str) -> None:
    signed_in = Client().post("/sign-in/", {"username": "ana", "password": PASSWORD, "next": target})
    switched = Client().post("/language/", {"language": "es", "next": target})

    assert [signed_in["Location"], switched["Location"]] == ["/", "/"]


def test_whose_session_ends_over_a_form_comes_back_to_the_page_that_it_stands_on(as_ana: Client, story: Story) -> None:
    page = f"/loops/{story.loop.id}/"
    form = f"{page}handoffs/{story.handoff().id}/cancel/"
    stranger = Client()

    def asked(address: str, referer: str = "") -> str:
        answer = stranger.post(address, headers={"referer": referer})
        return parse_qs(urlsplit(answer["Location"]).query)["next"][0]

    assert asked(form) == page
    assert (
        asked("/new/referral/discard/", "http://testserver/new/referral/details/?a=b") == "/new/referral/details/?a=b"
    )
    assert asked("/sync/retry/", f"http://testserver{form}") == page, "an address for forms can't be opened"
    assert asked("/sync/retry/", "https://evil.example/sync/") == "/"
    assert asked("/sync/retry/", "http://testserver/no/such/page/") == "/"
    assert as_ana.get(form)["Location"] == page
    assert as_ana.get("/new/for-patient/")["Location"] == "/new/referral/"
    assert as_ana.get("/new/follow-up/discard/")["Location"] == "/new/follow-up/patient/"


def test_the_language_can_be_chosen_before_signing_in() -> None:
    client = Client()
    client.post("/language/", {"language": "es", "next": "/sign-in/"})

    assert '<html lang="es">' in client.get("/sign-in/").content.decode()


def test_a_signed_in_person_keeps_the_language_they_chose(as_ana: Client, ana: User) -> None:
    as_ana.post("/language/", {"language": "ru"})

    ana.refresh_from_db()
    assert ana.language == "ru"


def test_somebody_with_two_memberships_chooses_one(as_ana: Client, ana: User) -> None:
    Membership.objects.create(user=ana, organization=organization("org-two", "Second House"), roles=["coordinator"])

    assert as_ana.get("/")["Location"] == "/workplace/"
    as_ana.post("/workplace/", {"organization": "org-two"})
    assert "Second House" in as_ana.get("/").content.decode()


def test_an_organisation_that_is_not_ones_own_cant_be_chosen(as_ana: Client, ana: User, clinic: str) -> None:
    as_ana.post("/workplace/", {"organization": clinic})

    assert "Lakeside Clinic" not in as_ana.get("/").content.decode()


def test_signing_out_needs_a_post(as_ana: Client) -> None:
    assert as_ana.get("/sign-out/").status_code == 405
    assert as_ana.post("/sign-out/")["Location"] == "/sign-in/"
    assert as_ana.get("/").status_code == 302


def test_a_form_without_its_token_is_refused_without_a_trace(ana: User) -> None:
    answer = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "ana", "password": PASSWORD})

    assert answer.status_code == 403
    assert "traceback" not in answer.content.decode().lower()


def test_pages_forbid_foreign_frames_scripts_and_styles() -> None:
    answer = Client().get("/sign-in/")

    policy = answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
