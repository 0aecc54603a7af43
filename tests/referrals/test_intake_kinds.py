"""The codes of the guides' own examples lead to the kind of loop that they mean."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from referrals.kinds import kind_of

GUIDES = {
    "au-erequesting": {"test-order": 8},
    "bser": {"referral": 5},
    "cms50": {"referral": 40},
    "gravity-sdoh": {"referral": 4},
    "us-core": {"test-order": 4, "referral": 2, "": 1},  # the last forbids resuscitation: nothing to perform
}


def requests_in(resource: Any) -> Iterator[dict[str, Any]]:
    if resource.get("resourceType") == "Bundle":
        for entry in resource.get("entry", ()):
            yield from requests_in(entry.get("resource", {}))
    if resource.get("resourceType") == "ServiceRequest":
        yield resource


@pytest.mark.parametrize("guide", GUIDES)
def test_every_request_of_a_guide_is_of_its_kind(fixtures: Path, guide: str) -> None:
    files = (fixtures / "data" / guide).rglob("*.json")
    found = Counter(kind_of(one) for file in files for one in requests_in(json.loads(file.read_bytes())))
    assert found == GUIDES[guide]


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "24627-2"}]}}, "test-order"),
        ({"code": {"text": "Appendectomy"}}, ""),
        ({"code": {"coding": [{"code": "3457005"}]}}, ""),
        ({}, ""),
    ],
)
def test_a_code_counts_only_with_its_system(request_: dict[str, Any], kind: str) -> None:
    assert kind_of(request_) == kind
