"""Reading what a partner has changed of one type between two instants of its clock, whatever its pages do.

The next page is not the one that the partner's ``next`` link offers. Each request is the *first* page of what changed
since the last one that we have (`_keyset`): so a resource that changes meanwhile, and leaves its place, moves no other
across a border that we have passed; a link that has expired costs nothing; and a reader that died is taken up where it was.

Links are followed only where time can't tell what comes next (`_linked`): more resources of one instant than a page
holds, or a partner that doesn't sort. Such a stretch is read until two readings agree, and in narrower ones when a link has expired.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fhir_bridge import inbox
from fhir_bridge.client import PAGE, Server, next_link
from fhir_bridge.retries import Unreadable
from records import errors
from records.json import Resource

READINGS = 5
IDLE_PAGES = 3
NARROWEST = timedelta(milliseconds=2)
# a smaller page may be readable, or at least show which resource isn't
SMALLER = 5
_MILLISECOND, _SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
EXPIRED = (errors.Malformed, errors.NotFound, errors.Gone, errors.Unsupported)


Version = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of the changes, and the instant before which everything has been given by now.

    ``is_linked`` tells that the partner gives ``next`` links.
    """

    resources: list[Resource]
    until: datetime
    is_linked: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """What is read: a type, from ``lower`` to before ``upper`` by the partner's clock.

    ``is_linked``: the partner is known to give ``next`` links, so that a page without one is the last.
    """

    type: str
    lower: datetime
    upper: datetime
    is_linked: bool = False

    def params(self, size: int) -> list[tuple[str, str]]:
        """The search for its first page."""
        return [
            ("_lastUpdated", f"ge{self.lower:%Y-%m-%dT%H:%M:%S.%fZ}"),
            ("_lastUpdated", f"lt{self.upper:%Y-%m-%dT%H:%M:%S.%fZ}"),
            ("_sort", "_lastUpdated"),
            ("_count", str(size)),
        ]


@dataclass(frozen=True, slots=True)
class _Page:
    resources: list[Resource]
    has_next: bool


def read(server: Server, window: Window, size: int = PAGE) -> Iterator[Stretch]:
    """Every change in the window at least once; none for a type that the partner doesn't offer.

    Raises `Unreadable` when the partner's answers can't be made sense of, and what an exchange raises; what was given
    before stands, and reading may go on from the last stretch's ``until``.
    """
    while window.lower < window.upper:
        page, size = _first(server, window, size)
        window = replace(window, is_linked=window.is_linked or page.has_next)
        reached = _reached(page.resources, window.lower)
        if _is_last(page, window, reached):
            yield Stretch(page.resources, window.upper, window.is_linked)
            return
        if reached is None or reached <= window.lower:
            part = _part(page, window, reached)
            yield from _linked(server, part, size)
            reached = part.upper
        else:
            yield Stretch(page.resources, reached, window.is_linked)
        window = replace(window, lower=reached)


def _first(server: Server, window: Window, size: int) -> tuple[_Page, int]:
    """The first page of a window, in as small a size as can be read; an empty one of a type that isn't offered."""
    while True:
        try:
            reply, resources = next(server.search(window.type, window.params(size)))
        except (errors.NotFound, errors.Unsupported):
            return _Page([], has_next=False), size
        except Unreadable:
            if size == 1:
                raise
            size = max(size // SMALLER, 1)
        else:
            return _Page(resources, bool(next_link(reply.resource or {}))), size


def _is_last(page: _Page, window: Window, reached: datetime | None) -> bool:
    """Whether nothing comes after this page. A partner without links is asked again until it has nothing new."""
    if page.has_next:
        return False
    return window.is_linked or not page.resources or reached is None or reached <= window.lower


def _reached(resources: list[Resource], lower: datetime) -> datetime | None:
    """Up to when a page is complete; None when it is not sorted by time, or not limited to the window.

    The last instant itself may go on after the page; one that is shown in milliseconds or seconds may stand for any
    within that unit.
    """
    times = [inbox.last_updated(resource) for resource in resources]
    known = [each for each in times if each is not None]
    if not known or len(known) != len(times) or known != sorted(known) or known[0] < lower - _unit(known[0]):
        return None
    last = known[-1].astimezone(UTC)
    return max(last - _unit(last), lower)


def _unit(instant: datetime) -> timedelta:
    return _MILLISECOND if instant.microsecond else _SECOND


def _part(page: _Page, window: Window, reached: datetime | None) -> Window:
    """What has to be read by links: the instants that fill a page, or of an unsorted partner all that is left."""
    if reached is None:
        return window
    last = max(each for resource in page.resources if (each := inbox.last_updated(resource)))
    return replace(window, upper=min(last.astimezone(UTC) + _unit(last), window.upper))


def _linked(server: Server, window: Window, size: int) -> Iterator[Stretch]:
    """Page after page by the partner's links, until two readings have found the same."""
    before: set[Version] | None = None
    for _reading in range(READINGS):
        found, number = set[Version](), 0
        try:
            for page in _pages(server, window, size, found):
                number += 1
                yield Stretch(page, window.lower, is_linked=True)
        except EXPIRED as error:
            if number == 0:
                raise
            yield from _narrower(server, window, size, error)
            return
        if number <= 1 or found == before:
            yield Stretch([], window.upper, is_linked=True)
            return
        before = found
    raise Unreadable("The partner's pages are never the same.")


def _pages(server: Server, window: Window, size: int, found: set[Version]) -> Iterator[list[Resource]]:
    """The pages of one reading; ``found`` collects what was on them. `Unreadable` when they go on without anything new."""
    idle = 0
    for _reply, page in server.search(window.type, window.params(size)):
        new = {(str(each.get("id")), inbox.version_of(each)) for each in page} - found
        idle = 0 if new else idle + 1
        if idle > IDLE_PAGES:
            raise Unreadable("The partner's pages have no end.")
        found |= new
        yield page


def _narrower(server: Server, window: Window, size: int, error: errors.BatonError) -> Iterator[Stretch]:
    """A link has expired before the end: both halves of the window, one after the other."""
    half = (window.upper - window.lower) / 2
    if half < NARROWEST:
        raise errors.Unavailable("The partner's pages expire before they can be read.") from error
    middle = window.lower + half
    for part in (replace(window, upper=middle), replace(window, lower=middle)):
        yield from _linked(server, part, size)
