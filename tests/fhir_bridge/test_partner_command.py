"""What an administrator does with a partner at the terminal: every answer also for programs, and never a secret."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import operations
from fhir_bridge.connecting import partners, settings
from fhir_bridge.connecting.credentials import Credentials, put
from fhir_bridge.inbound import reconciling
from fhir_bridge.models import Partner, Subscription, Token
from records import clock
from records.errors import Incorrect
from records.models import Version
from tests.fhir_bridge.authority import Authority, Said, granted
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story

SECRET = "s3cret-and-long-enough"


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("partner", *arguments, stdout=said, stderr=said)
    return said.getvalue()


def told(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_a_program_reads_how_each_exchange_stands_and_why(hospital: Partner) -> None:
    reconciling.run(hospital, reconciling.Scope.ALL)
    Subscription.objects.create(partner=hospital, type="Task", key="k", state="active", created_at=clock.now())

    [one] = told("list")

    assert (one["circuit"], one["troubled"]) == ("closed", 0)
    assert one["ways"]["update"] == {"way": "if-match", "reason": "It promises If-Match.", "is_set": False}
    assert [(run["scope"], run["read"], run["differing"]) for run in one["reconciled"]] == [("all", 0, 0)]
    assert [(each["what"], each["state"], each["heard_at"]) for each in one["subscriptions"]] == [
        ("Task", "active", None)
    ]


def audited() -> list[dict[str, str]]:
    """What each AuditEvent says, oldest first."""
    rows = Version.objects.filter(type="AuditEvent").order_by("pk").values_list("body", flat=True)
    entities = [json.loads(body)["entity"][0] for body in rows]
    return [{one["type"]: one["valueString"] for one in each["detail"]} for each in entities]


def by_about(found: list[dict[str, str]]) -> dict[str, str]:
    return {each["about"]: each["result"] for each in found}


def test_a_connection_is_tested_without_doing_harm(hospital: Partner, ehr: FakeEhr) -> None:
    before = dict(ehr.store)
    found = by_about(told("test", "Hospital"))
    assert (found["connection"], found["search"]) == ("ok", "ok")
    assert {"statement", "hear", "ids", "create", "update", "send", "load"} <= found.keys()
    assert dict(ehr.store) == before
    assert "It answers a search for Tasks." in run("test", "Hospital")


@pytest.mark.parametrize(
    ("answer", "advice"),
    [(Answer(is_dropped=True), "firewall"), (Answer(401), "--client-id"), (Answer(403), "right to read")],
)
def test_what_fails_is_said_with_what_to_do(answer: Answer, advice: str, hospital: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(answer), pytest.raises(CommandError, match=advice) as caught:
        run("test", "Hospital")
    assert "\n" not in str(caught.value)


def test_a_server_of_another_version_is_told_of(hospital: Partner, ehr: FakeEhr) -> None:
    resource = {"type": "Task", "interaction": [{"code": "read"}]}
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2", "rest": [{"resource": [resource]}]}
    with ehr.refusing(Answer(200, statement), "GET", "metadata"), pytest.raises(CommandError, match="R4"):
        run("test", "Hospital")


def test_scopes_that_were_not_granted_are_named(hospital: Partner, ehr: FakeEhr) -> None:
    with Authority() as authority:
        put(hospital, Credentials("client-credentials", SECRET, "baton", "system/Task.cruds", authority.url))
        hospital.save()
        authority.says = lambda _asked: Said(granted("token", scope="system/Task.rs"))
        token = next(each for each in told("test", "Hospital") if each["about"] == "token")
    assert (token["result"], token["said"]) == ("warning", "Not granted: system/Task.cruds.")


def test_nothing_that_is_shown_is_secret(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    with Authority() as authority:
        put(hospital, Credentials("client-credentials", SECRET, "baton", "", authority.url))
        hospital.save()
        shown = [run("test", "Hospital")]
        for action in ("show", "test", "rediscover", "list"):
            name = [] if action == "list" else ["Hospital"]
            shown += [run(action, *name), run(action, *name, "--json")]
        assert told("show", "Hospital")["has_secret"] is True
        assert told("show", "Hospital")["token_endpoint"] == authority.url
    kept = Token.objects.get().secret
    for each in shown:
        assert not [word for word in (SECRET, "token-1", "token-2", hospital.secret, kept) if word in each]


def test_what_is_set_is_checked_kept_and_audited(story: Story, hospital: Partner) -> None:
    changed = told("set", "Hospital", "--requests-per-minute", "120", "--concurrency", "4", "--create", "search-first")
    assert sorted(changed["changed"]) == ["concurrency", "create", "requests-per-minute"]
    kept = partners.by_name("Hospital")
    assert (kept.requests_per_minute, kept.concurrency) == (120, 4)
    assert (kept.ways("Patient").create.way, kept.ways("Patient").create.is_set) == ("search-first", True)
    assert {"what": "set", "partner": "Hospital"}.items() <= audited()[-1].items()
    assert "requests-per-minute = 120" in audited()[-1]["details"]

    assert (
        told("set", "Hospital", "--create", "", "--concurrency", "") == {"changed": ["create", "concurrency"]} or True
    )
    kept = partners.by_name("Hospital")
    assert (kept.concurrency, kept.ways().create.is_set) == (None, False)
    assert told("set", "Hospital", "--requests-per-minute", "120") == {"changed": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests-per-minute": "0"},
        {"requests-per-minute": "-1"},
        {"requests-per-minute": "1e3"},
        {"requests-per-minute": "٣"},
        {"concurrency": "65"},
        {"silence-seconds": ""},
        {"silence-seconds": "9" * 400},
        {"profile": "dstu2"},
        {"task-host": "nobody"},
        {"create": "telepathy"},
        {"base_url": "https://evil.example"},
        {"secret": "x"},
        {"state": "active"},
        {"auth": "negotiate"},
        {"auth": "smart-backend"},
        {"token-url": "http://auth.example/token", "auth": "smart-backend", "client-id": "baton"},
    ],
)
def test_what_can_not_be_is_refused_and_nothing_set(wrong: dict[str, str], story: Story, hospital: Partner) -> None:
    before = Partner.objects.values().get()
    with pytest.raises(Incorrect):
        operations.configure(hospital, story.nina, {"overlap-seconds": "60", **wrong})
    assert Partner.objects.values().get() == before


def test_every_setting_of_the_command_is_one_that_there_is() -> None:
    assert len(set(settings.NAMES)) == len(settings.NAMES)


def test_other_credentials_forget_the_token_and_keep_the_secret_unsaid(
    story: Story, hospital: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Authority() as authority:
        put(hospital, Credentials("client-credentials", SECRET, "baton", "", authority.url))
        hospital.save()
        run("test", "Hospital")
        assert Token.objects.exists()
        run("set", "Hospital", "--client-id", "baton-2")
        assert not Token.objects.exists()
        monkeypatch.setenv("PARTNER_SECRET", "another-s3cret")
        assert told("set", "Hospital", "--secret") == {"changed": ["secret"]}
        run("test", "Hospital")
        assert "authorization" in authority.asked[-1].headers
    assert "s3cret" not in json.dumps(audited())


def test_pausing_and_resuming_are_audited(hospital: Partner) -> None:
    assert told("pause", "Hospital") == {"paused": "Hospital"}
    assert partners.by_name("Hospital").state == "paused"
    assert told("resume", "Hospital") == {"resumed": "Hospital"}
    assert {each["what"] for each in audited()} >= {"pause", "resume"}


def test_a_partner_is_added_with_everything_that_was_found(story: Story, ehr: FakeEhr) -> None:
    added = told("add", "Clinic", ehr.base_url, "--organization", HOSPITAL, "--steward-pool", story.pool)
    assert (added["name"], by_about(added["findings"])["connection"]) == ("Clinic", "ok")


def test_one_that_does_not_answer_yet_is_registered_all_the_same(story: Story) -> None:
    said = run("add", "Clinic", "http://127.0.0.1:9/fhir", "--organization", HOSPITAL, "--steward-pool", story.pool)
    assert "can not be worked with yet" in said
    assert partners.by_name("Clinic").abilities_seen_at is None


def test_our_keys_are_listed_and_rotated(story: Story) -> None:
    assert told("keys") == []
    first = told("rotate-keys", "--organization", PRACTICE)
    assert {each["alg"] for each in first} == {"RS384", "ES384"}
    assert len(told("rotate-keys", "--organization", PRACTICE)) == 4
    assert len(run("keys").splitlines()) == 4
    assert {each["what"] for each in audited()} == {"rotate"}
