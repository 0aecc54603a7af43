"""Who we are at a partner: every kind of credentials, kept secret, sent to the registered origins alone."""

import base64
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from bench.fake_ehr import FakeEhr
from fhir_bridge import status
from fhir_bridge.capabilities.abilities import Abilities, Smart
from fhir_bridge.connecting import keys, partners, tokens
from fhir_bridge.connecting.credentials import Credentials, put
from fhir_bridge.models import Partner
from records import errors
from tests.fhir_bridge.authority import Authority, read_task
from tests.fhir_bridge.story import HOSPITAL, Story

SECRET = "s3cret-and-long-enough"


# What is registered


def test_a_bearer_token_and_a_password_go_to_the_partner_as_they_are(hospital: Partner, ehr: FakeEhr) -> None:
    assert read_task(hospital, ehr) == ""
    put(hospital, Credentials("bearer", SECRET))
    assert read_task(hospital, ehr) == f"Bearer {SECRET}"
    put(hospital, Credentials("basic", "pässword", "baton"))
    assert base64.b64decode(read_task(hospital, ehr).removeprefix("Basic ")).decode() == "baton:pässword"


@pytest.mark.parametrize(
    "wrong",
    [
        Credentials("bearer", "short"),
        Credentials("bearer", "with\r\nHost: evil-and-long"),
        Credentials("bearer", ""),
        Credentials("basic", "secret", ""),
        Credentials("basic", "secret", "a:b"),
        Credentials("basic", "", "baton"),
        Credentials("basic", "a\nb", "baton"),
        Credentials("client-credentials", "", "baton"),
        Credentials("client-credentials", "secret", "ba ton"),
        Credentials("client-credentials", "secret", "baton", 'system/"x"'),
        Credentials("client-credentials", "secret", "baton", "a  b"),
        Credentials("client-credentials", "secret", "baton", "", "http://auth.example/token"),
        Credentials("smart-backend", "", ""),
        Credentials("negotiate", "x", "y"),
    ],
)
def test_credentials_that_can_not_be_are_refused_and_not_repeated(wrong: Credentials) -> None:
    with pytest.raises(errors.Incorrect) as caught:
        wrong.checked("https://ehr.example/fhir")
    assert not wrong.secret or wrong.secret not in caught.value.message
    assert "s3cret" not in repr(Credentials("bearer", SECRET))


def test_no_kind_of_credentials_goes_over_plain_http() -> None:
    for kind in Partner.Auth.values:
        known = Credentials(kind, SECRET, "baton")
        if kind != "none":
            with pytest.raises(errors.Incorrect, match="https"):
                known.checked("http://ehr.example/fhir")
        known.checked("https://ehr.example/fhir")
        known.checked("http://127.0.0.1:8080/fhir")


@pytest.mark.usefixtures("story")
def test_a_secret_is_encrypted_at_rest(db: None) -> None:
    known = Credentials("bearer", SECRET)
    partner = partners.add("A", "https://ehr.example/fhir", organization=HOSPITAL, credentials=known)
    assert SECRET not in Partner.objects.values_list("secret", flat=True).get(pk=partner.pk)
    assert "s3cret" not in str(status.of(partner))


TRICKS = [
    "ftp://auth.example/token",
    "//auth.example/token",
    "auth.example/token",
    "https:///token",
    "https:/auth.example/token",
    "https://user:secret@auth.example/token",
    "https://auth.example@evil.example/token",
    "https://auth.example\\@evil.example/token",
    "https://auth.example/token?next=<x>",
    "https://auth.example/token#x",
    "https://auth.example:0/token",
    "https://auth.example:65536/token",
    "https://auth.example:x/token",
    "https://auth.example/a/../token",
    "https://auth.example/%2e%2e/token",
    "https://auth.example//token",
    "https://auth.example/to ken",
    "https://auth.example/token\r\nHost: evil",
    "https://auth.example/\ttoken",
    "https://2130706433/token",
    "https://0x7f000001/token",
    "https://127.1/token",
    "https://0/token",
    "https://0.0.0.0/token",
    "https://169.254.169.254/token",
    "https://[fe80::1]/token",
    "https://[::]/token",
    "https://auth。example/token",
    "https://аuth.example/token",
    "https://-auth.example/token",
    "https://auth..example/token",
    "http://auth.example/token",
    "http://127.0.0.1.evil.example/token",
    "http://localhost.evil.example/token",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/plain,x",
]


@pytest.mark.parametrize("url", TRICKS)
def test_a_token_address_that_hides_where_it_leads_is_refused(url: str, hospital: Partner, ehr: FakeEhr) -> None:
    with pytest.raises(errors.Incorrect) as caught:
        Credentials("smart-backend", "", "baton", "", url).checked("https://ehr.example/fhir")
    assert "secret" not in caught.value.message

    put(hospital, Credentials("smart-backend", "", "baton"))
    hospital.abilities = Abilities(smart=Smart(url)).stored()
    with pytest.raises(errors.Unauthenticated, match="partner set"):
        tokens.endpoint(hospital)


# Where our proof goes


def test_a_token_endpoint_on_another_server_has_to_be_registered(
    story: Story, hospital: Partner, ehr: FakeEhr, authority: Authority
) -> None:
    put(hospital, Credentials("smart-backend", "", "baton"))
    hospital.abilities = Abilities(smart=Smart(authority.url, signing_algs=frozenset({"ES384"}))).stored()
    hospital.save()
    keys.rotate("ES384")
    authority.key_set = {"keys": keys.published()}
    with pytest.raises(errors.Unauthenticated, match="another server"):
        read_task(hospital, ehr)
    assert authority.asked == []

    hospital.token_url = authority.url
    assert read_task(hospital, ehr) == "Bearer token-1"


def test_one_on_the_partners_own_origin_is_taken_from_its_configuration(hospital: Partner, ehr: FakeEhr) -> None:
    put(hospital, Credentials("smart-backend", "", "baton"))
    own = ehr.base_url.replace("/fhir", "/auth/token/")
    hospital.abilities = Abilities(smart=Smart(own)).stored()
    assert tokens.endpoint(hospital) == own
    hospital.abilities = {}
    with pytest.raises(errors.Unauthenticated, match="Nothing says"):
        tokens.endpoint(hospital)


def test_another_partners_token_is_never_used(
    story: Story, backend: Partner, ehr: FakeEhr, authority: Authority
) -> None:
    read_task(backend, ehr)
    with FakeEhr() as second:
        known = Credentials("smart-backend", "", "baton", "", authority.url)
        other = partners.add(
            "Clinic", second.base_url, organization=HOSPITAL, steward_pool=story.pool, credentials=known
        )
        other.abilities = backend.abilities
        assert read_task(other, second) == "Bearer token-2"


def test_the_command_registers_a_client_without_showing_its_secret(
    story: Story, ehr: FakeEhr, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTNER_SECRET", SECRET)
    said = StringIO()
    arguments = ["add", "Clinic", ehr.base_url, "--organization", HOSPITAL, "--steward-pool", story.pool]
    login = ["--auth", "client-credentials", "--client-id", "baton", "--token-url", authority.url]
    call_command("partner", *arguments, *login, stdout=said, stderr=said)
    assert partners.by_name("Clinic").token_url == authority.url
    assert SECRET not in said.getvalue()
    with pytest.raises(CommandError, match="https"):
        call_command("partner", "add", "B", "http://ehr.example", "--organization", HOSPITAL, *login)
