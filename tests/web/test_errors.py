"""What goes wrong is told in plain words, without data and without a trace."""

from typing import Any

import pytest
from django.test import Client, RequestFactory

from records.errors import Conflict, Gone, Malformed, NotFound, Stale, Throttled, Unavailable
from tests.web.conftest import Story
from web.errors import error_page, failed

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Malformed, 400),
        (NotFound, 404),
        (Gone, 404),
        (Conflict, 409),
        (Stale, 409),
        (Throttled, 429),
        (Unavailable, 503),
    ],
)
def test_each_category_has_its_page_and_none_repeats_the_message(error: Any, status: int) -> None:
    answer = error_page(RequestFactory().get("/"), error("Ana García's file"))

    assert answer.status_code == status
    assert "García" not in answer.content.decode()


def test_a_broken_house_still_has_a_page(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = failed(RequestFactory().get("/"))

    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()


def test_an_unknown_address_is_a_page_of_ours(as_ana: Client) -> None:
    answer = as_ana.get("/no/such/page/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_the_page_of_a_loop_costs_a_known_number_of_queries(
    as_clara: Client, story: Story, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(24):
        as_clara.get(f"/loops/{story.loop.id}/")


@pytest.mark.parametrize("path", ["/loops/%00/", "/loops/a%00b/", "/patients/%00/", "/loops/x/evidence/Patient/%00/"])
def test_an_address_with_a_nul_leads_nowhere(as_ana: Client, path: str) -> None:
    assert as_ana.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/reassign/", "handoff"),
        ("/adopt/decide/", "request"),
        ("/patients/", "find"),
        ("/people/practitioner-ana/hand-over/", "owner"),
        ("/new/for-patient/", "patient"),
        ("/new/referral/patient/", "patient"),
        ("/people/", "a\0name"),
    ],
)
def test_a_form_with_a_nul_is_refused_whichever_it_is(as_ana: Client, path: str, name: str) -> None:
    form = {"owner": "Practitioner/practitioner-ana", "kind": "referral"}
    answer = as_ana.post(path, form | {name: "a\0b"})
    assert answer.status_code == 400
    assert "Go back, check what you entered" in answer.content.decode()
