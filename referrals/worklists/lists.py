"""The worklist: its rows page by page, and the counts on its tiles.

Each internal list is read by its own index in the order (priority, due, id) and the first few of each are merged
(LATERAL: one statement whatever the number of lists); the next page begins after a key, compared as a ROW. The SQL is put
together from the fragments here and in `filters` alone; what comes from outside is a parameter.

Whose lists those are at this instant `referrals.people.reading` derives; a row comes once, however many reasons there are
to show it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress

from django.db import connection
from django.utils.translation import gettext as _

from records.access import Actor
from records.errors import Malformed
from referrals import people
from referrals.people import OVERSEEING, WORKING, Lists
from referrals.worklists.filters import LABELS, WATCHING, Filters, Parameters, Scope, where
from referrals.worklists.patients import identities

MOST_ROWS = 200
MOST_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One handoff on a list: who has to do what by when, ready to show; ids to link, instants in UTC.

    ``via`` says why it is on the reader's list although it stands on another one: "away" (its owner is), "half" of its
    time is over and the reader stands in for its owner (both "pooled" where a pool does), "late"; "" where it is
    theirs. ``effective_owner_name`` is whoever works for an owner who is away, else the owner.
    ``patient_born`` is a FHIR date; ``may_hand_over``: whether the reader may give it to a colleague.
    """

    handoff_id: str
    loop_id: str
    version: int
    kind: str
    handoff: str
    stage: str
    loop_stage: str
    priority: str
    priority_rank: int
    title: str
    patient_id: str
    owner_id: int
    owner_name: str
    owner_kind: str
    owner_organization: str
    list_id: int
    list_name: str
    pool_id: int
    placer: str
    performer: str
    ordered_at: datetime
    opened_at: datetime
    stage_since: datetime
    due_at: datetime
    via: str
    labels: frozenset[str]
    patient_name: str = ""
    patient_born: str = ""
    effective_owner_id: int = 0
    effective_owner_name: str = ""
    may_hand_over: bool = False


_COLUMNS = """
h.id, h.loop_id, h.version, l.kind, h.kind, h.stage, l.stage, l.priority, h.priority_rank, l.title, l.patient_id,
h.owner_id, o.name, o.kind, o.organization, h.list_id, s.name, h.pool_id, l.placer, l.performer, l.ordered_at,
h.opened_at, h.stage_since, h.due_at
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list and the key of the next ones, empty at the end."""

    rows: list[Row]
    next: str


# What the worklist opens with: each tile is a list, and its number is the number of that list's rows.
TILES: dict[str, Filters] = {
    "mine": Filters(scope="mine"),
    "team": Filters(scope="team"),
    "organisation": Filters(scope="organisation"),
    "overdue": Filters(scope="team", label="overdue"),
    "due-soon": Filters(scope="team", label="due-soon"),
    "waiting": Filters(scope="team", label="waiting"),
    "chase": Filters(scope="team", label="chase"),
    "decide": Filters(scope="organisation", handoff="decide-next-step"),
    "review": Filters(scope="organisation", handoff="review-report"),
    "tell": Filters(scope="organisation", handoff="notify-patient"),
    "mend": Filters(scope="organisation", handoff="mend-exchange"),
}


def rows(
    actor: Actor, filters: Filters, *, now: datetime, after: str = "", limit: int = 50, lists: Lists | None = None
) -> Page:
    """One page of a list, most urgent first, then by due time; ``after`` is the key that the page before gave.

    A row whose due time changes between two pages may come again. ``lists`` are those that the actor reads now, for who
    knows them already (`people.lists_at`). Raises `Malformed` for a key that we never gave.
    """
    wanted = min(max(limit, 1), MOST_ROWS)
    parameters = Parameters(now=now, organization=actor.organization)
    conditions = list(where(filters, actor, now, parameters))
    if after:
        conditions.append(_beyond(after, parameters))
    lists = lists or people.lists_at(actor, now)
    branches = _branches(filters, lists, _PICKED, conditions, parameters, wanted + 1, now)
    with connection.cursor() as cursor:
        cursor.execute(_SHOWN.format(branches=branches, limit=wanted + 1), parameters)
        found = [_row(line) for line in cursor.fetchall()]
    patients = identities(actor, {row.patient_id for row in found})
    page = [_named(row, patients, lists, actor) for row in found[:wanted]]
    return Page(page, _key(page[-1]) if len(found) > wanted else "")


