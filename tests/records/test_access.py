"""Who sees what: an organisation what was shared with it, a patient what is the patient's, nobody anything by default."""

import pytest

from records import access, store
from records.access import SYSTEM, Actor, Interaction
from records.errors import Forbidden, Unsupported
from records.models import Audience, Tenant

pytestmark = pytest.mark.django_db


def person(organization: str = "", *roles: str, patient: str = "") -> Actor:
    return Actor("user:1", "person", "Ana", organization=organization, roles=frozenset(roles), patient=patient)


def client(organization: str, *scopes: str, patient: str = "") -> Actor:
    return Actor("client:1", "client", "App", organization=organization, scopes=frozenset(scopes), patient=patient)


def keep(type_name: str, resource_id: str, audience: list[str], patient: str = "ana", **content: object) -> None:
    element = {"Task": "for", "Claim": "patient"}.get(type_name, "subject")
    body = {"resourceType": type_name, "id": resource_id, element: {"reference": f"Patient/{patient}"}, **content}
    store.write(body, actor=SYSTEM, audience=audience, validate=False)


def seen(actor: Actor, type_name: str) -> list[str]:
    return sorted(access.visible(actor, type_name).values_list("id", flat=True))


def test_an_organisation_sees_what_was_shared_with_it_and_nothing_else() -> None:
    keep("Task", "ours", ["north"])
    keep("Task", "theirs", ["south"])
    keep("Task", "both", ["north", "south"])

    assert seen(person("north", "coordinator"), "Task") == ["both", "ours"]
    assert seen(person("south", "coordinator"), "Task") == ["both", "theirs"]
    assert seen(person("east", "coordinator"), "Task") == []
    assert seen(SYSTEM, "Task") == ["both", "ours", "theirs"]


def test_somebody_without_an_organisation_sees_nothing_not_even_the_directory() -> None:
    keep("Task", "t", [""])
    keep("Organization", "north", ["north"])

    assert Audience.objects.filter(organization="").count() == 0
    assert seen(person(), "Task") == seen(person(), "Organization") == []
    assert seen(client("", "system/*.rs"), "Task") == []


def test_an_audience_grows_and_its_order_follows_the_last_change() -> None:
    keep("Task", "t", ["north"])
    store.share("Task", "t", ["south"])
    store.share_many([("Task", "t"), ("Task", "absent")], ["south", "east"])
    keep("Task", "t", [], description="changed")

    rows = Audience.objects.filter(type="Task", row="t")
    assert sorted(rows.values_list("organization", flat=True)) == ["east", "north", "south"]
    assert set(rows.values_list("last_updated", flat=True)) == {store.read("Task", "t").last_updated}
    assert not Audience.objects.filter(row="absent").exists()


def test_a_patient_sees_the_own_compartment_and_no_more() -> None:
    keep("Task", "mine", ["north"])
    keep("Task", "other", ["north"], patient="ben")
    keep("Provenance", "p", ["north"])

    assert seen(person(patient="ana"), "Task") == ["mine"]
    assert seen(person(patient="ana"), "Provenance") == []
    assert seen(client("north", "patient/Task.rs", patient="ana"), "Task") == ["mine"]
    assert seen(client("north", "patient/Task.rs"), "Task") == []


def test_a_client_sees_only_types_of_its_scopes() -> None:
    keep("Task", "t", ["north"])

    assert seen(client("north", "system/Task.s"), "Task") == ["t"]
    assert seen(client("north", "system/Task.cud"), "Task") == []
    assert seen(client("north", "system/Patient.rs"), "Task") == []
    for trick in (
        "system/task.rs",
        "system/Task.sr",
        "System/Task.rs",
        "system/Task.read",
        "system/Task.rs?status=x",
        "*",
    ):
        assert seen(client("north", trick), "Task") == [], trick


