from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from api.smart import tokens
from records import store
from records.access import SYSTEM
from records.json import Resource
from records.models import Tenant

PLACER, PERFORMER, OUTSIDER = "st-mary-practice", "city-hospital", "far-clinic"
EVERYTHING = "system/*.cruds"


@dataclass
class Caller:
    """An EHR of one organisation that holds a token."""

    organization: str
    scopes: str = EVERYTHING
    http: APIClient = field(default_factory=APIClient)

    def __post_init__(self) -> None:
        client = tokens.client_for(f"EHR {self.scopes}", self.organization)
        token = tokens.issue(client, frozenset(self.scopes.split()), timedelta(minutes=5))
        self.http.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def get(self, path: str, **params: Any) -> Any:
        """GET below /api/v1/."""
        return self.http.get(f"/api/v1/{path}", params)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST JSON below /api/v1/."""
        return self.http.post(f"/api/v1/{path}", body, format="json")


@dataclass
class Town:
    """A practice, a hospital with a clinic and a laboratory, and a clinic that has nothing to do with them."""

    placer: Caller
    performer: Caller
    outsider: Caller
    patient: str

    def refer(self, **more: Any) -> dict[str, Any]:
        """A referral from the practice to the hospital's clinic, as v1 tells of it."""
        body = {"patient": self.patient, "service": "clinic", "reason": "Chest pain on exertion"}
        response = self.placer.post("referrals", body | more)
        assert response.status_code == 201, response.content
        detail: dict[str, Any] = response.json()["loop"]
        return detail

    def fulfil(self, loop: dict[str, Any]) -> dict[str, Any]:
        """The performer's handoff of a loop."""
        found: dict[str, Any] = next(one for one in loop["handoffs"] if one["kind"] == "fulfil")
        return found


def organization(key: str, **more: Any) -> Resource:
    return {"resourceType": "Organization", "id": key, "active": True, "name": key.title(), **more}


def patient(key: str, family: str, **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": key, "name": [{"family": family, "given": ["Ana"]}], **more}


def service(key: str, name: str) -> Resource:
    owner = {"reference": f"Organization/{PERFORMER}"}
    return {"resourceType": "HealthcareService", "id": key, "active": True, "name": name, "providedBy": owner}


@pytest.fixture
def caller(db: None) -> Callable[..., Caller]:
    return Caller


@pytest.fixture
def town(db: None) -> Town:
    for key in (PLACER, PERFORMER, OUTSIDER):
        Tenant.objects.create(organization=key, name=key)
        store.write(organization(key), actor=SYSTEM)
    store.write_many([service("clinic", "Heart clinic"), service("laboratory", "Laboratory")], actor=SYSTEM)
    store.write(patient("p-1", "Ferreira", birthDate="1961-04-02"), actor=SYSTEM, audience=[PLACER])
    return Town(Caller(PLACER), Caller(PERFORMER), Caller(OUTSIDER), "p-1")
