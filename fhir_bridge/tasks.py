"""Celery's entry points: wake-ups that carry a partner's number. What is to be done are rows (law 8)."""

from contextlib import suppress
from datetime import datetime, timedelta

from celery import shared_task
from django.db.models import Q

from fhir_bridge.connecting import circuit, partners
from fhir_bridge.inbound import applying, polling, reconciling
from fhir_bridge.models import Partner
from fhir_bridge.notifying import hints, subscribing
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import wakeups
from records.errors import BatonError

# Two rounds at once share a partner's types instead of reading them twice
READ_AGAIN_AFTER = timedelta(seconds=5)
# Far from the time limit of a Celery task, with the longest exchange on top; what is left over is for the next round
APPLYING_SECONDS = 120.0
RECONCILING_SECONDS = 60.0


@shared_task(ignore_result=True)
def push(partner_id: int) -> None:
    """Send what is due to one partner."""
    for partner in _active(partner_id):
        outcome = pushing.run_once(partner)
        if outcome[pushing.WAITING]:  # perhaps for a change of theirs that was met on the way
            applying.apply_pending(partner, seconds=APPLYING_SECONDS)
            pushing.run_once(partner)


@shared_task(ignore_result=True)
def pull(partner_id: int) -> None:
    """Read what one partner has changed, and apply it."""
    for partner in _active(partner_id):
        with suppress(BatonError):  # a partner that can't be read has that on its row by now
            is_told = hints.follow(partner).is_to_poll
            polling.poll(partner, unless_read_since=READ_AGAIN_AFTER, up_to_now=is_told)
            applying.apply_pending(partner, seconds=APPLYING_SECONDS)


def push_due(_now: datetime) -> None:
    """The poller of lost wake-ups: push to every active partner that has something due."""
    for partner in Partner.objects.filter(state=Partner.State.ACTIVE):
        if pushing.due(partner):
            push(partner.pk)


def pull_due(_now: datetime) -> None:
    """Poll every active partner. Other workers are woken to help: each takes types that nobody reads now."""
    numbers = list(Partner.objects.filter(state=Partner.State.ACTIVE).values_list("pk", flat=True))
    wakeups.after_commit("pull", numbers[1:])
    for number in numbers:
        pull(number)


def reconcile_due(now: datetime) -> None:
    """Read by id what is linked with every partner, where it is time (`fhir_bridge.inbound.reconciling`)."""
    for partner in filter(circuit.is_good, Partner.objects.select_related("steward_pool")):
        try:
            subscribing.keep(partner)
            for scope in reconciling.due(partner, now):
                reconciling.run(partner, scope, seconds=RECONCILING_SECONDS)
        except BatonError as error:
            polling.note_failure(partner, error)


def discover_due(now: datetime) -> None:
    """Ask every active partner once a day what it can do; a server is replaced or upgraded without a word."""
    old = Q(abilities_seen_at=None) | Q(abilities_seen_at__lt=now - timedelta(days=1))
    for partner in filter(circuit.is_good, Partner.objects.filter(old)):
        try:
            partners.discover(partner)
        except BatonError as error:
            polling.note_failure(partner, error)


def _active(partner_id: int) -> list[Partner]:
    return list(Partner.objects.filter(pk=partner_id, state=Partner.State.ACTIVE).select_related("steward_pool"))
