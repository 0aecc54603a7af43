"""What a client has to keep at the least of what it has read, so that nothing is lost and its history stays."""

from collections.abc import Iterable, Sequence

import orjson
from django.db import connection, transaction

from bench.speed.exchange.bare import Body

_TABLES = ("bench_came", "bench_version", "bench_present")
_COLUMNS = "type text, id text, version text, body text, PRIMARY KEY (type, id, version)"


def keep(pages: Iterable[Sequence[Body]]) -> int:
    """Keep every page as it comes: as it came, as a version, as the present one, one transaction each; give how many there were."""
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"CREATE TABLE {table} ({_COLUMNS})")
    return sum(_keep(page) for page in pages if page)


@transaction.atomic
def _keep(page: Sequence[Body]) -> int:
    rows = [(one["resourceType"], one["id"], one["meta"]["versionId"], orjson.dumps(one).decode()) for one in page]
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        for table in _TABLES:
            values = f"INSERT INTO {table} SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])"  # noqa: S608
            cursor.execute(values, columns)
    return len(page)
