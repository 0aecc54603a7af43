"""What the partners should have: marked in the domain's transaction, sent by whoever comes first, outside any.

`mark` (a reaction of `records`) raises a link's wanted version. `run_once` claims one due link at a time with
``FOR UPDATE SKIP LOCKED``, commits it as in flight with a lease and a fencing number, sends it with `fhir_bridge.outbound.sending`, and
settles. A worker that dies leaves a lease that runs out: the next one takes the link as *unknown* and looks it up at
the partner before it repeats anything (law 10). Links are claimed in the order of their rank, so that what is referred to goes first.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q

from fhir_bridge.connecting import circuit, partners, retries
from fhir_bridge.connecting.client import TOTAL_SECONDS, Server
from fhir_bridge.connecting.retries import Waiting
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import batching
from fhir_bridge.outbound.material import our_base
from fhir_bridge.outbound.sending import Sent, send
from fhir_bridge.pending import inbox, mending, wakeups
from fhir_bridge.sharing import consents, routing
from records import clock, errors, statements
from records.reactions import Change

# A claim is renewed before each exchange, of which none lasts longer than `client.TOTAL_SECONDS`: so long does the
# patient of a dead worker wait.
LEASE_SECONDS = TOTAL_SECONDS + 15.0
WAIT_SECONDS = 30.0
WAITING = "waiting"
OVERTAKEN = "overtaken"
RANK_OF_OTHERS = 9

# What an exchange that went well changes in a link
_SENT = ["state", "due_at", "sent_version", "origin", "lease_until", "attempts", "first_failed_at"]
_SENT += ["remote_id", "remote_version", "remote_last_updated", "remote_hash", "base", "error_category", "error_text"]

Progress = Callable[[Link], None]
Claim = tuple[Link, bool]
"""A link in flight by us, and whether its last outcome is unknown."""

# What exists at the partner and has a new version here. Of theirs, a Task alone has elements that we write.
_RAISE = """
UPDATE fhir_bridge_link AS link
   SET wanted_version = greatest(link.wanted_version, change.version),
       state = CASE WHEN link.state IN ('clean', 'stuck') THEN 'wanted'
                    WHEN link.state = 'held' THEN 'unknown' ELSE link.state END,
       due_at = CASE WHEN link.state IN ('clean', 'stuck', 'held') THEN %s ELSE link.due_at END,
       attempts = CASE WHEN link.state = 'stuck' THEN 0 ELSE link.attempts END
  FROM unnest(%s::text[], %s::text[], %s::int[]) AS change (type, id, version)
 WHERE link.type = change.type AND link.local_id = change.id AND link.wanted_version < change.version
   AND (link.origin = 'ours' OR link.type = 'Task')
