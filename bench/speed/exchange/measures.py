"""What is timed of an exchange: writes to the partner, its changes read and applied, and all of that read once more.

The bridge does it first, with real workers on real rows; then the bare client says the same, in the same Bundles and pages over
as many connections, to the same server. A figure is items a second; a ratio is the bridge's to the bare client's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic, sleep

from bench.chaos.people import People
from bench.speed.exchange import bare, shelf
from bench.speed.exchange.bare import Body
from bench.speed.exchange.crew import race
from bench.speed.exchange.scene import ORIGIN, RESULTS_PER_REFERRAL, Scene
from fhir_bridge.connecting.client import PAGE, condition
from fhir_bridge.inbound import applying, polling, watermarks
from fhir_bridge.models import Inbox, Link, Partner, Watermark
from fhir_bridge.outbound import batching, pushing
from fhir_bridge.pending import inbox
from records import clock

FILL = 100
HEARD = "Observation"
COPIED = "https://bare.example/id"
READ_AGAIN_AFTER = timedelta(hours=1)
WAIT_SECONDS = 0.25
"""So long does a worker wait that finds nothing to do: it asks the database and the EHR, which takes from those who work."""
Tell = Callable[[str, int, int], None]
"""Hears what is going on, how much of it is done, and of how much."""
Figures = dict[str, float | int]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many resources are sent and heard, over how many connections at once (as many worker processes)."""

    sent: int
    heard: int
    connections: int


def measure(base_url: str, enter: Callable[[], None], sizes: Sizes, tell: Tell) -> dict[str, Figures]:
    """Connect this empty database with that server, and time what they exchange; gives the figures by their names.

    ``enter`` leads another process to this database.
    """
    people = People(base_url, ORIGIN, 0, wait=lambda: None)
    return Measuring(Scene(people, people.found()), enter, sizes, tell).run()


