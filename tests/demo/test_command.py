"""`manage.py demo` as a person meets it."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from records import store
from records.access import SYSTEM
from records.types import row_class

AT = "2026-11-18T15:30:00Z"


def run(*options: str) -> str:
    output = StringIO()
    call_command("demo", *options, stdout=output)
    return output.getvalue()


@pytest.mark.django_db
def test_it_loads_and_says_how_to_sign_in_and_a_second_run_changes_nothing() -> None:
    first = run("--patients", "12", "--loops", "3", "--at", AT)
    assert "alder.doctor" in first
    assert "harbour.supervisor" in first
    second = run("--patients", "50", "--loops", "3", "--at", AT)
    assert "loaded already" in second
    assert row_class("Patient").rows("Patient").count() == 12


@pytest.mark.django_db
def test_it_leaves_a_database_with_other_data_alone() -> None:
    store.write({"resourceType": "Patient", "id": "somebody"}, actor=SYSTEM)
    with pytest.raises(CommandError, match="holds other data"):
        run("--patients", "3", "--at", AT)
    assert row_class("Organization").rows("Organization").count() == 0


@pytest.mark.django_db
def test_it_loads_beside_other_data_when_told_to() -> None:
    store.write({"resourceType": "Patient", "id": "somebody"}, actor=SYSTEM)
    run("--patients", "3", "--force", "--loops", "3", "--at", AT)
    assert row_class("Patient").rows("Patient").count() == 4


@pytest.mark.parametrize(
    "options",
    [
        ("--patients", "0"),
        ("--patients", "-5"),
        ("--patients", "many"),
        ("--patients", "1e9"),
        ("--patients", "٣"),
        ("--seed", "x"),
        ("--loops", "-1"),
        ("--seed", "99999999999"),
        ("--at", "yesterday"),
        ("--at", "2026-13-40T00:00Z"),
        ("--at", "2026-11-18T15:30:00"),
        ("--at", "1999-01-01T00:00:00Z"),
    ],
)
@pytest.mark.django_db
def test_a_number_or_time_that_makes_no_sense_gives_one_clear_line(options: tuple[str, str]) -> None:
    with pytest.raises(CommandError) as error:
        run(*options)
    assert options[0] in str(error.value)
    assert "\n" not in str(error.value)
