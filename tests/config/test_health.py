import pytest
from django.test import Client


@pytest.mark.django_db
def test_health_answers_without_sign_in_when_the_database_answers() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")
