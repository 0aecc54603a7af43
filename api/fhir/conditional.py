"""``If-None-Exist``: create only what isn't there yet, free of races (https://hl7.org/fhir/R4/http.html#ccreate)."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from django.db import connection, transaction
from django.utils.translation import gettext as _

from records.access import Actor
from records.errors import Malformed, Stale
from records.search import Match, search
from records.search.options import NAMES


@contextmanager
def alone(actor: Actor, type_name: str) -> Iterator[None]:
    """A transaction in which no other conditional create of this type and organisation runs.

    The lock is not on the condition, since two ways to write the same condition would pass each other.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"create {type_name} {actor.organization}"]
            )
        yield


def existing(actor: Actor, type_name: str, condition: str) -> Match | None:
    """The one match of the condition, None if there is none; raise `Stale` for several, `Malformed` for no condition."""
    params = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
    if not params or any(name in NAMES for name, _value in params):
        raise Malformed(_("If-None-Exist takes search parameters, such as identifier=system|value."))
    matches = search(actor, type_name, [*params, ("_count", "2")], strict=True).matches
    if len(matches) > 1:
        raise Stale(_("More than one resource matches If-None-Exist."))
    return matches[0] if matches else None
