"""Who acts, and what they may see. The one place where access is decided."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from records.errors import Forbidden, Unsupported
from records.models import Audience, Tenant, Version
from records.types import R4_TYPES, TYPES, row_class

ActorKind = Literal["person", "client", "partner", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts now: a signed-in person, an API client, a partner's EHR, or Baton itself.

    ``organization`` is the root Organization that they work for at this moment (one membership at a time), ``roles``
    are words of `referrals.people.ROLES`, ``scopes`` are SMART v2 scopes (clients only), ``practitioner`` and
    ``patient`` are ids of the resources that stand for the person.
    """

    id: str
    kind: ActorKind
    display: str
    organization: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)
    practitioner: str = ""
    patient: str = ""


SYSTEM = Actor(id="system:baton", kind="system", display="Baton")

Interaction = Literal["c", "r", "u", "d", "s"]
Policy = Literal["directory", "audience", "compartment", "closed"]

ADMINISTRATOR = "administrator"

# directory: who offers what where; whoever works here may read it.
# audience: an organisation sees what was shared with it, nothing else.
# compartment: the same, and a patient sees what is in the own compartment.
# closed: Baton and an organisation's administrators only, and these what was shared with them.
POLICIES: dict[str, Policy] = {
    **dict.fromkeys(
        ("Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Endpoint", "Schedule"),
        "directory",
    ),
    **dict.fromkeys(("Slot", "Questionnaire", "CareTeam"), "directory"),
    **dict.fromkeys(("Group", "Provenance", "Binary", "Bundle", "Subscription", "AuditEvent"), "audience"),
    **dict.fromkeys(
        (
            *("Patient", "RelatedPerson", "Task", "ServiceRequest", "Encounter", "Appointment", "AppointmentResponse"),
            *("DocumentReference", "DiagnosticReport", "Observation", "Specimen", "Communication", "Composition"),
            *("CommunicationRequest", "Condition", "Procedure", "Consent", "Coverage", "CarePlan", "Goal"),
            "QuestionnaireResponse",
        ),
        "compartment",
    ),
    **dict.fromkeys(R4_TYPES - TYPES.keys(), "closed"),
}
_READ_ONLY = frozenset({"AuditEvent"})  # written by Baton alone
_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?)")


def policy(type_name: str) -> Policy:
    """The rule for a type; a type without one is refused."""
    try:
        return POLICIES[type_name]
    except KeyError:
        raise Unsupported(_("This is not a resource type that is kept here.")) from None


def may(actor: Actor, type_name: str, interaction: Interaction) -> None:
    """Raise `Forbidden` unless this actor may do this (c, r, u, d, s: SMART v2) with resources of this type.

    Which of them is for `visible` to say. A client may what one of its scopes says in full, no less; a person works
    by role: everybody with a role reads and writes, the directory and deletions are the administrator's.
    """
    rule = policy(type_name)
    if actor.kind == "system":
        return
    is_write = interaction not in ("r", "s")
    if is_write and type_name in _READ_ONLY:
        raise _forbidden()
    is_allowed = (
        bool(_levels(actor, type_name, interaction))
        if actor.kind == "client"
        else actor.kind == "partner" or _person_may(actor, rule, interaction, is_write=is_write)
    )
    if not is_allowed:
        raise _forbidden()


def _person_may(actor: Actor, rule: Policy, interaction: Interaction, *, is_write: bool) -> bool:
    if rule == "closed" or interaction == "d" or (is_write and rule == "directory"):
        return ADMINISTRATOR in actor.roles
    return bool(actor.roles) or (bool(actor.patient) and not is_write)


def _levels(actor: Actor, type_name: str, interaction: str) -> set[str]:
    matches = (_SCOPE.fullmatch(scope) for scope in actor.scopes)
    return {found[1] for found in matches if found and found[2] in ("*", type_name) and interaction in found[3]}


def _forbidden() -> Forbidden:
    return Forbidden(_("You may not do this with resources of this type."))


def visible(actor: Actor, type_name: str) -> QuerySet[Any]:
    """The rows of a type that this actor may see, undeleted; the one filter that every read path starts from."""
    rule = policy(type_name)
    rows = row_class(type_name).rows(type_name).filter(deleted=False)
    if actor.kind == "system":
        return rows
    if not _may_look(actor, type_name, rule):
        return rows.none()
    if rule == "directory":
        return rows
    if actor.organization:
        rows = rows.filter(audience__type=type_name, audience__organization=actor.organization)
    return rows.filter(patient=actor.patient) if _is_limited_to_patient(actor, type_name, rule) else rows


