"""Two hospitals that have nothing to do with each other, each with a system that talks to Baton."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from api.smart import scopes, tokens
from records import store
from records.access import SYSTEM
from records.models import Tenant

FHIR = "application/fhir+json"
BROWSER = Browser()  # one for all: each new one loads all middleware anew


@dataclass(frozen=True, slots=True)
class System:
    """A hospital's system: an HTTP client with a bearer token."""

    organization: str
    token: str

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }

    def get(self, path: str, **headers: str) -> Any:
        return BROWSER.get(f"/fhir/{path}", headers=self.headers(**headers))

    def post(self, path: str, body: Any, content_type: str = FHIR, **headers: str) -> Any:
        return BROWSER.post(f"/fhir/{path}", data=body, content_type=content_type, headers=self.headers(**headers))

    def put(self, path: str, body: Any, content_type: str = FHIR, **headers: str) -> Any:
        return BROWSER.put(f"/fhir/{path}", data=body, content_type=content_type, headers=self.headers(**headers))

    def delete(self, path: str, **headers: str) -> Any:
        return BROWSER.delete(f"/fhir/{path}", headers=self.headers(**headers))


def hospital(name: str, scope: str = "system/*.cruds") -> System:
    """Make a hospital of this installation, and a token for its system."""
    store.write({"resourceType": "Organization", "id": name, "name": f"{name} hospital"}, actor=SYSTEM, audience=[name])
    Tenant.objects.get_or_create(organization=name, defaults={"name": name})
    client = tokens.client_for("ehr", name)
    return System(name, tokens.issue(client, scopes.parse(scope), timedelta(hours=1)))


@pytest.fixture
def north(db: None) -> System:
    return hospital("north")


@pytest.fixture
def south(db: None) -> System:
    return hospital("south")


@pytest.fixture(autouse=True)
def _quick_secrets(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
