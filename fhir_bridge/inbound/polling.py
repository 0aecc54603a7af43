"""What the partners have changed: polled by their clock into the Inbox, then applied one by one.

Reading and applying are apart. `poll` reads a window of ``_lastUpdated`` per type (`fhir_bridge.inbound.windows`), from some time before
the watermark to shortly before the partner's own present, stores what concerns us (`fhir_bridge.sharing.relevance`) in full, and
moves the mark with each page that is stored (`fhir_bridge.inbound.watermarks`). `fhir_bridge.inbound.applying` does the rest.
`fhir_bridge.inbound.reconciling` reads by id, which finds deletions, and changes that a poll can't show.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import transaction

from fhir_bridge.capabilities.choices import Hear
from fhir_bridge.connecting import circuit, partners
from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY, Failed, Unreadable
from fhir_bridge.inbound import addressing, bypatient, directory, overlooked, revisiting, rewinding, watermarks, windows
from fhir_bridge.models import Partner, Watermark
from fhir_bridge.pending import inbox, mending
from fhir_bridge.sharing.relevance import DIRECTORY, fresh, polled, relevant
from records import clock, errors
from referrals.upheavals import silence

# A partner that can't be searched by time is asked for everything of each patient: less often
BY_PATIENT_EVERY = timedelta(minutes=5)
# So many types one after the other that can't be read, and none that can
ILL = 5
# A Date header has whole seconds
JUST_NOW = timedelta(seconds=1)


def poll(
    partner: Partner,
    *,
    server: Server | None = None,
    unless_read_since: timedelta = timedelta(0),
    up_to_now: bool = False,
) -> int:
    """Store what is new at the partner; give how many versions.

    It is read to shortly before the partner's present, as what is committed late would be missed (it is found a little
    later); ``up_to_now`` when we were told that there is something.

    Several workers may poll one partner at once: each takes types that no other reads, and that nobody has read for
    ``unless_read_since``.
    """
    if not circuit.may_ask(partner):
        return 0
    try:
        connected = server or partners.connect(partner)
        lag = -JUST_NOW if up_to_now else timedelta(seconds=partner.lag_seconds)
        stored = _poll_types(partner, connected, clock.now() - unless_read_since, lag)
    except errors.BatonError as error:
        note_failure(partner, error)
        raise
    return stored


def _poll_types(partner: Partner, server: Server, read_before: datetime, lag: timedelta) -> int:
    """Each type at most once. One that can't be read keeps none of the others from being read, and is told of last.

    What did answer shows that the line is good: it is not the one lost answer of many that opens the circuit.
    """
    upper = _present(partner, server) - lag
    watermarks.ensure(partner, polled(partner))  # once its clock is known
    revisiting.look_again(partner, server)
    done = _Round()
    for mark in _claims(partner, upper, read_before):
        done.read(partner, server, mark)
        if done.is_ill:
            break
    if done.has_nothing(polled(partner)):
        raise done.not_offered[0]
    if done.answered or not done.failures:
        note_success(partner)
    if done.failures:
        raise done.failures[0]
    return done.stored


@dataclass
class _Round:
    """What came of the types that were read: new versions, how many answered, what went wrong with the others.

    ``not_offered`` is what was said of types that the partner has never shown, and doesn't say that it offers.
    """

    stored: int = 0
    answered: int = 0
    failures: list[errors.BatonError] = field(default_factory=list)
    not_offered: list[errors.BatonError] = field(default_factory=list)

    def read(self, partner: Partner, server: Server, mark: Watermark) -> None:
        """Read one type; raise what speaks of the partner as a whole."""
        try:
            self.stored += _read(partner, server, mark)
            self.answered += 1
        except (*AWAY, rewinding.Rewound):
            raise
        except windows.NotOffered as error:
            watermarks.not_offered(mark)
            if _is_offered(partner, mark):
                self._cannot(mark, error)
            else:
                self.not_offered.append(error)
        except errors.BatonError as error:
            self._cannot(mark, error)

    def _cannot(self, mark: Watermark, error: errors.BatonError) -> None:
        watermarks.failed(mark, error)
        self.failures.append(error)

    def has_nothing(self, types: Collection[str]) -> bool:
        """Whether the partner was asked for all these types and says of each that it hasn't got it: nothing was heard."""
        return not self.answered and len(self.not_offered) >= len(types)

    @property
    def is_ill(self) -> bool:
        """Whether so many have failed, and none has answered, that it is not asked for everything."""
        whole = [one for one in self.failures if not isinstance(one, bypatient.Partly)]
        return not self.answered and len(whole) >= ILL