RETURNING link.partner_id
"""


def mark(changes: Sequence[Change]) -> None:
    """Note what the partners should get after these versions; one statement, three more for a Task that is to leave."""
    written = [change for change in changes if change.body is not None]
    affected = _reconsider({change.patient for change in changes if change.type == "Consent"})
    if written:
        affected |= _raise(written)
    wakeups.after_commit("push", affected)


def _raise(written: Sequence[Change]) -> set[int]:
    with connection.cursor() as cursor:
        columns = ([c.type for c in written], [c.id for c in written], [c.version for c in written])
        cursor.execute(_RAISE, [clock.now(), *columns])
        affected = {row[0] for row in cursor.fetchall()}
    links = routing.plan(written, our_base())
    if links:
        Link.objects.bulk_create(links, ignore_conflicts=True)
        affected |= {link.partner_id for link in links}
    return affected


def _reconsider(patients: set[str]) -> set[int]:
    """What a consent of theirs holds back is looked at again now; gives the partners."""
    held = consents.held(patients) if patients else []
    if held:
        _look_again(Q(pk__in=[link.pk for link in held]))
    return {link.partner_id for link in held}


def _look_again(which: Q) -> None:
    """What was held back may go, if it may: perhaps it had been on its way before, so it is looked up first."""
    Link.objects.filter(which, state=Link.State.HELD).update(state=Link.State.UNKNOWN, due_at=clock.now())


def catch_up(partner: Partner) -> int:
    """Note what a newly connected partner should have of the work that is with it already; give how much that is."""
    links = routing.missing(partner, our_base())
    Link.objects.bulk_create(links, ignore_conflicts=True)
    wakeups.after_commit("push", {partner.pk} if links else ())
    return len(links)


def run_once(
    partner: Partner, *, server: Server | None = None, limit: int = 1000, progress: Progress | None = None
) -> Counter[str]:
    """Send what is due to one partner, at most ``limit`` links; give how many ended in each state."""
    outcome: Counter[str] = Counter()
    _look_again(_to_be_judged(partner))
    connected = server or partners.connect(partner)
    for claimed in _claims(partner, limit):
        for link, state in _carry_all(connected, claimed):
            outcome[state] += 1
            if progress:
                progress(link)
        partner.refresh_from_db()
    return outcome


def due(partner: Partner) -> int:
    """How many links could be claimed now, or are to be judged again."""
    return sum(Link.objects.filter(which).count() for which in (_due(partner), _to_be_judged(partner)))


def _claims(partner: Partner, limit: int) -> Iterator[list[Claim]]:
    """Claim after claim, until nothing is due, the partner is paused, or it asked us to wait."""
    number = 0
    while number < limit:
        has_use = not partner.failures or due(partner)  # of a half-open circuit's one question
        may_go = has_use and circuit.may_ask(partner)
        claimed = claim_some(partner, min(batching.size_for(partner), limit - number)) if may_go else []
        if not claimed:
            return
        number += len(claimed)
        yield claimed


def _due(partner: Partner) -> Q:
    now = clock.now()
    waiting = Q(state__in=(Link.State.WANTED, Link.State.UNKNOWN), due_at__lte=now)
    return Q(partner=partner) & (waiting | Q(state=Link.State.INFLIGHT, lease_until__lte=now))


def _to_be_judged(partner: Partner) -> Q:
    """What a consent holds back since a while ago: the consent may have ended by its own period."""
    return Q(partner=partner, state=Link.State.HELD, due_at__lte=clock.now())


def claim(partner: Partner) -> Claim | None:
    """Take the next due link for this worker, committed as in flight."""
    return next(iter(claim_some(partner, 1)), None)


def claim_some(partner: Partner, size: int) -> list[Claim]:
    """Take the next due links of one rank, at most ``size``, committed as in flight; others take others meanwhile."""
    with transaction.atomic():
        rows = Link.objects.select_for_update(skip_locked=True).filter(_due(partner))
        found = list(rows.order_by("rank", "due_at", "id")[:size])
        chosen = [link for link in found if link.rank == found[0].rank]
        claims = [(link, link.state != Link.State.WANTED) for link in chosen]
        until = clock.now() + timedelta(seconds=LEASE_SECONDS)
        Link.objects.filter(pk__in=[link.pk for link in chosen]).update(
            state=Link.State.INFLIGHT, lease_until=until, fence=F("fence") + 1
        )
    for link in chosen:
        link.state, link.lease_until, link.fence, link.partner = Link.State.INFLIGHT, until, link.fence + 1, partner
    return claims


def _carry_all(server: Server, claimed: Sequence[Claim]) -> Iterator[tuple[Link, str]]:
    """Send claimed links, together as far as they can go together, and settle each; give them with their states."""
    sure = [link for link, is_doubtful in claimed if not is_doubtful]
    with server.asking_first(lambda: _renew(*sure)):
        outcomes = batching.send_together(server, sure) if len(sure) >= batching.AT_ONCE else {}
    states = _kept([(link, sent) for link, _doubt in claimed if isinstance(sent := outcomes.get(link.pk), Sent)])
    has_failed = False
    for link, is_doubtful in claimed:
        outcome = outcomes.get(link.pk, batching.ALONE)
        if outcome is batching.ALONE:
            yield link, _carry(server, link, is_doubtful=is_doubtful or link.pk in outcomes)
        elif isinstance(outcome, errors.BatonError):
            yield link, _settle_failure(link, outcome, is_doubtful=False, tells=not has_failed)
            has_failed = True
        else:
            yield link, states[link.pk]


def _carry(server: Server, link: Link, *, is_doubtful: bool) -> str:
    """Send a claimed link and settle it, whatever happens; give its state."""
    try:
        with server.asking_first(lambda: _renew(link)):
            sent = send(server, link, is_doubtful=is_doubtful)
    except Waiting as error:
        return _settle_waiting(link, error, is_doubtful=is_doubtful)
    except errors.BatonError as error:
        return _settle_failure(link, error, is_doubtful=is_doubtful)
    return _kept([(link, sent)])[link.pk]


def _kept(sent: Sequence[tuple[Link, Sent]]) -> dict[int, str]:
    """Settle what was sent, and give the states; a resource of theirs that is another one of ours already is a person's work."""
    try:
        return _settle(sent)
    except IntegrityError:
        if len(sent) > 1:
            return {link.pk: _kept([(link, each)])[link.pk] for link, each in sent}
    link = sent[0][0]
    known = errors.Incorrect("Another resource of ours is linked to that one already.")
    return {link.pk: _settle_failure(link, known, is_doubtful=False)}


