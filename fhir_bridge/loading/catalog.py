"""Where everything of a load will be, known before anything is written: so references may go forward and backward.

A file on disk (SQLite), since a load may hold more resources than memory should. Keys are ``Type/id``, full URLs, and
``Type?identifier=system|value`` of people and places.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


class Catalog:
    """key → ``Type/id`` here."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.execute("CREATE TABLE place (key TEXT PRIMARY KEY, reference TEXT) WITHOUT ROWID")

    def put(self, key: str, reference: str) -> None:
        """Note where something will be; the first word stands."""
        self._connection.execute("INSERT OR IGNORE INTO place VALUES (?, ?)", (key, reference))

    def get(self, key: str) -> str | None:
        """Where it will be, or None for what the load doesn't hold."""
        row = self._connection.execute("SELECT reference FROM place WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None


@contextmanager
def catalog() -> Iterator[Catalog]:
    """One that is gone afterwards. It holds ids and identifiers, so nobody else may read it."""
    with tempfile.NamedTemporaryFile(prefix="baton-load-") as file:
        connection = sqlite3.connect(file.name, isolation_level=None)
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        try:
            yield Catalog(connection)
        finally:
            connection.close()
