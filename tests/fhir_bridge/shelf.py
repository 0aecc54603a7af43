"""Putting a version onto the fake EHR's shelf as of an instant of its clock, whenever that was."""

from datetime import datetime
from typing import Any

from bench.fake_ehr import FakeEhr


def put_at(ehr: FakeEhr, body: dict[str, Any], at: datetime, version: int | None = None) -> dict[str, Any]:
    """Store it as changed ``at``, shown in milliseconds; with the next version number unless one is given."""
    key = (body["resourceType"], body["id"])
    versions = ehr.shelf.versions.setdefault(key, [])
    shown = at.replace(microsecond=at.microsecond // 1000 * 1000)
    meta = {"versionId": str(version or len(versions) + 1), "lastUpdated": shown.isoformat(timespec="milliseconds")}
    versions.append({**body, "meta": meta})
    ehr.shelf._index(key, shown)
    return versions[-1]
