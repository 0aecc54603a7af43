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

from fhir_bridge.connecting.client import PAGE, Server, next_link
from fhir_bridge.connecting.retries import Failed, Unreadable
from fhir_bridge.pending import inbox
from records import errors
from records.json import Resource

READINGS = 5
IDLE_PAGES = 3
NARROWEST = timedelta(milliseconds=2)
# a smaller page may be readable, or at least show which resource isn't
SMALLER = 5
NAMES_ALONE = ("_elements", "id,meta")
_MILLISECOND, _SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
# what one resource on a page may do to the whole page
BROKEN = (Unreadable, Failed)
EXPIRED = (errors.Malformed, errors.NotFound, errors.Gone, errors.Unsupported)


Version = tuple[str, str]


class Endless(Unreadable):
    """Its pages go on for ever, or are never the same."""


class NotOffered(errors.Unsupported):
    """A search for the type is answered with "there is no such thing": by its server, or by a gateway before a server that is away."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of the changes, and the instant before which everything has been given by now.

    ``is_linked`` tells that the partner gives ``next`` links. Of resources that can't be had alone there are the ids and
    ``meta``: ``unreadable`` is what can't be made sense of, ``failing`` what the partner fails over now.
    """

    resources: list[Resource]
    until: datetime
    is_linked: bool = False
    unreadable: tuple[Resource, ...] = ()
    failing: tuple[Resource, ...] = ()


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
    """Every change in the window at least once.

    Raises `Unreadable` when the partner's answers can't be made sense of, `NotOffered` for a type that it says it doesn't have,
    and what an exchange raises; what was given before stands, and reading may go on from the last stretch's ``until``.
    """
    full = size
    while window.lower < window.upper:
        page, size = _first(server, window, size)
        steps = _step(server, window, page, size) if page else _singly(server, _instant(server, window))
        for stretch in steps:
            yield stretch
            window = replace(window, lower=stretch.until, is_linked=window.is_linked or stretch.is_linked)
        size = min(size * SMALLER, full)


def _step(server: Server, window: Window, page: _Page, size: int) -> Iterator[Stretch]:
    """What a first page gives, and how far it leads."""
    window = replace(window, is_linked=window.is_linked or page.has_next)
    reached = _reached(page.resources, window.lower)
    if _is_last(page, window, reached):
        yield Stretch(page.resources, window.upper, window.is_linked)
    elif reached is None or reached <= window.lower:
        part = _part(page, window, reached)
        try:
            yield from _linked(server, part, size)
        except Endless:
            raise
        except BROKEN:
            yield from _singly(server, part)
    else:
        yield Stretch(page.resources, reached, window.is_linked)


def _first(server: Server, window: Window, size: int) -> tuple[_Page | None, int]:
    """The first page of a window, in as small a size as can be read.

    None when not even one resource can be read.
    """
    while True:
        try:
            reply, resources = next(server.search(window.type, window.params(size)))
        except (errors.NotFound, errors.Unsupported) as error:
            raise NotOffered(error.message) from error
        except BROKEN as error:
            if size == 1:
                return None, size
            # one that fails over everything is asked little
            size = 1 if isinstance(error, Failed) else max(size // SMALLER, 1)
        else:
            return _Page(resources, bool(next_link(reply.resource or {}))), size


def _instant(server: Server, window: Window) -> Window:
    """The first instant of a window of which nothing can be read whole.

    Raise `Unreadable` from a partner that doesn't say which ones there are.
    """
    _reply, first = next(server.search(window.type, [*window.params(1), NAMES_ALONE]))
    reached = _reached(first, window.lower)
    if reached is None:
        raise Unreadable("The partner has something that can't be read, and doesn't say what.")
    return _part(_Page(first, has_next=True), window, reached)


def _singly(server: Server, part: Window) -> Iterator[Stretch]:
    """What is in a part resource by resource, as at least one can't be read."""
    for page in _pages(server, part.type, [*part.params(PAGE), NAMES_ALONE], set()):
        for each in page:
            yield _single(server, part, each)
    yield Stretch([], part.upper)


def _single(server: Server, part: Window, named: Resource) -> Stretch:
    alone: Resource = {name: named[name] for name in ("resourceType", "id", "meta") if name in named}
    try:
        found = server.read(part.type, str(named.get("id"))).resource
    except Unreadable:
        return Stretch([], part.lower, unreadable=(alone,))
    except Failed:
        return Stretch([], part.lower, failing=(alone,))
    except (errors.NotFound, errors.Gone):
        return Stretch([], part.lower)
    return Stretch([found] if found else [], part.lower)


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
            for page in _pages(server, window.type, window.params(size), found):
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
    raise Endless("The partner's pages are never the same.")


def _pages(server: Server, type_: str, params: list[tuple[str, str]], found: set[Version]) -> Iterator[list[Resource]]:
    """The pages of one reading; ``found`` collects what was on them. `Unreadable` when they go on without anything new."""
    idle = 0
    for _reply, page in server.search(type_, params):
        new = {(str(each.get("id")), inbox.version_of(each)) for each in page} - found
        idle = 0 if new else idle + 1
        if idle > IDLE_PAGES:
            raise Endless("The partner's pages have no end.")
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
