"""Bytes from outside → a resource, with every guard in front (FHIR R4 §2.6.2; https://www.rfc-editor.org/rfc/rfc8259)."""

from records.errors import Malformed
from records.json import Resource, loads

MAX_BYTES = 10_000_000


def parse(raw: bytes) -> Resource:
    """Parse one resource; `Malformed` says what can't be read."""
    if len(raw) > MAX_BYTES:
        raise Malformed("Too large.")
    body = loads(raw)
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise Malformed("This is not a FHIR resource: it must be an object with a resourceType.")
    return body
