"""Whose lists somebody reads at an instant: their own, those of their pools and roles, and those of who is away.

All of it is derived when it is asked for, from rows that only people change (absences, memberships); nothing moves
because somebody leaves, comes back or is late (law 2). PATHWAYS §7, "absence":

- Of somebody who is away the surrogate reads the whole list, at once. A surrogate who is away hands on to their own;
  then, and where the chain ends nowhere (nobody named, a circle), the pool behind each handoff reads it too.
- Of somebody who isn't known to be away the standing surrogate reads what has used half of its time.
- A pool reads whatever stands behind it on another list and is past its due time.

Who can't sign in any more counts as away, and so does who only administers: they can't do what stands there.
A pool whose members all are away is also read by the coordinators and supervisors
of its organisation; where none of them is there, by everybody who works there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from records import clock
from records.access import Actor
from records.types import row_class
from referrals.models import Handoff, Owner

WORKERS = ["practitioner", "coordinator", "supervisor"]
OVERSEERS = ["coordinator", "supervisor"]
Reader = tuple[int | None, bool]


@dataclass(frozen=True, slots=True)
class Lists:
    """Ids of `Owner` rows whose lists an actor reads at one instant, by the reason why.

    ``mine`` and ``shared`` are their own; of ``away`` they read everything, of ``half`` what has used half of its time,
    and of ``pooled_away`` and ``pooled_half`` the same as far as one of their ``pools`` stands behind it.
    ``organisation`` are all lists of the house; ``names`` what they are called; ``stead`` says who reads the list of
    each person there who is away (None: the pool alone).
    """

    mine: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()
    pools: tuple[int, ...] = ()
    away: tuple[int, ...] = ()
    half: tuple[int, ...] = ()
    pooled_away: tuple[int, ...] = ()
    pooled_half: tuple[int, ...] = ()
    organisation: tuple[int, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    stead: Mapping[int, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
    """An owner that has a list; ``standing`` and ``announced`` are who reads instead, always and in the present absence."""

    pk: int
    kind: str
    key: str
    name: str
    standing: int | None
    is_absent: bool
    announced: int | None
    works: bool
    has_me: bool
    has_members: bool
    has_overseers: bool

    @property
    def is_away(self) -> bool:
        """Whether their list is read by another as a whole: who doesn't work there any more counts as away."""
        return self.is_absent or not self.works


@dataclass(frozen=True, slots=True)
class _House:
    """Everybody of one organisation at one instant; ``surrogates`` are the standing ones, ``away`` who reads instead."""

    rows: list[_Row]
    people: frozenset[int]
    surrogates: Mapping[int, int | None]
    away: Mapping[int, int | None]

    def reader(self, named: int | None) -> Reader:
        """Who reads a list whose surrogate is ``named``, and whether the pool behind it reads it too."""
        seen: set[int] = set()
        while named is not None and named in self.away and named not in seen:
            seen.add(named)
            named = self.away[named]
        found = named if named in self.people and named not in self.away else None
        return found, found is None or bool(seen)


def lists_at(actor: Actor, now: datetime) -> Lists:
    """The lists that this actor reads at that instant; in one statement, two where roles own work."""
    if not actor.organization:
        return Lists()
    house = _house(actor, now)
    mine = tuple(row.pk for row in house.rows if row.kind == Owner.Kind.PERSON and _is(actor, row))
    shared = tuple(row.pk for row in house.rows if row.kind != Owner.Kind.PERSON and _reads(actor, row))
    pools = tuple(row.pk for row in house.rows if row.pk in shared and row.kind == Owner.Kind.POOL)
    stead = {key: house.reader(named) for key, named in house.away.items()}
    standing = {key: house.reader(named) for key, named in house.surrogates.items() if named and key not in stead}
    return Lists(
        mine=mine,
        shared=(*shared, *_roles_of(actor, house, shared)),
        pools=pools,
        away=tuple(_read_by(mine, stead)),
        half=tuple(_read_by(mine, standing)),
        pooled_away=tuple(_read_by_pool(mine, stead)) if pools else (),
        pooled_half=tuple(_read_by_pool(mine, standing)) if pools else (),
        organisation=tuple(row.pk for row in house.rows),
        names={row.pk: row.name for row in house.rows},
        stead={key: reader for key, (reader, _pool) in stead.items()},
    )


def lists_of(actor: Actor, now: datetime | None = None) -> list[int]:
    """Ids of the Owner rows whose lists this actor reads as a whole: the own ones, and those of who is away."""
    lists = lists_at(actor, now or clock.now())
    return sorted({*lists.mine, *lists.shared, *lists.away})


def in_stead_of(actor: Actor, handoff: Handoff) -> Owner | None:
    """The person in whose stead the actor has this handoff on their list now; None where it is their own work."""
    owner = handoff.owner
    is_anothers = owner.kind == Owner.Kind.PERSON and owner.internal and not _is(actor, owner)
    if not is_anothers or not actor.practitioner or owner.organization != actor.organization:
        return None
    now = clock.now()
    lists = lists_at(actor, now)
    has_half = owner.pk in lists.half and handoff.half_due_at <= now
    return owner if has_half or owner.pk in lists.away else None


