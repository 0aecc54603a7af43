"""What a partner's server can do is found out, and how we write and read follows from it, with a reason for each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import tasks
from fhir_bridge.capabilities import choices
from fhir_bridge.capabilities.abilities import TYPES, Abilities, Smart, TypeAbilities
from fhir_bridge.connecting import discovery, partners
from fhir_bridge.models import Partner
from fhir_bridge.outbound import identity, pushing
from fhir_bridge.sharing import relevance, routing
from records import clock, errors
from tests.fhir_bridge.story import MRN, Story

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/"


def statement(**of_task: Any) -> dict[str, Any]:
    interactions = [{"code": code} for code in ("read", "create", "update", "search-type")]
    task = {"type": "Task", "interaction": interactions, "searchParam": [{"name": "_lastUpdated"}], **of_task}
    rest = {"mode": "server", "resource": [task], "interaction": [{"code": "transaction"}]}
    software = {"name": "Fine EHR", "version": "7"}
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "software": software, "rest": [rest]}


def serving(**documents: Any) -> Callable[[Request], Answer | None]:
    """The documents by the last part of their path; everything else as ever."""

    def answer(request: Request) -> Answer | None:
        body = documents.get(request.path.rpartition("/")[2].replace("-", "_"))
        return Answer(200, body) if body is not None and request.verb == "GET" else None

    return answer


def ways(partner: Partner, type_: str = "Task") -> dict[str, str]:
    chosen = partner.ways(type_)
    return {name: getattr(chosen, name).way for name in chosen.__slots__}


def test_a_statement_is_seen_and_kept_with_the_time(hospital: Partner, ehr: FakeEhr) -> None:
    ehr.refusal = serving(
        metadata=statement(versioning="versioned-update", conditionalCreate=True, updateCreate=True),
        smart_configuration={"token_endpoint": f"{ehr.base_url}/token", "scopes_supported": ["system/*.rs"]},
    )
    before = clock.now()

    partners.discover(hospital)

    kept = partners.by_name("Hospital")
    assert kept.abilities_seen_at is not None
    assert kept.abilities_seen_at >= before
    assert (kept.can().source, kept.can().software, kept.can().fhir_version) == ("statement", "Fine EHR 7", "4.0.1")
    assert kept.can().smart == Smart(f"{ehr.base_url}/token", scopes=frozenset({"system/*.rs"}))
    assert ways(kept) == {
        "hear": "poll",
        "ids": "server-ids",
        "create": "conditional",
        "update": "if-match",
        "send": "transaction",
        "load": "search",
    }
    assert ways(kept, "Patient")["hear"] == "not"


def test_without_a_statement_what_we_need_is_tried_and_nothing_else_expected(hospital: Partner, ehr: FakeEhr) -> None:
    ehr.put({"resourceType": "Task", "status": "requested"})
    held = len(ehr.store)
    ehr.tells = ehr.takes_bundles = False
    ehr.understands = frozenset()

    seen = partners.discover(hospital)

    assert seen.source == "probe"
    assert {"_lastUpdated", "identifier"} <= seen.of("Patient").params
    assert "patient" not in seen.of("Patient").params
    assert ways(hospital) == {
        "hear": "poll",
        "ids": "server-ids",
        "create": "search-first",
        "update": "read-first",
        "send": "single",
        "load": "search",
    }
    assert [request.body for request in ehr.requests if request.verb != "GET"] == [
        {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Task?_count=1"}}]}
    ]
    assert len(ehr.store) == held


def test_a_statement_that_forgets_last_updated_is_tried(hospital: Partner, ehr: FakeEhr) -> None:
    ehr.put({"resourceType": "Task", "status": "requested"})
    ehr.refusal = serving(metadata=statement(searchParam=[{"name": "patient"}]))
    partners.discover(hospital)
    assert ways(hospital)["hear"] == "poll"

    def deaf(request: Request, answer: Answer) -> Answer:
        found = {"resourceType": "Bundle", "entry": [{"resource": each} for each in ehr.all("Task")]}
        return Answer(200, found) if request.path == "Task" else answer

    with ehr.faulty(deaf):
        partners.discover(hospital)
    assert ways(hospital)["hear"] == "poll-by-patient"


def test_a_server_that_overlooks_the_identifier_makes_no_stranger_ours(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    stranger = ehr.put({"resourceType": "Patient", "identifier": [{"system": MRN, "value": "another"}]})
    story.refer()

    def deaf(request: Request, answer: Answer) -> Answer:
        found = {"resourceType": "Bundle", "entry": [{"resource": each} for each in ehr.all("Patient")]}
        return Answer(200, found) if (request.verb, request.path) == ("GET", "Patient") else answer

    with ehr.faulty(deaf):
        pushing.run_once(hospital)
    assert hospital.links.get(type="Patient").remote_id not in {None, stranger["id"]}


def test_a_server_that_can_not_be_reached_leaves_what_we_knew(hospital: Partner, ehr: FakeEhr) -> None:
    before = hospital.abilities
    with ehr.refusing(Answer(503)), pytest.raises(errors.Unavailable):
        partners.discover(hospital)
    assert partners.by_name("Hospital").abilities == before


def test_a_configuration_that_fails_for_once_is_not_forgotten(hospital: Partner, ehr: FakeEhr) -> None:
    hospital.abilities = Abilities(smart=Smart("https://ehr.example/token")).stored()
    with ehr.refusing(Answer(500), "GET", ".well-known"):
        assert partners.discover(hospital).smart.token_endpoint == "https://ehr.example/token"
    assert partners.discover(hospital).smart.token_endpoint == ""


def test_every_day_each_active_partner_is_asked_again(hospital: Partner, ehr: FakeEhr) -> None:
    ehr.refusal = serving(metadata=statement())
    tasks.discover_due(clock.now())
    assert ehr.requests == []

    Partner.objects.update(abilities_seen_at=None)
    tasks.discover_due(clock.now())
    assert partners.by_name("Hospital").can().software == "Fine EHR 7"


@pytest.mark.parametrize(
    ("subscription", "kind"),
    [
        ({"interaction": [{"code": "read"}]}, ""),
        ({"interaction": [{"code": "create"}]}, "rest-hook"),
        (
            {
                "interaction": [{"code": "create"}],
                "supportedProfile": [f"{BACKPORT}StructureDefinition/backport-subscription|1.1.0"],
            },
            "backport",
        ),
    ],
)
def test_the_kind_of_its_subscriptions_is_told_apart(subscription: dict[str, Any], kind: str) -> None:
    told = statement()
    told["rest"][0]["resource"].append({"type": "Subscription", **subscription})
    seen = discovery.read_statement(told)
    assert seen.subscriptions == kind
    assert (choices.choose(seen, {}).hear.way == "subscription") == bool(kind)


def test_cdex_advertises_its_topic(fixtures: Path) -> None:
    told = json.loads((fixtures / "data/cdex/cdex-capabilitystatement-inline-example.json").read_text())
    seen = discovery.read_statement(told)
    assert seen.subscriptions == "backport"
    assert seen.topics == {"http://hl7.org/fhir/us/davinci-hrex/SubscriptionTopic/Task"}


def test_client_ids_are_for_a_server_that_keeps_a_create_from_doubling_in_no_other_way() -> None:
    def ids(**more: bool) -> str:
        return choices.choose(Abilities("statement", types={"Task": TypeAbilities(**more)}), {}).ids.way  # type: ignore[arg-type]

    assert ids(update_create=True) == "client-ids"
    assert ids(update_create=True, conditional_create=True) == "server-ids"
    assert ids() == "server-ids"


def test_every_choice_has_a_reason_and_may_be_set_otherwise() -> None:
    for aspect in choices.WAYS:
        for way in choices.names(aspect):
            choices.check(aspect, way)
            chosen = getattr(choices.choose(Abilities(), {aspect: way}), aspect)
            assert (chosen.way, chosen.is_set) == (way, True)
        assert getattr(choices.choose(Abilities(), {aspect: "no-such-way"}), aspect).reason


@pytest.mark.parametrize(("aspect", "way"), [("hear", "telepathy"), ("speak", "poll")])
def test_a_choice_that_there_is_not_is_refused_by_what_there_is(aspect: str, way: str) -> None:
    with pytest.raises(errors.Incorrect, match="There are: "):
        choices.check(aspect, way)


def test_whatever_we_exchange_is_among_what_we_keep() -> None:
    assert {*routing.RANKS, *relevance.POLLED, *identity.DIRECTORY} <= TYPES


def test_what_is_stored_comes_back_the_same_and_what_is_unknown_is_left() -> None:
    of_type = TypeAbilities(frozenset({"read"}), frozenset({"_id"}), "versioned", update_create=True)
    seen = Abilities(
        "statement", "x 1", "4.0.1", frozenset({"batch"}), topics=frozenset({"t"}), types={"Task": of_type}
    )
    stored = json.loads(json.dumps(seen.stored()))
    assert Abilities.restored({**stored, "of a later version": 1}) == seen
    assert Abilities.restored({}) == Abilities()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["server", "Task", "create"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resource", "type", "interaction", "code", "extension", "url", "security", "searchParam", "name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(rest=_json, software=_json, version=_json)
def test_no_shape_of_a_statement_does_harm(rest: Any, software: Any, version: Any) -> None:
    seen = discovery.read_statement({"rest": [rest], "software": software, "fhirVersion": version})
    assert Abilities.restored(json.loads(json.dumps(seen.stored()))) == seen
    choices.choose(seen, {})
