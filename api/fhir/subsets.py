"""``_elements``: a part of a resource, marked as such (https://hl7.org/fhir/R4/search.html#elements)."""

from records import json

ALWAYS = {"resourceType", "id", "meta"}
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def only(body: str, elements: tuple[str, ...]) -> str:
    """The body with these elements of its first level and what no resource goes without."""
    resource: json.Resource = json.loads(body)
    wanted = ALWAYS.union(elements)
    part = {name: value for name, value in resource.items() if name.removeprefix("_") in wanted}
    meta = part.get("meta", {})
    part["meta"] = {**meta, "tag": [*meta.get("tag", []), SUBSETTED]}
    return json.dumps(part)
