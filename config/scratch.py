"""Databases for one command's own use: made empty beside the one that is configured, and dropped when it ends.

On the server that ``DATABASE_URL`` (or a running ``make run``) names, only ``CREATE DATABASE`` and ``DROP DATABASE`` of
names of our own are run; no table of another database is touched. Where no server is named, a PostgreSQL of this command
alone is started, and gone with it.
"""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import environ
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from config import embedded, running

Settings = Mapping[str, Any]
"""What Django's ``DATABASES`` holds of one database."""

# For a command that runs the same few statements a hundred thousand times: each is planned once (decision 0072).
_PREPARED = {
    "server_side_binding": True,
    "prepare_threshold": 1,
    "options": "-c jit=off -c plan_cache_mode=force_generic_plan",
}
_MOST_PREPARED = 1_000


@contextmanager
def databases(purpose: str, count: int, *, is_prepared: bool = False) -> Iterator[Sequence[Settings]]:
    """So many empty, migrated databases; ``purpose`` is a word in their names.

    ``is_prepared``: statements are planned once and for all values, which is not how users run them.
    """
    with ExitStack() as stack:
        stack.callback(_lead_back, {**connections["default"].settings_dict})  # from where the next ones are made
        server = stack.enter_context(_server())
        names = [f"baton_{purpose}_{uuid4().hex[:10]}_{number}" for number in range(count)]
        stack.callback(_drop, server, names)
        found = [{**server, "NAME": name} for name in names]
        _create(server, names[0], "template0")
        _migrate(found[0])
        for name in names[1:]:
            _create(server, name, names[0])
        # no pool: processes that are forked would draw each other's connections from it
        kept = {name: value for name, value in server.get("OPTIONS", {}).items() if name != "pool"}
        yield [{**database, "OPTIONS": kept | (_PREPARED if is_prepared else {})} for database in found]


def use(database: Settings) -> None:
    """Let Django's connection of this process lead there from now on; statements are prepared where they repeat."""
    default = connections["default"]
    default.close()
    default.settings_dict.update(database)
    default.ensure_connection()
    default.connection.prepared_max = _MOST_PREPARED


def _lead_back(configured: Settings) -> None:
    default = connections["default"]
    default.close()
    default.settings_dict.update(configured)


@contextmanager
def _server() -> Iterator[Settings]:
    """The configured server, else one of our own."""
    configured: Settings = {**connections["default"].settings_dict}  # `use` changes the original
    if os.environ.get("DATABASE_URL") or running.addresses(Path(settings.BATON_DATA)):
        yield configured
        return
    folder = Path(tempfile.mkdtemp(prefix="baton-scratch-"))
    folder.chmod(0o755)
    try:
        with embedded.postgres(embedded.home(folder), durable=False) as part:
            yield {**configured, **environ.Env().db_url_config(part.url), "ENGINE": configured["ENGINE"]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _migrate(database: Settings) -> None:
    """In a process of its own, so that this one's connection stays where it was."""
    process = multiprocessing.get_context("fork").Process(target=_migrate_here, args=(database,))
    connections.close_all()
    process.start()
    process.join()
    if process.exitcode:
        raise embedded.PartError("The database of this command could not be migrated")


def _migrate_here(database: Settings) -> None:
    use(database)
    call_command("migrate", verbosity=0)


def _create(server: Settings, name: str, template: str) -> None:
    made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    quick = sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name))
    _run(server, [made, quick])


def _drop(server: Settings, names: list[str]) -> None:
    _run(server, [sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)) for name in names])


def _run(server: Settings, statements: list[sql.Composed]) -> None:
    """Statements that no transaction may hold, from the configured database (it must exist to let us in)."""
    known = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}
    named = {word: server[name] for name, word in known.items() if server.get(name)}
    named |= {name: value for name, value in server.get("OPTIONS", {}).items() if name != "pool"}
    with psycopg.connect(**named, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
