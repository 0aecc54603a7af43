"""The practice's own system: it orders and works over Baton's API, as an integrator would."""

from typing import Any

import requests

from tests.journeys.ehr import eventually
from tests.journeys.product import Product

Json = dict[str, Any]


class Office:
    """One organisation's API client."""

    def __init__(self, baton: Product, organization: str) -> None:
        self.url = baton.url
        self.http = requests.Session()
        token = baton.token("practice", "--organization", organization)
        self.http.headers.update({"Authorization": f"Bearer {token}"})

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Any call; fails on an error and shows what was said."""
        answer = self.http.request(method, f"{self.url}/{path}", json=body, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:800]}"
        return dict(answer.json())

    def register(self, patient: Json) -> None:
        """Bring a patient's record."""
        self.call("PUT", f"fhir/Patient/{patient['id']}", patient)

    def order(self, kind: str, **body: Any) -> str:
        """Compose and send a request; the id of its loop."""
        return str(self.call("POST", f"api/v1/{kind}", body)["loop"]["loop"]["id"])

    def loop(self, kind: str, loop_id: str) -> Json:
        """The loop with its handoffs and its journal."""
        return self.call("GET", f"api/v1/{kind}/{loop_id}")

    def open_one(self, kind: str, loop_id: str, handoff: str, stage: str = "") -> Json:
        """The loop's open handoff of that kind, once it is there (and at that stage)."""

        def look() -> Json | None:
            loop = self.loop(kind, loop_id)
            return next((each for each in loop["handoffs"] if _is(each, handoff, stage)), None)

        return eventually(f"open {handoff} {stage}", look)

    def do(self, handoff: Json, action: str, **data: Any) -> Json:
        """One action on a handoff, as it was last seen."""
        body = {"action": action, "version": handoff["version"], "data": data}
        return self.call("POST", f"api/v1/handoffs/{handoff['id']}/perform", body)


def _is(handoff: Json, kind: str, stage: str) -> bool:
    return handoff["kind"] == kind and handoff["closed_at"] is None and handoff["stage"] == (stage or handoff["stage"])
