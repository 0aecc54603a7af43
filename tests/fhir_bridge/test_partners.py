"""Registering a partner: the address means what it shows, and the secret is nobody's to read."""

import pytest
from django.core.management import CommandError, call_command

from fhir_bridge.connecting import addresses, partners
from records import errors
from records.models import Tenant
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://EHR.example/fhir/", "https://ehr.example/fhir"),
        ("https://ehr.example:443/fhir/R4", "https://ehr.example/fhir/R4"),
        ("http://127.0.0.1:58105/fhir", "http://127.0.0.1:58105/fhir"),
        ("http://[::1]:80/fhir", "http://[::1]/fhir"),
        ("https://ehr.example", "https://ehr.example"),
    ],
)
def test_an_address_has_one_spelling(url: str, normal: str) -> None:
    assert partners.base_of(url) == normal


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ehr.example/fhir",
        "ehr.example/fhir",
        "https:///fhir",
        "https://user:secret@ehr.example/fhir",
        "https://ehr.example@evil.example/fhir",
        "https://ehr.example/fhir?x=1",
        "https://ehr.example/fhir#x",
        "https://ehr.example:0/fhir",
        "https://ehr.example:99999/fhir",
        "https://ehr.example/a/../b",
        "https://ehr.example/%2e%2e/b",
        "https://ehr.example\\@evil.example/",
        "https://ehr.example/a b",
        "https://ehr.example/\r\nHost: evil",
        "http://2130706433/fhir",
        "http://0x7f.0.0.1/fhir",
        "http://0x7f000001/fhir",
        "http://127.1/fhir",
        "http://0/fhir",
        "http://0.0.0.0/fhir",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/fhir",
        "http://ehr。example/fhir",
        "http://-ehr.example/fhir",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_address_that_hides_where_it_leads_is_refused(url: str) -> None:
    with pytest.raises(errors.Incorrect):
        partners.base_of(url)


TOKENS = "https://login.example/t/oauth2/token"


@pytest.mark.parametrize("url", [TOKENS, f"{TOKENS}/", f"{TOKENS}?api-version=1.0", f"{TOKENS}/?a=b&c=d%20e"])
def test_a_token_endpoint_keeps_the_slash_and_the_query_that_it_has(url: str) -> None:
    assert addresses.endpoint_of(url) == url


@pytest.mark.parametrize("rest", ["?", "?a=b#c", "#c?a=b", "?a=b c", "?a=b\r\nHost: evil", "?a=ü", "/../x?a=b"])
def test_a_token_endpoint_whose_query_hides_something_is_refused(rest: str) -> None:
    with pytest.raises(errors.Incorrect):
        addresses.endpoint_of(f"{TOKENS}{rest}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Hospital", "https://ehr.example/fhir", "--organization", "nobody"], "no Organization"),
        (["Hospital", "https://user:pw@ehr.example/fhir", "--organization", HOSPITAL], "credentials"),
        (["Hospital", "https://ehr.example/fhir", "--organization", HOSPITAL, "--steward-pool", "x"], "no pool"),
        (["Taken", "https://ehr.example/fhir", "--organization", HOSPITAL], "already"),
    ],
)
@pytest.mark.usefixtures("story")
def test_the_command_says_in_one_line_what_is_wrong(arguments: list[str], words: str) -> None:
    partners.add("Taken", "https://taken.example/fhir", organization=HOSPITAL)

    with pytest.raises(CommandError) as caught:
        call_command("partner", "add", *arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whose_work_the_mending_is_has_to_be_said_where_several_work(story: Story) -> None:
    Tenant.objects.create(organization=HOSPITAL, name="Hospital")

    with pytest.raises(errors.Incorrect) as caught:
        partners.add("A", "https://a.example/fhir", organization=HOSPITAL)
    assert f"{HOSPITAL}, {PRACTICE}" in caught.value.message

    by_tenant = partners.add("A", "https://a.example/fhir", organization=HOSPITAL, steward_pool=PRACTICE)
    assert by_tenant.steward_pool.key == story.pool
