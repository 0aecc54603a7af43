"""Celery's entry points: wake-ups that carry a partner's number. What is to be done are rows (law 8)."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.db.models import Q

from fhir_bridge.connecting import circuit, partners
from fhir_bridge.connecting.retries import AWAY, Unreadable
from fhir_bridge.inbound import applying, polling, reconciling, rewinding
from fhir_bridge.models import Partner
from fhir_bridge.notifying import hints, subscribing
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import wakeups
from records.errors import BatonError

log = logging.getLogger(__name__)

# Two rounds at once share a partner's types instead of reading them twice
READ_AGAIN_AFTER = timedelta(seconds=5)
# Far from the time limit of a Celery task, with the longest exchange on top; what is left over is for the next round
APPLYING_SECONDS = 120.0
RECONCILING_SECONDS = 60.0
# No fault of a partner's: the database is away, or our own time is over
OURS = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


@shared_task(ignore_result=True)
def push(partner_id: int) -> None:
    """Send what is due to one partner."""
    for partner in _active(partner_id):
        outcome = pushing.run_once(partner)
        if not outcome[pushing.WAITING]:
            continue
        try:  # perhaps for a change of theirs that was met on the way
            applying.apply_pending(partner, seconds=APPLYING_SECONDS)
            pushing.run_once(partner)
        except BatonError as error:  # it waits on
            polling.note_failure(partner, error)


@shared_task(ignore_result=True)
def pull(partner_id: int) -> None:
    """Read what one partner has changed, and apply it."""
    for partner in _active(partner_id):
        with suppress(BatonError):  # a partner that can't be read has that on its row by now
            _read(partner, is_told=hints.follow(partner).is_to_poll)
            applying.apply_pending(partner, seconds=APPLYING_SECONDS)


def _read(partner: Partner, *, is_told: bool) -> None:
    """Poll; one type that can't be read, which is noted, keeps nothing that came from being applied (law 9)."""
    try:
        polling.poll(partner, unless_read_since=READ_AGAIN_AFTER, up_to_now=is_told)
    except (*AWAY, rewinding.Rewound):
        raise
    except BatonError as error:
        log.info("exchange: not all of Partner/%s could be read (%s)", partner.pk, type(error).__name__)


def push_due(_now: datetime) -> None:
    """The poller of lost wake-ups: push to every active partner that has something due."""
    _each("push", filter(pushing.due, _all_active()), lambda partner: push(partner.pk))


def pull_due(_now: datetime) -> None:
    """Poll every active partner. Other workers are woken to help: each takes types that nobody reads now."""
    active = _all_active()
    wakeups.after_commit("pull", [each.pk for each in active[1:]])
    _each("pull", active, lambda partner: pull(partner.pk))


def reconcile_due(now: datetime) -> None:
    """Read by id what is linked with every partner, where it is time (`fhir_bridge.inbound.reconciling`).

    Before, our Subscriptions are looked after; one that can't be had keeps nothing from being read.
    """

    def reconcile(partner: Partner) -> None:
        for scope in reconciling.due(partner, now):
            reconciling.run(partner, scope, seconds=RECONCILING_SECONDS)

    everybody = Partner.objects.select_related("steward_pool")
    _each("subscribe", filter(circuit.is_good, everybody.all()), subscribing.keep)
    _each("reconcile", filter(circuit.is_good, everybody.all()), reconcile)


def discover_due(now: datetime) -> None:
    """Ask every active partner once a day what it can do; a server is replaced or upgraded without a word."""
    old = Q(abilities_seen_at=None) | Q(abilities_seen_at__lt=now - timedelta(days=1))
    _each("discover", filter(circuit.is_good, Partner.objects.filter(old)), partners.discover)


def _each(what: str, chosen: Iterable[Partner], work: Callable[[Partner], object]) -> None:
    """Do it for each; what goes wrong with one is noted at it, and keeps no other from its turn (law 9)."""
    for partner in list(chosen):
        try:
            work(partner)
        except BatonError as error:
            polling.note_failure(partner, error)
        except OURS:
            raise
        except Exception as error:
            log.exception("exchange: %s of Partner/%s broke off", what, partner.pk)
            polling.note_failure(partner, Unreadable(f"Its answer can't be dealt with ({type(error).__name__})."))


def _all_active() -> list[Partner]:
    return list(Partner.objects.filter(state=Partner.State.ACTIVE))


def _active(partner_id: int) -> list[Partner]:
    return list(Partner.objects.filter(pk=partner_id, state=Partner.State.ACTIVE).select_related("steward_pool"))