def _is_offered(partner: Partner, mark: Watermark) -> bool:
    """Whether it has been read before, or the partner says that it offers it: then it is missed."""
    return mark.deep_until is not None or "search-type" in partner.can().of(mark.type).interactions


def _claims(partner: Partner, upper: datetime, read_before: datetime) -> Iterator[Watermark]:
    """Types that nobody else reads, one claim after the other."""
    hears = {type_: _hear(partner, type_) for type_ in polled(partner)}
    rarely = min(read_before, clock.now() - BY_PATIENT_EVERY)
    for way, before in ((Hear.POLL, read_before), (Hear.POLL_BY_PATIENT, rarely)):
        waiting = {type_ for type_, hear in hears.items() if hear == way}
        while waiting and (mark := watermarks.claim(partner, waiting, upper, read_before=before)):
            waiting.remove(mark.type)
            yield mark


def _hear(partner: Partner, type_: str) -> str:
    """How a type is polled; what is notified is polled too, and of whom we know nothing yet the usual way is tried."""
    choice = partner.ways(type_).hear
    if (choice.is_set or partner.can().source) and choice.way != Hear.SUBSCRIPTION:
        return choice.way
    by_time = not partner.can().source or "_lastUpdated" in partner.can().of(type_).params
    return Hear.POLL if by_time else Hear.POLL_BY_PATIENT


def note_success(partner: Partner) -> None:
    """The partner has answered: it is not silent."""
    now = clock.now()
    circuit.answered(partner.pk)
    window = timedelta(seconds=partner.silence_seconds)
    house, pool = partner.organization, partner.steward_pool
    silence.heard(str(partner.pk), house, now, silent_after=window, pool=pool, name=partner.name)


def note_failure(partner: Partner, error: errors.BatonError) -> None:
    """What a failed read says about the partner as a whole."""
    with transaction.atomic():
        circuit.failed(partner.pk, error)


def _present(partner: Partner, server: Server) -> datetime:
    """The partner's present instant by its own Date header, which has whole seconds; where it sends none, or can't be
    searched for Tasks, ours and what they were last apart. One whose answer doesn't come is asked for nothing else.
    """
    try:
        reply, _found = next(server.search("Task", [("_count", "1"), ("_elements", "id")]))
    except errors.BatonError as error:
        is_answer = isinstance(error, (Failed, Unreadable)) or not isinstance(error, (*AWAY, errors.Unavailable))
        if not is_answer:
            raise
        reply = None
    if reply is None or reply.sent_at is None:
        return clock.now() + timedelta(seconds=partner.skew_seconds or 0.0)
    partner.skew_seconds = (reply.sent_at - clock.now()).total_seconds()
    Partner.objects.filter(pk=partner.pk).update(skew_seconds=partner.skew_seconds)
    return reply.sent_at


def _read(partner: Partner, server: Server, mark: Watermark) -> int:
    """Store one type's window page by page; when it can't be read to the end, the next reader goes on from there."""
    if mark.reached is None or mark.upper is None:
        return 0
    stored = 0
    try:
        for stretch in _stretches(partner, server, mark, mark.reached, mark.upper):
            new = fresh(partner, stretch.resources)  # what is known is no sign of a restore, and has nothing to say
            rewinding.look(partner, server, new)
            stored += _store(partner, mark, replace(stretch, resources=new), addressing.ours(partner, server, new))
        watermarks.finish(mark, mark.upper)
    except bypatient.Partly:  # of whom it can be read it was, and the others are asked for with them
        watermarks.finish(mark, mark.upper, is_whole=False)
        raise
    finally:
        watermarks.let_go(mark)
    return stored


def _stretches(
    partner: Partner, server: Server, mark: Watermark, lower: datetime, upper: datetime
) -> Iterator[windows.Stretch]:
    window = windows.Window(mark.type, lower, upper, mark.is_linked)
    if mark.type in DIRECTORY:
        yield from directory.read(partner, server, window)
    elif _hear(partner, mark.type) == Hear.POLL:
        yield from windows.read(server, window)
    else:
        yield from (windows.Stretch(page, lower) for page in bypatient.pages(partner, server, mark.type))


@transaction.atomic
def _store(partner: Partner, mark: Watermark, stretch: windows.Stretch, ours: Collection[tuple[str, str]]) -> int:
    if stretch.resources and mark.type in overlooked.ORDERS:
        watermarks.hold(partner)
    watermarks.advance(mark, stretch.until, is_linked=stretch.is_linked)
    stored = overlooked.put(partner, relevant(partner, stretch.resources, ours))
    for resource in stretch.unreadable:
        mending.unreadable(partner, resource)
    for resource in stretch.failing:
        inbox.put_name(partner, mark.type, str(resource.get("id")), Failed("The partner fails over it."))
    return stored