def bodies(actor: Actor, type_name: str, ids: Collection[str]) -> dict[str, str]:
    """The bodies (JSON text) of those of these resources that are `visible` to this actor, by id.

    For staff, who look up the names of every page's patients, the SQL is made once and not compiled at each look.
    """
    is_staff = actor.kind == "person" and bool(actor.organization) and policy(type_name) in ("compartment", "audience")
    if not is_staff:
        return dict(visible(actor, type_name).filter(id__in=ids).values_list("id", "body"))
    with connection.cursor() as cursor:
        cursor.execute(_bodies(row_class(type_name)._meta.db_table), [type_name, actor.organization, list(ids)])
        return dict(cursor.fetchall())


@cache
def _bodies(table: str) -> str:
    return (
        f'SELECT resource.id, resource.body FROM "{table}" AS resource JOIN {Audience._meta.db_table} AS audience'  # noqa: S608
        " ON audience.row = resource.id WHERE audience.type = %s AND audience.organization = %s"
        " AND resource.id = ANY(%s) AND NOT resource.deleted"
    )


def recency(actor: Actor, type_name: str) -> str:
    """The column to order what is `visible` by, newest first: that of the index that it is read from."""
    is_listed = actor.kind != "system" and actor.organization and policy(type_name) != "directory"
    return "audience__last_updated" if is_listed else "last_updated"


def _may_look(actor: Actor, type_name: str, rule: Policy) -> bool:
    """Whether there can be anything for this actor: somebody's place, a scope for a client, the rule of the type."""
    levels = _levels(actor, type_name, "r") | _levels(actor, type_name, "s")
    if actor.kind == "client" and not levels:
        return False
    if rule == "closed":
        return bool(actor.organization) and (
            actor.kind == "partner" or ADMINISTRATOR in actor.roles or "system" in levels
        )
    return bool(actor.organization or (actor.patient and rule != "audience"))


def _shared_with(organization: str, type_name: str) -> QuerySet[Audience]:
    return Audience.objects.filter(type=type_name, organization=organization, row=OuterRef("id"))


def shared(actor: Actor, type_name: str) -> QuerySet[Any]:
    """The rows, deleted ones too, that were shared with the actor's organisation.

    Who may change one of them is another question (see `author`); of a deletion hears who saw the resource.
    """
    policy(type_name)
    rows = row_class(type_name).rows(type_name)
    if actor.kind == "system":
        return rows
    if not actor.organization:
        return rows.none()
    return rows.filter(Exists(_shared_with(actor.organization, type_name)))


def author(type_name: str, resource_id: str) -> str:
    """The root organisation that a resource was first written for; empty when nobody knows, or it isn't here."""
    first = Version.objects.filter(type=type_name, resource_id=resource_id, version=1)
    return first.values_list("organization", flat=True).first() or ""


def _is_limited_to_patient(actor: Actor, type_name: str, rule: Policy) -> bool:
    if not actor.organization:
        return True
    if actor.kind != "client" or rule not in ("compartment", "audience"):
        return False
    return not ({"system", "user"} & (_levels(actor, type_name, "r") | _levels(actor, type_name, "s")))


def root(organization: str) -> str:
    """The id of the Organization at the top of ``partOf``; one that isn't here, or in a circle, is its own root."""
    with connection.cursor() as cursor:
        cursor.execute(_ROOT, [organization])
        row = cursor.fetchone()
    return str(row[0]) if row else organization


# upwards as long as there is something above; a circle comes to no end, and gives no row
_ROOT = f"""
WITH RECURSIVE above (id) AS (
    SELECT %s::text COLLATE "C"
    UNION
    SELECT substr(part.partof, 14) COLLATE "C" FROM above JOIN "{TYPES["Organization"]._meta.db_table}" AS part ON part.id = above.id
    WHERE part.partof LIKE 'Organization/_%%'
)
SELECT above.id FROM above LEFT JOIN "{TYPES["Organization"]._meta.db_table}" AS part ON part.id = above.id
WHERE part.partof IS NULL OR part.partof NOT LIKE 'Organization/_%%'
"""  # noqa: S608 (a table of ours)


def lineage(organization: str) -> list[str]:
    """The id of an Organization and those above it by ``partOf``, the nearest first; a circle is gone round once."""
    with connection.cursor() as cursor:
        cursor.execute(_LINEAGE, [organization])
        return [str(row[0]) for row in cursor.fetchall()]


_LINEAGE = f"""
WITH RECURSIVE above (id, step) AS (
    SELECT %s::text COLLATE "C", 0
    UNION ALL
    SELECT substr(part.partof, 14) COLLATE "C", above.step + 1
    FROM above JOIN "{TYPES["Organization"]._meta.db_table}" AS part ON part.id = above.id
    WHERE part.partof LIKE 'Organization/_%%'
) CYCLE id SET is_again USING path
SELECT id FROM above WHERE NOT is_again ORDER BY step
"""  # noqa: S608 (a table of ours)


def is_tenant(organization: str) -> bool:
    """Whether an organisation (or the root of a department) works in this installation."""
    return bool(organization) and Tenant.objects.filter(organization=root(organization)).exists()
