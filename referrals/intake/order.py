"""Late or not: the versions of a partner's resource are ordered by its own ``meta.lastUpdated``, then by arrival (law 7)."""

from datetime import datetime

from django.db import connection

from records import dates
from records.access import Actor
from records.json import Resource

_KEEP = """
INSERT INTO referrals_lastword (sender, reference, at) VALUES (%s, %s, %s)
ON CONFLICT (reference, sender) DO UPDATE SET at = EXCLUDED.at WHERE referrals_lastword.at <= EXCLUDED.at
"""


def is_late(resource: Resource, actor: Actor) -> bool:
    """Whether the same sender has said something newer of this resource; if not, this is its last word from now on."""
    at = said_at(resource) if actor.kind == "partner" else None
    if at is None or not resource.get("id"):
        return False
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [actor.id, f"{resource['resourceType']}/{resource['id']}", at])
        return bool(cursor.rowcount == 0)


def said_at(resource: Resource) -> datetime | None:
    """The sender's ``meta.lastUpdated``; None without one."""
    text = resource.get("meta", {}).get("lastUpdated")
    found = dates.period_of(text) if isinstance(text, str) else None
    return found[0] if found else None
