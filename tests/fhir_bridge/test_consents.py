"""What a patient has not agreed to does not leave, is seen not to leave, and leaves as soon as the patient agrees."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations, status, tasks
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.sharing import consents
from records import clock, store
from records.access import SYSTEM
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import ANA, HOSPITAL, PRACTICE, Story, keep

PRIVACY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
TYPES = "http://hl7.org/fhir/resource-types"
HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}


def consent(**provision: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": "no",
        "status": "active",
        "scope": PRIVACY,
        "category": [{"text": "Information disclosure"}],
        "patient": {"reference": f"Patient/{ANA}"},
        "policyRule": {"text": "Privacy"},
        "provision": provision,
    }


def to(type_: str, id_: str) -> dict[str, Any]:
    return {"role": {"text": "Recipient"}, "reference": {"reference": f"{type_}/{id_}"}}


@pytest.fixture
def now() -> Iterator[datetime]:
    at = datetime.now(UTC)
    with clock.at(at):
        yield at


def states() -> dict[str, str]:
    return dict(Link.objects.values_list("type", "state"))


def sent(ehr: FakeEhr) -> set[str]:
    return {type_ for type_, _id in ehr.store} - {"Organization", "Practitioner"}


def test_a_patient_who_denies_it_to_the_hospital_is_not_told_of_there_until_it_is_lifted(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(consent(type="deny", actor=[to("Organization", HOSPITAL)]))
    story.refer()

    pushing.run_once(hospital)

    assert sent(ehr) == set()
    assert (states()["Patient"], states()["Task"]) == ("held", "held")
    trouble = next(each for each in status.troubles(hospital.pk) if each.type == "Task")
    assert trouble.text == "Consent/no of the patient denies it."
    upkeep = Handoff.objects.get(loop=trouble.loop_id)
    assert (upkeep.kind, upkeep.owner.key) == ("mend-exchange", story.pool)
    hospital.refresh_from_db()
    assert hospital.last_error == ""

    store.write(consent(type="deny") | {"status": "inactive"}, actor=SYSTEM)
    pushing.run_once(hospital)

    assert sent(ehr) == {"Patient", "ServiceRequest", "Task"}
    assert set(states().values()) == {"clean"}
    upkeep.refresh_from_db()
    assert upkeep.stage == "mended"


def test_a_denial_that_comes_later_stops_what_changes_and_not_that_it_is_over(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    keep(consent(type="deny"))
    store.write(store.get("Task", handoff.pk) | {"note": [{"text": "More"}]}, actor=SYSTEM)
    pushing.run_once(hospital)
    assert ("note" in ehr.all("Task")[0], states()["Task"]) == (False, "held")

    workflow.perform(handoff.pk, "cancel", story.gp, data={"reason": "no-longer-needed"})
    pushing.run_once(hospital)

    assert ehr.all("Task")[0]["status"] == "cancelled"
    assert states()["Task"] == "clean"


def test_what_is_denied_of_its_kind_stays_and_the_referral_goes_without_it(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    about = {"subject": {"reference": f"Patient/{ANA}"}, "code": {"text": "x"}}
    keep({"resourceType": "Condition", "id": "c", "meta": {"security": [HIV]}, **about})
    keep({"resourceType": "Condition", "id": "d", **about})
    keep(consent(type="deny", securityLabel=[HIV]))

    story.refer(reasonReference=[{"reference": "Condition/c"}, {"reference": "Condition/d"}])
    pushing.run_once(hospital)

    assert [each["id"] for each in ehr.all("Task")]
    assert len(ehr.all("Condition")) == 1
    held, sent_along = ehr.all("ServiceRequest")[0]["reasonReference"]
    assert ("reference" in held, held["identifier"]["value"]) == (False, "c")
    assert sent_along["reference"] == f"Condition/{ehr.all('Condition')[0]['id']}"
    assert Link.objects.get(local_id="c").state == Link.State.HELD


def test_a_denial_ends_with_its_time_without_anybody_touching_it(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(consent(type="deny", period={"end": (now + timedelta(days=3)).isoformat()}))
    story.refer()
    pushing.run_once(hospital)
    with clock.at(now + timedelta(days=2)):
        pushing.run_once(hospital)
    assert sent(ehr) == set()

    with clock.at(now + timedelta(days=5)):
        pushing.run_once(hospital)
        pushing.run_once(hospital)

    assert sent(ehr) == {"Patient", "ServiceRequest", "Task"}
    assert Loop.objects.filter(kind="upkeep", closed_at=None).count() == 0


def test_what_is_held_back_alone_is_judged_again_each_day_by_itself(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    of_tasks = {"class": [{"system": TYPES, "code": "Task"}]}
    keep(consent(type="deny", period={"end": (now + timedelta(days=1)).isoformat()}, **of_tasks))
    story.refer()
    tasks.push(hospital.pk)
    assert set(states().items()) - {("Task", "held")} == {(type_, "clean") for type_ in states() if type_ != "Task"}

    with clock.at(now + timedelta(hours=12)):
        tasks.push_due(clock.now())
        assert (states()["Task"], pushing.due(hospital)) == ("held", 0)
    with clock.at(now + timedelta(days=2)):
        tasks.push_due(clock.now())

    assert sent(ehr) == {"Patient", "ServiceRequest", "Task"}
    assert not Loop.objects.filter(kind="upkeep", closed_at=None).exists()


def test_trying_again_by_hand_asks_the_consent_again_and_not_the_partner(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(consent(type="deny"))
    story.refer()
    pushing.run_once(hospital)
    asked = len(ehr.requests)

    operations.retry(f"Link/{Link.objects.get(type='Patient').pk}", story.nina)
    pushing.run_once(hospital)

    assert len(ehr.requests) == asked
    assert states()["Patient"] == "held"


AT = datetime(2027, 3, 1, tzinfo=UTC)
DENIED: dict[str, dict[str, Any]] = {
    "everything": {"type": "deny"},
    "to this organisation": {"type": "deny", "actor": [to("Organization", HOSPITAL)]},
    "disclosing": {"type": "deny", "action": [{"coding": [{"code": "disclose"}]}]},
    "this type": {"type": "deny", "class": [{"system": TYPES, "code": "ServiceRequest"}]},
    "this category": {"type": "deny", "code": [{"coding": [{"system": "s", "code": "cardio"}]}]},
    "this label": {"type": "deny", "securityLabel": [HIV]},
    "what refers to it": {
        "type": "deny",
        "data": [{"meaning": "dependents", "reference": {"reference": "Condition/c"}}],
    },
    "for care": {"type": "deny", "purpose": [{"code": "TREAT"}]},
    "as an exception": {"type": "permit", "provision": [{"type": "deny", "actor": [to("Organization", HOSPITAL)]}]},
    "now": {"type": "deny", "period": {"start": "2027-02", "end": "2027-03"}},
}
PERMITTED: dict[str, dict[str, Any]] = {
    "it is permitted": {"type": "permit"},
    "another organisation": {"type": "deny", "actor": [to("Organization", PRACTICE)]},
    "a person elsewhere": {"type": "deny", "actor": [to("Practitioner", "x")]},
    "but one person there": {"type": "deny", "actor": [to("Practitioner", "x")], "provision": [{"type": "permit"}]},
    "collecting": {"type": "deny", "action": [{"coding": [{"code": "collect"}]}]},
    "another type": {"type": "deny", "class": [{"system": TYPES, "code": "Condition"}]},
    "another category": {"type": "deny", "code": [{"coding": [{"system": "s", "code": "psy"}]}]},
    "that instance alone": {
        "type": "deny",
        "data": [{"meaning": "instance", "reference": {"reference": "Condition/c"}}],
    },
    "for research": {"type": "deny", "purpose": [{"code": "HRESCH"}]},
    "but not to them": {"type": "deny", "provision": [{"type": "permit", "actor": [to("Organization", HOSPITAL)]}]},
    "formerly": {"type": "deny", "period": {"end": "2027-01"}},
}


@pytest.mark.parametrize("which", [*DENIED, *PERMITTED])
def test_a_rule_denies_where_all_that_it_names_applies(which: str) -> None:
    rule = consent(**{**DENIED, **PERMITTED}[which])

    assert consents.rule_of(rule, disclosure()) == ("deny" if which in DENIED else "permit")
    assert consents.rule_of(rule | {"status": "inactive"}, disclosure()) == "permit"
    assert consents.rule_of(rule | {"scope": {"coding": [{"code": "research"}]}}, disclosure()) == "permit"


def test_who_has_opted_out_has_denied_what_no_rule_permits() -> None:
    out = {"policyRule": {"coding": [{"code": "OPTOUT"}]}}

    assert consents.rule_of({**consent(), **out} | {"provision": None}, disclosure()) == "deny"
    assert consents.rule_of(consent(provision=[{"type": "permit"}]) | out, disclosure()) == "permit"


@pytest.mark.parametrize(
    "name",
    [
        "au-erequesting/consent-mhr-consent-withdrawal.json",
        "bser/Consent-consent-bser-patientconsent-eve-everywoman.json",
        "gravity-sdoh/Consent-SDOHCC-ConsentInformationDisclosureExample.json",
    ],
)
def test_the_guides_own_consents_do_not_stand_in_the_way_of_an_order(name: str, fixtures: Path) -> None:
    assert consents.rule_of(json.loads((fixtures / "data" / name).read_text()), disclosure()) == "permit"


def test_the_australian_withdrawal_holds_back_the_report_of_the_order_that_it_names(fixtures: Path) -> None:
    withdrawal = json.loads((fixtures / "data/au-erequesting/consent-mhr-consent-withdrawal.json").read_text())
    order = ("ServiceRequest", "order-xray-1")
    report = {"resourceType": "DiagnosticReport", "id": "r"}

    named = consents.Disclosure("DiagnosticReport", report, frozenset({order}), (HOSPITAL,), AT)

    assert consents.rule_of(withdrawal, named) == "deny"


@pytest.fixture
def there(story: Story) -> str:
    """A practitioner of a department of the hospital."""
    keep({"resourceType": "Practitioner", "id": "doc", "identifier": [{"system": "urn:npi", "value": "77"}]})
    ward = {"resourceType": "Organization", "id": "ward", "name": "Ward"}
    keep(ward | {"partOf": {"reference": f"Organization/{HOSPITAL}"}})
    keep(role())
    return "doc"


def role(**more: Any) -> dict[str, Any]:
    works = {"practitioner": {"reference": "Practitioner/doc"}, "organization": {"reference": "Organization/ward"}}
    return {"resourceType": "PractitionerRole", "id": "role"} | works | more


def known_by(identifier: dict[str, str]) -> dict[str, Any]:
    return {"role": {"text": "Recipient"}, "reference": {"identifier": identifier}}


@pytest.mark.parametrize(
    "actor",
    [to("Practitioner", "doc"), to("PractitionerRole", "role"), known_by({"system": "urn:npi", "value": "77"})],
)
def test_who_denies_it_to_one_who_works_there_denies_it_to_the_partner_visibly(
    actor: dict[str, Any], there: str, story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(consent(type="deny", actor=[actor]))
    story.refer()
    pushing.run_once(hospital)

    assert not sent(ehr)
    held = Link.objects.get(type="Patient")
    assert held.state == "held"
    assert f"/{'role' if 'Role' in str(actor) else there}" in held.error_text
    assert Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()


@pytest.mark.parametrize(
    "elsewhere",
    [{"active": False}, {"organization": {"reference": f"Organization/{PRACTICE}"}}],
)
def test_who_does_not_work_there_gets_nothing_there(
    elsewhere: dict[str, Any], there: str, story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(role(**elsewhere))
    keep(consent(type="deny", actor=[to("Practitioner", there)]))
    story.refer()
    pushing.run_once(hospital)

    assert "Task" in sent(ehr)


def test_an_order_to_the_very_person_is_held_wherever_they_work(
    there: str, story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(role(organization={"reference": f"Organization/{PRACTICE}"}))
    keep(consent(type="deny", actor=[to("Practitioner", there)]))
    story.refer(performer=[{"reference": f"Practitioner/{there}"}])
    pushing.run_once(hospital)

    assert states()["ServiceRequest"] == "held"
    assert "ServiceRequest" not in sent(ehr)


def test_a_permission_for_one_person_is_none_for_all_who_work_there(
    there: str, story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    exception = {"type": "permit", "actor": [to("Practitioner", there)]}
    keep(consent(type="deny", provision=[exception]))
    story.refer()
    pushing.run_once(hospital)

    assert not sent(ehr)


def disclosure() -> consents.Disclosure:
    body = {
        "resourceType": "ServiceRequest",
        "id": "r",
        "meta": {"security": [HIV]},
        "category": [{"coding": [{"system": "s", "code": "cardio"}]}],
    }
    named = frozenset({("ServiceRequest", "r"), ("Condition", "c")})
    return consents.Disclosure("ServiceRequest", body, named, (HOSPITAL,), AT)


def test_who_denies_it_to_a_department_denies_it_to_the_house_whose_system_that_department_reads(
    story: Story, hospital: Partner, ehr: FakeEhr, now: datetime
) -> None:
    keep(department("psychiatry", HOSPITAL))
    keep(department("ward", "psychiatry"))
    keep(department("unit", PRACTICE))
    keep(consent(type="deny", actor=[to("Organization", "unit")]))
    story.refer()
    pushing.run_once(hospital)
    assert "Task" in sent(ehr)

    keep(consent(type="deny", actor=[to("Organization", "ward")]))
    with clock.at(now + timedelta(minutes=1)):
        story.refer()
        pushing.run_once(hospital)
    assert len(ehr.all("Task")) == 1
    assert Link.objects.filter(state="held").exists()


def department(id_: str, of: str) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": id_, "name": id_, "partOf": {"reference": f"Organization/{of}"}}