def test_what_we_declare_nothing_for_is_for_the_bridge_and_administrators() -> None:
    keep("Claim", "c", ["north"])

    assert seen(person("north", "practitioner"), "Claim") == []
    assert seen(person("north", "administrator"), "Claim") == ["c"]
    assert seen(person("south", "administrator"), "Claim") == []
    assert seen(client("north", "user/*.rs"), "Claim") == []
    assert seen(client("north", "system/*.rs"), "Claim") == ["c"]


@pytest.mark.parametrize(
    ("actor", "type_name", "interaction", "is_allowed"),
    [
        (SYSTEM, "AuditEvent", "c", True),
        (person("north", "practitioner"), "AuditEvent", "c", False),
        (client("north", "system/*.cruds"), "AuditEvent", "c", False),
        (client("north", "system/*.cruds"), "AuditEvent", "r", True),
        (client("north", "system/Task.rs"), "Task", "r", True),
        (client("north", "system/Task.rs"), "Task", "u", False),
        (client("north", "system/Task.rs"), "Patient", "r", False),
        (client("north"), "Task", "r", False),
        (person("north", "practitioner"), "Task", "u", True),
        (person("north", "practitioner"), "Task", "d", False),
        (person("north", "practitioner"), "Organization", "u", False),
        (person("north", "administrator"), "Organization", "u", True),
        (person("north"), "Task", "r", False),
        (person(patient="ana"), "Task", "r", True),
        (person(patient="ana"), "Task", "u", False),
    ],
)
def test_who_may_do_what(actor: Actor, type_name: str, interaction: Interaction, *, is_allowed: bool) -> None:
    if is_allowed:
        access.may(actor, type_name, interaction)
    else:
        with pytest.raises(Forbidden):
            access.may(actor, type_name, interaction)


def test_a_type_without_a_policy_is_refused_to_everybody() -> None:
    with pytest.raises(Unsupported):
        access.visible(SYSTEM, "NoSuchType")
    with pytest.raises(Unsupported):
        access.may(SYSTEM, "NoSuchType", "r")


def test_a_department_belongs_to_the_root_of_its_organisation_and_a_circle_ends() -> None:
    for part, whole in (("ward", "clinic"), ("clinic", "north"), ("a", "b"), ("b", "a")):
        keep("Organization", part, [], partOf={"reference": f"Organization/{whole}"})
    Tenant.objects.create(organization="north", name="North")

    assert access.root("ward") == "north"
    assert access.root("a") == "a"
    assert access.is_tenant("ward")
    assert not access.is_tenant("a")
    assert not access.is_tenant("")


def test_the_author_is_the_organisation_that_a_resource_was_first_written_for() -> None:
    theirs = {"resourceType": "Observation", "id": "o", "status": "final"}
    store.write(theirs, actor=person("north", "practitioner"), audience=["north", "south"], validate=False)
    store.write(theirs | {"status": "amended"}, actor=person("south", "practitioner"), validate=False)
    keep("Task", "only", ["north"])
    keep("Task", "several", ["north", "south"])

    assert access.author("Observation", "o") == "north"
    assert access.author("Task", "only") == "north"
    assert access.author("Task", "several") == access.author("Task", "none") == ""


@pytest.mark.parametrize(
    "actor",
    [
        person("north", "coordinator"),
        person("south", "coordinator"),
        person("east", "coordinator", patient="ana"),
        person(patient="ana"),
        person(),
        client("north", "system/Patient.rs"),
        client("north", "system/Task.rs"),
        SYSTEM,
    ],
    ids=str,
)
def test_bodies_are_those_of_what_is_visible_and_of_nothing_else(actor: Actor) -> None:
    for key, audience in (("ana", ["north"]), ("ben", ["south"]), ("cleo", ["north", "south"]), ("gone", ["north"])):
        store.write({"resourceType": "Patient", "id": key}, actor=SYSTEM, audience=audience, validate=False)
    store.delete("Patient", "gone", actor=SYSTEM)
    found = access.bodies(actor, "Patient", ["ana", "ben", "cleo", "gone", "none"])
    assert sorted(found) == seen(actor, "Patient")
    assert all(f'"id":"{key}"' in body for key, body in found.items())
