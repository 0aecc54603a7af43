"""How other commands of a checkout find the database and the broker that its ``make run`` has started."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

POSTGRESQL = frozenset({"postgres", "postgresql"})


def addresses(data: Path) -> dict[str, str]:
    """The environment (``DATABASE_URL`` and so on) of the installation that runs on this data folder, or nothing."""
    try:
        told: dict[str, str] = json.loads((data / "running.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, ValueError):
        return {}
    return told


def refusal_of_database(url: str) -> str:
    """Why that ``DATABASE_URL`` can't be Baton's, in one line without its password; empty for PostgreSQL or no URL."""
    scheme = urlsplit(url).scheme
    if not url or scheme in POSTGRESQL:
        return ""
    return f"DATABASE_URL must name a PostgreSQL database (postgres://…), not {scheme or 'a text without a scheme'}"


@contextmanager
def told(data: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Tell other commands, as long as the code inside runs."""
    path = data / "running.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(dict(environment)), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