def _renew(*links: Link) -> None:
    """Hold the claims for one more exchange; `Unavailable` when another worker has taken one over."""
    until = clock.now() + timedelta(seconds=LEASE_SECONDS)
    claims = Q(pk__in=())
    for fence in {link.fence for link in links}:
        claims |= Q(pk__in=[link.pk for link in links if link.fence == fence], fence=fence)
    if Link.objects.filter(claims, state=Link.State.INFLIGHT).update(lease_until=until) < len(links):
        raise errors.Unavailable("Another worker has taken this over.")


def _held(links: Sequence[Link]) -> dict[int, Link]:
    """The rows of which this worker still holds the claim, locked, by their keys."""
    rows = Link.objects.select_for_update().filter(pk__in=[link.pk for link in links], state=Link.State.INFLIGHT)
    fences = {link.pk: link.fence for link in links}
    return {row.pk: row for row in rows.order_by("pk") if row.fence == fences[row.pk]}


@transaction.atomic
def _settle(sent: Sequence[tuple[Link, Sent]]) -> dict[int, str]:
    """Record what the partner has now, and give the states; another worker's newer claim makes ours void."""
    rows = _held([link for link, _sent in sent]) if sent else {}
    if not rows:
        return {link.pk: OVERTAKEN for link, _sent in sent}
    has_new = any(row.remote_id is None for row in rows.values())
    done = [row for link, each in sent if (row := rows.get(link.pk)) is not None and _note(row, each)]
    statements.upsert_rows(Link, list(rows.values()), _SENT)
    partner = sent[0][0].partner_id
    if has_new:
        release(partner)
    for row in done:
        mending.mended(row)
    circuit.answered(partner)
    return {link.pk: str(rows[link.pk].state) if link.pk in rows else OVERTAKEN for link, _sent in sent}


def _note(row: Link, sent: Sent) -> bool:
    """Put it into the row; whether there is nothing more to be sent."""
    is_done = sent.is_complete and row.wanted_version <= sent.version
    row.state = Link.State.CLEAN if is_done else Link.State.WANTED
    row.due_at = None if is_done else clock.now()
    row.sent_version = sent.version if sent.is_complete else row.sent_version
    sent.copy.onto(row)
    row.origin = sent.origin
    row.lease_until, row.attempts, row.first_failed_at = None, 0, None
    row.error_category = row.error_text = ""
    return is_done


def release(partner: int) -> None:
    """What waited for another resource may go now: it exists at the partner, or its newest version has been heard."""
    Link.objects.filter(partner=partner, state=Link.State.WANTED, error_category=WAITING).update(due_at=clock.now())


@transaction.atomic
def _settle_waiting(link: Link, reason: Waiting, *, is_doubtful: bool) -> str:
    row = _held([link]).get(link.pk)
    if row is None:
        return OVERTAKEN
    row.state = Link.State.UNKNOWN if is_doubtful else Link.State.WANTED
    row.due_at = clock.now() + timedelta(seconds=WAIT_SECONDS)
    row.lease_until = None
    row.error_category, row.error_text = WAITING, reason.message
    row.save()
    return WAITING


@transaction.atomic
def _settle_failure(link: Link, error: errors.BatonError, *, is_doubtful: bool, tells: bool = True) -> str:
    """Record what went wrong, by the table of `fhir_bridge.connecting.retries`, and make work of it where a person is needed.

    ``tells``: the failure says something about the partner as a whole (once per exchange).
    """
    row = _held([link]).get(link.pk)
    if row is None:
        return OVERTAKEN
    now = clock.now()
    verdict = retries.decide(error, row.attempts, was_unknown=is_doubtful)
    row.state = verdict.state
    row.due_at = None if verdict.pause_seconds is None else now + timedelta(seconds=verdict.pause_seconds)
    row.attempts += verdict.is_attempt
    row.first_failed_at = row.first_failed_at or now
    row.lease_until = None
    row.error_category, row.error_text = type(error).__name__, error.message
    answered = error if isinstance(error, retries.Distorted) else error.__cause__
    if isinstance(answered, retries.Distorted) and row.remote_id is None:
        row.base = inbox.text_of(answered.found)  # shown to a person, and looked at before anything is created again
    if verdict.then == "merge":
        row.remote_version = ""  # what we know of their copy is old: read before the next try
    row.save()
    if tells and not isinstance(error, retries.Withheld):
        circuit.failed(row.partner_id, error)
    if verdict.then == "stop":
        _stop(row, link.wanted_version)
    return str(row.state)


def _stop(row: Link, tried: int) -> None:
    """Make it a person's work; unless what was tried and refused is not what is to be sent by now."""
    if row.wanted_version <= tried:
        mending.open_for(row)
        return
    row.state, row.due_at = Link.State.WANTED, clock.now()
    row.save(update_fields=["state", "due_at"])
