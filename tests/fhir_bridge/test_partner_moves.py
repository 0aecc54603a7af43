"""A partner's server moves, its stewards change: what may be set while an exchange is going on, and what is refused."""

import json

import pytest
from django.core.management import CommandError

from bench.fake_ehr import FakeEhr
from fhir_bridge.connecting import partners, wire
from fhir_bridge.connecting.credentials import Credentials, put
from fhir_bridge.models import Link, Partner, Subscription, Watermark
from fhir_bridge.outbound import pushing
from records import clock
from records.models import Tenant
from referrals import people
from referrals.models import SignOfLife
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story
from tests.fhir_bridge.test_partner_command import audited, run, told

OLD = "http://127.0.0.1:9/fhir"
SECRET = "s3cret-and-long-enough"


@pytest.fixture
def mistyped(story: Story) -> Partner:
    """Registered with an address where nobody answers."""
    return partners.add("Hospital", OLD, organization=HOSPITAL, steward_pool=story.pool)


def at(partner: Partner) -> str:
    return Partner.objects.get(pk=partner.pk).base_url


def test_a_mistyped_address_is_put_right_and_the_partner_asked_what_it_can(mistyped: Partner, ehr: FakeEhr) -> None:
    Subscription.objects.create(partner=mistyped, type="Task", key="k", created_at=clock.now())
    Watermark.objects.create(partner=mistyped, type="Task", until=clock.now())

    done = told("set", "Hospital", "--base-url", f"{ehr.base_url}/")

    assert done["changed"] == ["base-url"]
    assert {"about": "connection", "result": "ok"}.items() <= done["findings"][0].items()
    hospital = partners.by_name("Hospital")
    assert (hospital.base_url, hospital.abilities_seen_at is None) == (ehr.base_url, False)
    assert partners.connect(hospital).origin == wire.origin(ehr.base_url)
    assert not Subscription.objects.exists()
    assert not Watermark.objects.exists()
    assert f"base-url = {ehr.base_url}" in audited()[-1]["details"]


def test_a_partner_with_links_stays_where_it_is_until_somebody_says_that_it_has_moved(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    pushing.run_once(hospital)
    names = set(Link.objects.values_list("remote_id", flat=True))
    with FakeEhr() as new_house:
        new_house.store.update(ehr.store)
        with pytest.raises(CommandError, match="--moved"):
            run("set", "Hospital", "--base-url", new_house.base_url)
        assert at(hospital) == ehr.base_url

        said = run("set", "Hospital", "--base-url", new_house.base_url, "--moved")

        assert "rewound-check" in said
        assert set(Link.objects.values_list("remote_id", flat=True)) == names
        before = len(ehr.requests)
        story.refer()
        pushing.run_once(partners.by_name("Hospital"))
        assert len(new_house.all("Task")) == 2
        assert len(ehr.requests) == before


def test_what_is_being_sent_is_waited_for(story: Story, hospital: Partner) -> None:
    story.refer()
    Link.objects.update(state=Link.State.INFLIGHT)
    with pytest.raises(CommandError, match="being sent"):
        run("set", "Hospital", "--base-url", "http://127.0.0.1:9/fhir", "--moved")


def test_moving_needs_an_address(hospital: Partner) -> None:
    with pytest.raises(CommandError, match="--base-url"):
        run("set", "Hospital", "--moved")


def test_a_secret_is_not_carried_to_an_origin_that_it_was_not_given_for(
    story: Story, hospital: Partner, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hospital, Credentials("bearer", SECRET))
    hospital.save()
    with FakeEhr() as other:
        for more in ([], ["--moved"], ["--client-id", "baton"]):
            with pytest.raises(CommandError, match="--secret"):
                run("set", "Hospital", "--base-url", other.base_url, *more)
        assert other.requests == []

        told("set", "Hospital", "--base-url", f"{ehr.base_url}/r4")  # the same origin
        monkeypatch.setenv("PARTNER_SECRET", "another-s3cret")
        run("set", "Hospital", "--base-url", other.base_url, "--secret")

        assert at(hospital) == other.base_url
        sent = [each.headers.get("authorization") for each in other.requests]
        assert {each for each in sent if each} == {"Bearer another-s3cret"}
    assert "s3cret" not in json.dumps(audited())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--base-url", "https://ehr.example@evil.example/fhir"], "must not contain credentials"),
        (["--base-url", "http://169.254.169.254/latest"], "plain name or address"),
        (["--base-url", ""], "must begin with"),
        (["--steward-pool", "nobody"], "no pool"),
        (["--tenant", "nobody"], "no Organization"),
        (["--tenant", HOSPITAL], "works here"),
        (["--directory", "perhaps"], "yes, no"),
    ],
)
def test_what_can_not_be_is_said_and_nothing_is_set(arguments: list[str], words: str, hospital: Partner) -> None:
    before = Partner.objects.values().get()
    with pytest.raises(CommandError, match=words) as caught:
        run("set", "Hospital", "--lag-seconds", "3", *arguments)
    assert "\n" not in str(caught.value)
    assert Partner.objects.values().get() == before


def test_an_address_that_another_partner_has_is_refused(story: Story, hospital: Partner) -> None:
    partners.add("Other", "https://other.example/fhir", organization=PRACTICE, steward_pool=story.pool)
    with pytest.raises(CommandError, match="this address already"):
        run("set", "Hospital", "--base-url", "HTTPS://other.example:443/fhir/")


def test_whose_ehr_it_is_and_whether_it_is_a_directory_can_be_set(hospital: Partner) -> None:
    assert told("set", "Hospital", "--tenant", PRACTICE, "--directory", "yes")["changed"] == ["tenant", "directory"]
    kept = partners.by_name("Hospital")
    assert (kept.tenant, kept.is_directory) == (PRACTICE, True)
    assert told("set", "Hospital", "--tenant", "", "--directory", "no")["changed"] == ["tenant", "directory"]
    assert told("set", "Hospital", "--directory", "no") == {"changed": []}


def test_other_people_mend_from_now_on_and_are_told_of_its_silence(story: Story, hospital: Partner) -> None:
    pool = people.create_pool(PRACTICE, "Interfaces").owner

    assert told("set", "Hospital", "--steward-pool", pool.key) == {"changed": ["steward-pool"]}

    assert partners.by_name("Hospital").steward_pool == pool
    assert SignOfLife.objects.get(organization=HOSPITAL).pool == pool


def test_what_another_organisation_still_has_to_mend_is_not_taken_from_its_eyes(
    story: Story, hospital: Partner
) -> None:
    Tenant.objects.create(organization=HOSPITAL, name="Hospital")
    people.create_pool(HOSPITAL, "Hospital – coordination", members=[], is_default=True)
    Link.objects.create(partner=hospital, type="Task", local_id="x", state=Link.State.STUCK, mend_loop="loop")

    with pytest.raises(CommandError, match="still to be mended"):
        run("set", "Hospital", "--steward-pool", HOSPITAL)
    Link.objects.update(mend_loop="")
    assert told("set", "Hospital", "--steward-pool", HOSPITAL) == {"changed": ["steward-pool"]}
