"""Makes a database large quickly: copies of loops that went through the real workflow, row by row in SQL.

The copies keep owners, stages and times (these spread over weeks), and take new ids; their Tasks are not copied. The laws
hold of the originals, so they hold of the copies, and the triggers that check them are off meanwhile.
"""

from typing import Any

from django.db import connection

COPIED = ("referrals_loop", "referrals_handoff")
# What makes a copy another row: the ids, and what must be unique or would point at an original.
_CHANGED = {
    "referrals_loop": {
        "id": "old.id || '.' || copy",
        "request_id": "old.request_id || '.' || copy",
        "based_on_id": "NULL",
    },
    "referrals_handoff": {
        "id": "old.id || '.' || copy",
        "loop_id": "old.loop_id || '.' || copy",
        "opened_by_id": "NULL",
        "due_at": "old.due_at + spread",
        "half_due_at": "old.half_due_at + spread",
        "escalate_at": "NULL",
    },
}


def multiply(first: int, last: int) -> None:
    """Add the copies of these numbers (both included) of every loop that is an original, and of its handoffs."""
    with connection.cursor() as cursor:
        for table in COPIED:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for table in COPIED:
            cursor.execute(_copy(cursor, table), [first, last])
        for table in COPIED:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        cursor.execute(f"ANALYZE {', '.join(COPIED)}")


def _copy(cursor: Any, table: str) -> str:
    """The statement that copies a table's originals, whatever its columns are."""
    names = [column.name for column in connection.introspection.get_table_description(cursor, table)]
    changed = _CHANGED[table]
    values = ", ".join(changed.get(name, f'old."{name}"') for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    return (
        f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} AS old, "  # noqa: S608 (names of our own tables)
        "generate_series(%s::int, %s::int) AS copy, "
        "LATERAL (SELECT (copy %% 999 - 499) * interval '37 minutes' AS spread) AS spreading "
        "WHERE position('.' IN old.id) = 0"
    )
