"""What the fake EHR holds: every version of every resource, found by id, by identifier and by time."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta

from bench.fake_ehr.wire import Body

Key = tuple[str, str]
TICK = timedelta(milliseconds=1)


class Shelf:
    """``versions``: (type, id) → every version of it, the present one last; ``gone``: those that were deleted.

    ``present`` is the clock. A write is at least ``tick`` later than the one before; with a ``tick`` of nothing
    several have the same instant. Without ``keeps_versions`` no resource says which version it is.
    """

    def __init__(self, present: Callable[[], datetime]) -> None:
        self.versions: dict[Key, list[Body]] = {}
        self.gone: dict[Key, datetime] = {}
        self.present = present
        self.tick = TICK
        self.keeps_versions = True
        self.at = datetime.min.replace(tzinfo=UTC)
        self._number = 100
        self._done: list[tuple[Key, datetime | None, bool]] | None = None
        self._named: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._journal: dict[str, list[tuple[datetime, int, str]]] = defaultdict(list)

    def all(self, type_: str) -> list[Body]:
        """The present version of every resource of a type."""
        return [
            versions[-1] for key, versions in list(self.versions.items()) if key[0] == type_ and key not in self.gone
        ]

    def put(self, body: Body, late: timedelta = timedelta()) -> Body:
        """A new version; ``late`` = its transaction took so long, and its time is that of its beginning."""
        id_ = body.get("id") or self._new_id()
        key = (body["resourceType"], id_)
        versions = self.versions.setdefault(key, [])
        self.at = max(self.at + self.tick, self.present())
        at = (self.at - late).replace(microsecond=(self.at - late).microsecond // 1000 * 1000)
        meta = {name: value for name, value in body.get("meta", {}).items() if name != "versionId"}
        meta["lastUpdated"] = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
        if self.keeps_versions:
            meta["versionId"] = str(len(versions) + 1)
        versions.append({**body, "id": id_, "meta": meta})
        self._note(key, is_version=True)
        self.gone.pop(key, None)
        self._index(key, at)
        return versions[-1]

    def remove(self, key: Key) -> None:
        """Delete it; its history stays."""
        if key in self.versions:
            self._note(key, is_version=False)
            self.gone[key] = self.present()

    def found(self, key: Key) -> Body | None:
        """The present version, None for what was never there or is no more."""
        return self.versions[key][-1] if key in self.versions and key not in self.gone else None

    def named(self, type_: str, token: str) -> list[Body]:
        """Those that have this identifier (``system|value``) now."""
        ids = sorted(self._named[type_].get(token, ()))
        found = (self.found((type_, id_)) for id_ in ids)
        return [each for each in found if each is not None and token in tokens(each)]

    def between(self, type_: str, lower: datetime | None, upper: datetime | None) -> Iterator[Body]:
        """Those whose present version is of a time from ``lower`` to before ``upper``, in the order of time."""
        journal = self._journal[type_]
        start = 0 if lower is None else bisect_left(journal, (lower,))
        for at, number, id_ in journal[start:]:
            if upper is not None and at >= upper:
                return
            key = (type_, id_)
            if number == len(self.versions.get(key, ())) and key not in self.gone:
                yield self.versions[key][-1]

    @contextmanager
    def transaction(self) -> Iterator[Callable[[], None]]:
        """Gives what takes back all that is done within, as if it had never been."""
        self._done, number = [], self._number
        try:
            yield lambda: self._take_back(number)
        finally:
            self._done = None

    def _note(self, key: Key, *, is_version: bool) -> None:
        if self._done is not None:
            self._done.append((key, self.gone.get(key), is_version))

    def _take_back(self, number: int) -> None:
        for key, gone, is_version in reversed(self._done or ()):
            if is_version:
                self._drop(key)
            self.gone.pop(key, None)
            if gone is not None:
                self.gone[key] = gone
        self._number = number

    def _drop(self, key: Key) -> None:
        versions = self.versions[key]
        line = (datetime.fromisoformat(versions[-1]["meta"]["lastUpdated"]), len(versions), key[1])
        journal = self._journal[key[0]]
        del journal[bisect_left(journal, line)]
        versions.pop()
        if not versions:
            del self.versions[key]

    def snapshot(self) -> "Shelf":
        """A backup of now."""
        kept = copy(self)
        kept.versions = {key: list(versions) for key, versions in self.versions.items()}
        kept.gone = dict(self.gone)
        return kept

    def rewind(self, backup: "Shelf") -> None:
        """Be as at the time of the backup, but for the clock; later version numbers and new ids come once more."""
        self.versions = {key: list(versions) for key, versions in backup.versions.items()}
        self.gone, self._number = dict(backup.gone), backup._number  # noqa: SLF001 (one of ours)
        self._named.clear()
        self._journal.clear()
        for (type_, id_), versions in self.versions.items():
            for number, body in enumerate(versions, 1):
                at = datetime.fromisoformat(body["meta"]["lastUpdated"])
                insort(self._journal[type_], (at, number, id_))
                self._name(body)

    def _index(self, key: Key, at: datetime) -> None:
        line = (at, len(self.versions[key]), key[1])
        journal = self._journal[key[0]]
        if journal and journal[-1] > line:
            insort(journal, line)
        else:
            journal.append(line)
        self._name(self.versions[key][-1])

    def _name(self, body: Body) -> None:
        for token in tokens(body):
            self._named[body["resourceType"]][token].add(body["id"])

    def _new_id(self) -> str:
        self._number += 1
        return str(self._number)


def tokens(body: Body) -> set[str]:
    """The identifiers of a resource, each as ``system|value``."""
    return {
        f"{each.get('system')}|{each.get('value')}" for each in body.get("identifier") or () if isinstance(each, dict)
    }
