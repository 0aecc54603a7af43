"""Late or not: the versions of a partner's resource are ordered by its own ``meta.lastUpdated``, then by arrival (law 7)."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from records import dates
from records.access import Actor
from records.json import Resource

_KEEP = """
INSERT INTO referrals_lastword (sender, reference, at) VALUES (%s, %s, %s)
ON CONFLICT (reference, sender) DO UPDATE SET at = EXCLUDED.at WHERE referrals_lastword.at <= EXCLUDED.at
"""

_KEEP_MANY = """
INSERT INTO referrals_lastword (sender, reference, at)
SELECT %s, said.reference, said.at FROM unnest(%s::text[], %s::timestamptz[]) AS said (reference, at)
ON CONFLICT (reference, sender) DO UPDATE SET at = EXCLUDED.at WHERE referrals_lastword.at <= EXCLUDED.at
RETURNING reference
"""


def late(resources: Sequence[Resource], actor: Actor) -> set[str]:
    """The ids of those resources (of one type) that are late; of the others this is the last word from now on."""
    told = {f"{one['resourceType']}/{one['id']}": (at, one["id"]) for one in resources if (at := said_at(one))}
    names = sorted(told)  # in one order for everybody: two writers never wait for each other
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_MANY, [actor.id, names, [told[name][0] for name in names]])
        kept = {row[0] for row in cursor.fetchall()}
    return {id_ for name, (_at, id_) in told.items() if name not in kept}


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
