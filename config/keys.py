"""Secrets for local use: made once, kept in the data folder, readable by their owner alone."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def local_key(folder: Path, name: str, length: int = 50) -> str:
    """The key ``name`` of this data folder, made at the first call (``length`` random bytes, URL-safe text).

    Raises ImproperlyConfigured where the folder can't be written: then the environment must bring the key.
    """
    path = folder / "keys" / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, secrets.token_urlsafe(length))
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ImproperlyConfigured(f"The key {name} can't be kept in {path.parent}: {error.strerror}") from error


def _create(path: Path, value: str) -> None:
    # Linked into place whole, so that two processes that start at once read the same key.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(value, encoding="ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
