"""A birth date may be typed as the page shows it, in the reader's language."""

import pytest
from django.test import Client
from django.utils import translation

from web.typed_dates import with_iso


@pytest.mark.parametrize(
    ("language", "typed"),
    [
        ("en", "12 Apr 1961"),
        ("en", "12 april 1961"),
        ("es", "12 de abril de 1961"),
        ("es", "12 abr 1961"),
        ("ru", "12 апреля 1961"),
        ("ru", "12 апр. 1961"),
        ("en", "12.04.1961"),
        ("en", "12/4/1961"),
    ],
)
def test_a_date_is_understood_as_it_is_shown(language: str, typed: str) -> None:
    with translation.override(language):
        assert with_iso(f"García, {typed} Ana") == "García, 1961-04-12 Ana"


@pytest.mark.parametrize(
    "typed", ["31 Feb 1961", "12 García 1961", "12 a 1961", "MRN-12.04.19611", "1961-04-12", "99/99/9999"]
)
def test_what_is_no_date_stays_as_it_was_typed(typed: str) -> None:
    assert with_iso(typed) == typed


@pytest.mark.django_db
def test_a_patient_is_found_by_the_birth_date_that_the_list_shows(as_ana: Client, maria: str) -> None:
    page = as_ana.post("/patients/", {"find": "García, 12 Apr 1961"}, follow=True).content.decode()
    assert f"/patients/{maria}/" in page
    assert "12 Apr 1961" in page