def tiles_of(scope: Scope) -> dict[str, Filters]:
    """The tiles as they read in one scope; those that are a whole scope themselves stay."""
    return {name: one if name == one.scope else replace(one, scope=scope) for name, one in TILES.items()}


def tiles(
    actor: Actor, now: datetime, shown: Mapping[str, Filters] = TILES, lists: Lists | None = None
) -> dict[str, int]:
    """The number of rows behind each tile, in one statement; counted up to `MOST_COUNTED` + 1. ``lists`` as in `rows`."""
    lists, parameters = lists or people.lists_at(actor, now), Parameters()
    counts = [
        f"(SELECT count(*) FROM (SELECT FROM ({branches}) AS row LIMIT {MOST_COUNTED + 1}) AS counted)"  # noqa: S608
        for filters in shown.values()
        for conditions in [list(where(filters, actor, now, parameters))]
        for branches in [_branches(filters, lists, "", conditions, parameters, MOST_COUNTED + 1, now)]
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(counts)}", parameters)
        return dict(zip(shown, cursor.fetchone(), strict=True))


def _branches(
    filters: Filters,
    lists: Lists,
    columns: str,
    conditions: Collection[str],
    parameters: Parameters,
    limit: int,
    now: datetime,
) -> str:
    """The first rows of each list that is read, of what is late behind a pool, and of what is watched elsewhere.

    Without ``columns`` they are only to be counted: in no order.
    """
    read = dict(_read(filters.scope, lists))
    words = {
        "now": parameters.put(now),
        "lists": parameters.put([*read]),
        "reasons": parameters.put([*read.values()]),
        "pools": parameters.put([*lists.pools]),
        "own": parameters.put([key for key, via in read.items() if not via]),
    }
    branches = []
    for source, on in _sources(filters, lists):
        where_clause = " AND ".join((on.format(**words), "h.closed_at IS NULL", *conditions))
        mentioned = f"{columns} {where_clause}"
        joins = " ".join(join for alias, join in _JOINS.items() if f" {alias}." in mentioned.replace("(", " "))
        order = "ORDER BY h.priority_rank, h.due_at, h.id" if columns else ""
        parts = {"columns": columns, "joins": joins, "where": where_clause, "order": order, "limit": limit}
        branches.append(_LATERAL.format(source=source.format(**words), **parts))
    return " UNION ALL ".join(branches)


def _sources(filters: Filters, lists: Lists) -> Iterator[tuple[str, str]]:
    """Where the rows come from: each source of lists, and which handoffs are read from it."""
    yield _LISTED
    if filters.scope == "team" and lists.pools:
        yield _LATE
    if filters.label in WATCHING or filters.scope == "organisation":
        yield _WATCHED


def _read(scope: Scope, lists: Lists) -> Iterator[tuple[int, str]]:
    """The lists of a scope with the reason why they are read; the last word for one that has several is the widest."""
    if scope == "organisation":
        yield from ((key, "") for key in lists.organisation)
        return
    if scope == "team":
        yield from ((key, "pooled half") for key in lists.pooled_half)
        yield from ((key, "pooled away") for key in lists.pooled_away)
        yield from ((key, "") for key in lists.shared)
    yield from ((key, "half") for key in lists.half)
    yield from ((key, "away") for key in lists.away)
    yield from ((key, "") for key in lists.mine)


