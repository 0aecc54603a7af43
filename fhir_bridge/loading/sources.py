"""Which parts a load has, in the order in which they are read: a file, or those of a folder; plain or gzipped."""

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from fhir_bridge.loading import entries
from records.errors import Incorrect, NotFound
from records.parse import MAX_BYTES

_NDJSON = re.compile(r"\.(ndjson|jsonl)(\.gz)?$", re.IGNORECASE)
_JSON = re.compile(r"\.json(\.gz)?$", re.IGNORECASE)
# Who is referred to comes first, what refers to everything last; a part without a type in its name in between
_FIRST = (
    *("Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", "Endpoint", "Patient"),
    *("hospital", "practitioner"),  # as Synthea calls its directories
)
_LAST = ("ServiceRequest", "Task")


@dataclass(frozen=True, slots=True)
class Part:
    """One file. ``name`` is the same each time it is read."""

    name: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size

    @property
    def is_lines(self) -> bool:
        """Whether it is NDJSON."""
        return bool(_NDJSON.search(self.path.name))

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """What it holds, and the file on disk below it, which tells how far the reading is."""
        with self.path.open("rb") as raw:
            if self.path.suffix.lower() == ".gz":
                with gzip.open(raw) as content:
                    yield cast("BinaryIO", content), raw
            else:
                yield raw, raw

    def resources(self, stream: BinaryIO, head: entries.Head) -> Iterator[bytes]:
        """Each resource (NDJSON, or a file of one) or entry (of a Bundle) as bytes."""
        if self.is_lines:
            yield from entries.lines(stream)
            return
        yield from entries.cut(stream, head)
        if not head.has_entries:
            with self.opened() as (again, _raw):
                yield again.read(MAX_BYTES + 1)


def parts(source: str) -> list[Part]:
    """The parts of a file or folder (with those below it). `NotFound`, or `Incorrect` where nothing can be read."""
    path = Path(source)
    if not path.exists():
        raise NotFound(f"There is no such file or folder: {source}")
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    found = [
        Part(str(each.relative_to(path)) if path.is_dir() else each.name, each)
        for each in files
        if _NDJSON.search(each.name) or _JSON.search(each.name)
    ]
    if not found:
        raise Incorrect("There is no .json, .ndjson, .json.gz or .ndjson.gz in it.")
    return sorted(found, key=lambda part: (_rank(part.path.name), part.name))


def _rank(name: str) -> int:
    named = re.split(r"[^A-Za-z]", name, maxsplit=1)[0].removesuffix("Information")
    if named in _FIRST:
        return _FIRST.index(named) - len(_FIRST)
    return _LAST.index(named) + 1 if named in _LAST else 0