def _house(actor: Actor, now: datetime) -> _House:
    me = int(actor.id.removeprefix("user:")) if actor.id.startswith("user:") else None
    with connection.cursor() as cursor:
        wanted = {"workers": WORKERS, "overseers": OVERSEERS}
        cursor.execute(_HOUSE, wanted | {"organization": actor.organization, "now": now, "me": me})
        rows = [_Row(*line) for line in cursor.fetchall()]
    people = [row for row in rows if row.kind == Owner.Kind.PERSON]
    return _House(
        rows,
        frozenset(row.pk for row in people),
        {row.pk: row.standing for row in people},
        {row.pk: row.announced if row.is_absent else row.standing for row in people if row.is_away},
    )


# The owners of an organisation that have lists, with what tells who reads them; of absences the latest to begin counts.
_HOUSE = """
WITH staff AS (
    SELECT membership.user_id, people.practitioner, membership.roles
    FROM referrals_membership AS membership JOIN referrals_user AS people ON people.id = membership.user_id
    WHERE membership.organization = %(organization)s AND people.is_active
), worker AS (
    SELECT * FROM staff WHERE roles && %(workers)s::varchar[]
), absent AS (
    SELECT DISTINCT ON (absence.owner_id) absence.owner_id, absence.surrogate_id, owner.key
    FROM referrals_absence AS absence JOIN referrals_owner AS owner ON owner.id = absence.owner_id
    WHERE absence.starts_at <= %(now)s AND absence.ends_at > %(now)s
    ORDER BY absence.owner_id, absence.starts_at DESC, absence.id DESC
), present AS (
    SELECT user_id, roles FROM worker WHERE practitioner NOT IN (SELECT key FROM absent)
), member AS (
    SELECT pool.owner_id, member.user_id
    FROM referrals_poolmember AS member JOIN referrals_pool AS pool ON pool.id = member.pool_id
    WHERE pool.organization = %(organization)s AND member.user_id IN (SELECT user_id FROM staff)
)
SELECT owner.id, owner.kind, owner.key, owner.name, owner.surrogate_id, absent.owner_id IS NOT NULL, absent.surrogate_id,
       owner.key <> '' AND owner.key IN (SELECT practitioner FROM worker),
       EXISTS (SELECT FROM member WHERE member.owner_id = owner.id AND member.user_id = %(me)s),
       EXISTS (SELECT FROM member JOIN present USING (user_id) WHERE member.owner_id = owner.id),
       EXISTS (SELECT FROM present WHERE present.roles && %(overseers)s::varchar[])
FROM referrals_owner AS owner LEFT JOIN absent ON absent.owner_id = owner.id
WHERE owner.organization = %(organization)s AND owner.internal
ORDER BY owner.id
"""


def _is(actor: Actor, person: _Row | Owner) -> bool:
    return bool(actor.practitioner) and person.key == actor.practitioner


def _reads(actor: Actor, row: _Row) -> bool:
    """Whether a list that several share is the actor's: as a member, or where nobody nearer is there to read it."""
    if actor.kind == "client" or row.has_me:
        return True
    if row.kind == Owner.Kind.POOL and row.has_members:
        return False
    wanted = OVERSEERS if row.has_overseers else WORKERS
    return bool(actor.roles & set(wanted))


def _roles_of(actor: Actor, house: _House, known: tuple[int, ...]) -> Iterator[int]:
    """The roles that the actor fills: those whose PractitionerRole has the function of one of the actor's own."""
    roles = {row.key: row.pk for row in house.rows if row.kind == Owner.Kind.ROLE and row.pk not in known}
    if roles and actor.practitioner:
        for key in fillers(roles, actor.practitioner):
            yield roles[key]


def fillers(roles: Mapping[str, int], practitioner: str) -> set[str]:
    """The keys of those PractitionerRoles that a practitioner fills, by an active PractitionerRole of their own.

    It has the same organisation, one of the role's codes, and one of its specialties where the role has any.
    """
    rows = row_class("PractitionerRole").rows("PractitionerRole").filter(deleted=False)
    own = list(rows.filter(practitioner=f"Practitioner/{practitioner}").exclude(active="false"))
    return {
        role.id
        for role in rows.filter(id__in=roles)
        for one in own
        if one.organization == role.organization
        and set(role.role or ()) & set(one.role or ())
        and (not role.specialty or set(role.specialty) & set(one.specialty or ()))
    }


def _read_by(mine: tuple[int, ...], readers: Mapping[int, Reader]) -> Iterator[int]:
    return (key for key, (reader, _pool) in readers.items() if reader in mine and key not in mine)


def _read_by_pool(mine: tuple[int, ...], readers: Mapping[int, Reader]) -> Iterator[int]:
    return (key for key, (reader, pool) in readers.items() if pool and reader not in mine and key not in mine)