# Where a branch takes its lists from, with the reason that its rows are shown for, and which handoffs it reads.
_LISTED = (
    "unnest({lists}::bigint[], {reasons}::text[]) AS listed (id, via)",
    """h.list_id = listed.id AND (listed.via NOT LIKE '%%half' OR h.half_due_at <= {now})
        AND (listed.via NOT LIKE 'pooled%%' OR h.pool_id = ANY({pools}::bigint[]))""",
)
_LATE = (
    "unnest({pools}::bigint[], array_fill('late'::text, ARRAY[cardinality({pools}::bigint[])])) AS listed (id, via)",
    """h.pool_id = listed.id AND h.list_id <> h.pool_id AND h.due_at <= {now}
        AND h.list_id <> ALL({lists}::bigint[])""",
)
_WATCHED = (
    "unnest({own}::bigint[], array_fill(''::text, ARRAY[cardinality({own}::bigint[])])) AS listed (id, via)",
    """h.accountable_id = listed.id AND h.list_id <> h.accountable_id AND h.is_outside
        AND h.list_id <> ALL({lists}::bigint[])""",
)
_LATERAL = """
SELECT first.* FROM {source} CROSS JOIN LATERAL (
    SELECT {columns} FROM referrals_handoff AS h {joins}
    WHERE {where} {order} LIMIT {limit}
) AS first
"""
# What a column or condition may be about besides the handoff; only what is mentioned is joined.
_JOINS = {
    "l": "JOIN referrals_loop AS l ON l.id = h.loop_id",
    "o": "JOIN referrals_owner AS o ON o.id = h.owner_id",
    "s": "JOIN referrals_owner AS s ON s.id = h.list_id",
}


def _shown_labels() -> Iterator[str]:
    yield from (condition.format(now="%(now)s", organization="%(organization)s") for condition in LABELS.values())


# The page: what is picked from the lists, in its order, with all that a row shows; that is looked up for these alone.
_PICKED = "h.*, listed.via"
_SHOWN = (
    f"SELECT {_COLUMNS}, h.via, {', '.join(_shown_labels())}"  # noqa: S608
    " FROM (SELECT * FROM ({branches}) AS row ORDER BY priority_rank, due_at, id LIMIT {limit}) AS h"
    " CROSS JOIN LATERAL (SELECT h.via) AS listed"
    f" {' '.join(_JOINS.values())} ORDER BY h.priority_rank, h.due_at, h.id"
)


def _named(row: Row, patients: Mapping[str, tuple[str, str]], lists: Lists, actor: Actor) -> Row:
    """The row with its patient, with whoever works instead of an owner who is away, and what the reader may do with it."""
    effective, name = row.owner_id, row.owner_name
    if row.list_id == row.owner_id and row.list_id in lists.stead:
        reader = lists.stead[row.list_id]
        effective = row.pool_id if reader is None else reader
        name = lists.names.get(effective, name)
    patient, born = patients.get(row.patient_id, ("", ""))
    return replace(
        row,
        patient_name=patient,
        patient_born=born,
        effective_owner_id=effective,
        effective_owner_name=name,
        may_hand_over=_may_hand_over(actor, row, lists),
    )


def _may_hand_over(actor: Actor, row: Row, lists: Lists) -> bool:
    """Whether the reader holds it (`people.roles_in`), told from what the list knows, without a look at each row.

    Where half of its time counts for who stands in, the list of the house doesn't say so; the own one does.
    """
    # Until the payer agrees it has been sent to nobody, and only its placer can do anything with it.
    is_theirs = row.owner_organization == actor.organization and row.stage != "authorisation-pending"
    if actor.kind != "person":
        return actor.kind == "client" and is_theirs
    is_own = row.owner_id in (*lists.mine, *lists.away) or row.via == "half"
    return is_theirs and bool(actor.roles & (WORKING if is_own else OVERSEEING))


def _row(line: tuple[object, ...]) -> Row:
    labels = frozenset(compress(LABELS, line[-len(LABELS) :]))
    return Row(*line[: -len(LABELS)], labels)  # type: ignore[call-arg,arg-type]  # the columns are in the order of the fields


def _key(row: Row) -> str:
    return urlsafe_b64encode(f"{row.priority_rank}~{row.due_at.isoformat()}~{row.handoff_id}".encode()).decode()


def _beyond(key: str, parameters: Parameters) -> str:
    try:
        # PostgreSQL takes no text with a NUL in it, and no id has one: it makes one part too many.
        rank, due, handoff_id = urlsafe_b64decode(key).decode().replace("\0", "~").split("~")
        place = (int(rank), datetime.fromisoformat(due), handoff_id)
    except ValueError as error:
        raise Malformed(_("This is no page of the list.")) from error
    rank_, due_, id_ = (parameters.put(part) for part in place)
    return f"ROW(h.priority_rank, h.due_at, h.id) > ROW({rank_}, {due_}, {id_})"