class Measuring:
    """One run of all measures, on a scene in this database."""

    def __init__(self, scene: Scene, enter: Callable[[], None], sizes: Sizes, tell: Tell) -> None:
        self.scene, self.enter, self.sizes, self.tell = scene, enter, sizes, tell
        self.partner, self.base_url = scene.partner, scene.partner.base_url
        self.each = min(RESULTS_PER_REFERRAL, sizes.sent)

    def run(self) -> dict[str, Figures]:
        """Everything; gives the figures by their names."""
        referrals = max(self.sizes.sent // self.each, 1)
        for number in range(referrals):
            self.scene.refer(self.each)
            self.tell("referrals", number + 1, referrals)
        return {"sent: new": self.create(), "sent: changed": self.update(), **self.hear()}

    def create(self) -> Figures:
        """What goes along with the referrals is sent for the first time; nothing of theirs is known before."""
        seconds, number = self._push()
        self.copies = [_copy(each) for each in self._there() if each["resourceType"] == "Observation"]
        conditions = ({"ifNoneExist": condition(COPIED, each["identifier"][-1]["value"])} for each in self.copies)
        return _figures(number, seconds, self._write(map(bare.entry, self.copies, conditions)), len(self.copies))

    def update(self) -> Figures:
        """The same has changed here, and replaces what the partner has."""
        self.scene.change(self.each, 2)
        seconds, number = self._push()
        changed = [{**each, "valueQuantity": {**each["valueQuantity"], "value": 2}} for each in self.copies]
        conditions = ({"ifMatch": f'W/"{inbox.version_of(each)}"'} for each in changed)
        return _figures(number, seconds, self._write(map(bare.entry, changed, conditions)), len(changed))

    def hear(self) -> dict[str, Figures]:
        """What the partner has found is read and applied; then all of it is read once more.

        It is held against reading alone, against reading and keeping each text three times (as it came, as a version, as the
        present one), and the second time against the first.
        """
        self._pull("read before", 0)
        found = self.scene.theirs(self.sizes.heard)
        there = bare.write(self.base_url, (bare.entry(each, {}) for each in found), FILL, self.sizes.connections)
        times = sorted(datetime.fromisoformat(each["meta"]["lastUpdated"]) for each in there)
        first = self._pull("heard", len(there))
        Watermark.objects.filter(partner=self.partner).update(until=times[0], deep_until=None, read_at=None)
        again = self._pull("heard again", 0)
        window = (times[0], times[-1] + timedelta(seconds=1))
        began = monotonic()
        number = bare.read_all(self.base_url, HEARD, window, PAGE, self.sizes.connections)
        figures = _figures(len(there), first, monotonic() - began, number)
        began = monotonic()
        number = shelf.keep(bare.read(self.base_url, HEARD, *window, PAGE))
        kept = _figures(len(there), first, monotonic() - began, number)
        return {
            "heard": figures,
            "heard, against keeping": kept,
            "heard again": _figures(len(there), again, first, len(there)),
        }

    def _push(self) -> tuple[float, int]:
        """Seconds until nothing is to be sent any more, and how much was."""
        waiting = Link.objects.filter(partner=self.partner).exclude(state=Link.State.CLEAN)
        number = waiting.count()
        work = partial(push, self.partner.pk)
        seconds = race(
            self.enter, self.sizes.connections, work, lambda: self.tell("sent", number - waiting.count(), number)
        )
        if waiting.exists():
            raise RuntimeError("Not everything could be sent.")
        return seconds, number

    def _pull(self, what: str, number: int) -> float:
        """Seconds until so many new versions are read and applied."""
        before, applied = Inbox.objects.count(), Inbox.objects.filter(state=Inbox.State.APPLIED)
        seconds = race(
            self.enter,
            self.sizes.connections,
            partial(pull, self.partner.pk, clock.now()),
            lambda: self.tell(what, applied.count() - before, number),
        )
        if applied.count() != before + number:
            raise RuntimeError("Not everything that is there has been applied once.")
        return seconds

    def _there(self) -> Iterator[Body]:
        until = datetime.now(UTC) + timedelta(days=1)
        for page in bare.read(self.base_url, HEARD, watermarks.EVER, until, PAGE):
            yield from page

    def _write(self, entries: Iterator[Body]) -> float:
        began = monotonic()
        self.copies = bare.write(self.base_url, entries, batching.TOGETHER, self.sizes.connections)
        return monotonic() - began


def push(partner_id: int) -> None:
    """What a worker does until nothing is left to be sent."""
    partner = Partner.objects.get(pk=partner_id)
    waiting = Link.objects.filter(partner=partner).exclude(state=Link.State.CLEAN)
    while waiting.exists():
        if not pushing.run_once(partner):
            sleep(WAIT_SECONDS)


def pull(partner_id: int, since: datetime) -> None:
    """What a worker does until everything that had changed at the partner is applied."""
    partner = Partner.objects.select_related("steward_pool").get(pk=partner_id)
    read = Watermark.objects.filter(partner=partner, type=HEARD, read_at__gte=since)
    left = Inbox.objects.filter(partner=partner, state__in=(Inbox.State.PENDING, Inbox.State.WAITING))
    while left.exists() or not read.exists():
        polling.poll(partner, unless_read_since=clock.now() - since, up_to_now=True)
        if not applying.apply_pending(partner):
            sleep(WAIT_SECONDS)


def _copy(resource: Body) -> Body:
    """A resource like that one, of nobody."""
    named = {"system": COPIED, "value": str(resource["identifier"][-1]["value"])}
    rest = {key: value for key, value in resource.items() if key not in {"id", "meta"}}
    return {**rest, "identifier": [*resource["identifier"][:-1], named]}


def _figures(number: int, seconds: float, bare_seconds: float, bare_number: int) -> Figures:
    rate, bare_rate = number / seconds, bare_number / bare_seconds
    return {
        "items": number,
        "seconds": round(seconds, 2),
        "per_second": round(rate, 1),
        "bare_per_second": round(bare_rate, 1),
        "ratio": float(f"{rate / bare_rate:.2g}"),
    }
