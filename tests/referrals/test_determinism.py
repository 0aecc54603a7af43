"""Law 12: time and randomness are injected, so the same seed tells the same history to the last byte."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db import transaction

from records import clock
from records.errors import BatonError
from records.models import Version
from referrals import escalation, workflow
from referrals.models import Escalation, Event, Handoff, Loop
from referrals.pathways import transitions_from
from tests.referrals.samples import filled
from tests.referrals.ward import MONDAY, Ward, found_ward

STEPS = 40
ACTORS = ("referrer", "coordinator", "boss", "clinic", "partner")


def told(seed: int) -> dict[str, list[Any]]:
    """One history from a seed, then undone; what it left, without the numbers that PostgreSQL gives."""
    random, now = Random(seed), MONDAY
    with transaction.atomic():
        with clock.at(now, Random(seed)):
            ward = found_ward()
            for step in range(STEPS):
                now += timedelta(hours=random.randint(1, 30))
                with clock.at(now):
                    _do_something(ward, random, step)
                    escalation.sweep(now)
        left = _left()
        transaction.set_rollback(True)
    return left


def _do_something(ward: Ward, random: Random, step: int) -> None:
    if step % 8 == 0:
        ward.order(
            random.choice(["referral", "test-order", "follow-up"]), performer=random.choice(["clinic", "elsewhere"])
        )
    handoff = random.choice(list(Handoff.objects.filter(closed_at=None).select_related("loop").order_by("id")))
    transitions = list(transitions_from(handoff.kind, handoff.stage, handoff.loop.kind))
    transition, actor = random.choice(transitions), getattr(ward, random.choice(ACTORS))
    try:
        workflow.perform(handoff.id, transition.action, actor, data=filled(transition))
    except BatonError as refusal:
        assert str(refusal)


def _left() -> dict[str, list[Any]]:
    columns = ("id", "loop_id", "kind", "stage", "version", "due_at", "half_due_at", "closed_at", "owner__key")
    told_of = (
        "handoff_id",
        "loop_id",
        "action",
        "at",
        "recorded_at",
        "actor_display",
        "from_stage",
        "to_stage",
        "details",
    )
    return {
        "loops": list(
            Loop.objects.order_by("id").values_list("id", "stage", "version", "accountable__key", "closed_at")
        ),
        "handoffs": list(Handoff.objects.order_by("id").values_list(*columns)),
        "journal": list(Event.objects.order_by("id").values_list(*told_of)),
        "escalations": list(Escalation.objects.order_by("id").values_list("handoff_id", "due_at", "level")),
        "bodies": list(Version.objects.order_by("type", "resource_id", "version").values_list("type", "body")),
    }


@pytest.mark.django_db
def test_the_same_seed_tells_the_same_history_and_another_seed_another() -> None:
    once, again, another = told(7), told(7), told(8)
    assert once == again
    assert len(once["journal"]) > STEPS / 4, "something has happened"
    assert once["journal"] != another["journal"]
