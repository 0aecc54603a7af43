"""``manage.py token`` gives a person a token for a first try."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from records import store
from records.access import SYSTEM
from records.models import Tenant

pytestmark = pytest.mark.django_db


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("token", *arguments, stdout=out)
    return out.getvalue().strip().splitlines()[-1]


def keep_hospital(name: str, **content: object) -> None:
    store.write({"resourceType": "Organization", "id": name, "name": name, **content}, actor=SYSTEM, audience=[name])


@pytest.fixture
def _hospitals() -> None:
    for name in ("b-hospital", "a-hospital"):
        keep_hospital(name)
        Tenant.objects.create(organization=name, name=name)
    keep_hospital("elsewhere")
    keep_hospital("b-ward", partOf={"reference": "Organization/b-hospital"})


def tasks_for(token: str) -> int:
    store.write(
        {"resourceType": "Task", "id": "a", "status": "draft", "intent": "order"}, actor=SYSTEM, audience=["a-hospital"]
    )
    answer = Browser().get("/fhir/Task", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return len(answer.json().get("entry", ()))


@pytest.mark.usefixtures("_hospitals")
def test_the_last_line_is_a_token_for_the_first_hospital() -> None:
    assert tasks_for(printed("--client", "curl", "--scope", "system/*.cruds")) == 1


@pytest.mark.usefixtures("_hospitals")
def test_a_department_works_for_its_hospital() -> None:
    token = printed("--client", "curl", "--organization", "b-ward", "--scope", "system/Task.rs system/Patient.rs")
    assert tasks_for(token) == 0


@pytest.mark.usefixtures("_hospitals")
@pytest.mark.parametrize("organization", ["nowhere", "elsewhere", ""])
def test_an_organisation_that_is_not_ours_gets_one_clear_line(organization: str) -> None:
    with pytest.raises(CommandError) as refused:
        printed("--client", "curl", "--organization", organization, "--scope", "system/*.cruds")
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("_hospitals")
@pytest.mark.parametrize(
    "scope",
    [
        *["", " ", "*", "system/*", "system/*.", "system/*.read", "system:Patient.read", "system/Patient.dsurc"],
        *[
            "SYSTEM/Patient.rs",
            "system/patient.rs",
            "system/Nothing.rs",
            "system/*.cruds ",
            "patient/*.rs",
            "user/*.rs",
        ],
        *["system/Task.rs  system/Patient.rs", "system/Task.rs?status=x", "system/Task.rs\n", "system%2FTask.rs"],
    ],
)
def test_a_scope_that_is_none_gets_one_clear_line(scope: str) -> None:
    with pytest.raises(CommandError):
        printed("--client", "curl", "--scope", scope)


def test_without_any_hospital_the_command_says_what_to_do() -> None:
    with pytest.raises(CommandError, match="demo"):
        printed("--client", "curl", "--scope", "system/*.cruds")
