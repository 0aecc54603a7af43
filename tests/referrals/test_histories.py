"""Random histories of everybody, legal and illegal, against the laws; every failure shrinks to the shortest one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from records import clock, store
from records.access import Actor
from records.errors import BatonError
from referrals import escalation, workflow
from referrals.lifecycle import WITH_REQUEST
from referrals.models import Event, Handoff, Loop
from referrals.pathways import STAGES, TRANSITIONS, transitions_from
from referrals.vocabulary import Transition
from tests.referrals.samples import filled, sample
from tests.referrals.ward import MONDAY, found_ward

ACTIONS = sorted({transition.action for transition in TRANSITIONS})
WITHOUT_OUTCOME = {"decline", "fail", "call-off", "give-up", "reject-specimen", "supersede", "patient-declines"}
ACTORS = ("referrer", "coordinator", "boss", "clinic", "partner", "stranger")


class Histories(RuleBasedStateMachine):
    """A few loops, and whatever anybody tries with them."""

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.now = MONDAY
        with clock.at(self.now):
            self.ward = found_ward()
            self.ward.order(priority="urgent", performer="elsewhere")
        self.ended: dict[str, tuple[Any, ...]] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @rule(kind=st.sampled_from(sorted(WITH_REQUEST)), performer=st.sampled_from(["clinic", "elsewhere"]))
    @precondition(lambda _self: Loop.objects.count() < 4)
    def order(self, kind: str, performer: str) -> None:
        with clock.at(self.now):
            self.ward.order(kind, performer=performer, window_start_at=self.now, needed_by=self.now + timedelta(days=9))

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        before = list(Handoff.objects.order_by("id").values_list("owner", "due_at", "stage", "closed_at"))
        self.now += timedelta(hours=hours)
        escalation.sweep(self.now)
        assert list(Handoff.objects.order_by("id").values_list("owner", "due_at", "stage", "closed_at")) == before, (
            "law 2"
        )

    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def do_what_is_possible(self, data: st.DataObject, actor: str) -> None:
        handoff = self._any(data)
        legal = list(transitions_from(handoff.kind, handoff.stage, handoff.loop.kind))
        if not legal:
            return
        transition = data.draw(st.sampled_from(legal), label="transition")
        self._try(handoff, transition.action, getattr(self.ward, actor), self._form(data, transition))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS), action=st.sampled_from(ACTIONS), attested=st.booleans())
    def try_anything(self, data: st.DataObject, actor: str, action: str, attested: bool) -> None:
        handoff = self._any(data)
        form = data.draw(
            st.dictionaries(st.sampled_from(["reason", "note", "nonsense"]), st.text(max_size=3), max_size=2)
        )
        self._try(handoff, action, getattr(self.ward, actor), form, attested=attested)

    @invariant()
    def a_loop_is_open_if_and_only_if_it_has_an_open_handoff(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        for loop in Loop.objects.prefetch_related("handoffs"):
            assert (loop.closed_at is None) == any(one.is_open for one in loop.handoffs.all()), "law 1"

    @invariant()
    def an_open_handoff_stands_on_one_internal_list_and_has_a_clock(self) -> None:
        for one in Handoff.objects.filter(closed_at=None).select_related("owner", "list", "loop"):
            assert one.list.internal, "law 1"
            assert one.list == (one.owner if one.owner.internal else one.loop.accountable), "law 1"
            assert not STAGES[one.kind, one.stage].is_end
            assert one.half_due_at <= one.due_at

    @invariant()
    def only_a_recorded_action_ends_a_handoff(self) -> None:
        told = {key for event in Event.objects.all() for key in event.details.get("ended", [])}
        assert set(Handoff.objects.exclude(closed_at=None).values_list("id", flat=True)) <= told, "law 3"

    @invariant()
    def an_ended_loop_was_acknowledged_and_told_and_stays_as_it_was(self) -> None:
        for loop in Loop.objects.exclude(closed_at=None):
            assert loop.acknowledged_by, "law 4"
            assert loop.told_by, "law 4"
            assert loop.stage == "closed" or loop.end_reason, "law 4"
            assert loop.stage != "closed" or _was_told_last(loop), "law 4"
            state = (loop.stage, loop.closed_at, loop.told_by, loop.told_at, loop.end_reason, loop.version)
            assert self.ended.setdefault(loop.id, state) == state, "law 4"

    @invariant()
    def what_ends_without_an_outcome_opens_a_decision(self) -> None:
        for event in Event.objects.filter(action__in=WITHOUT_OUTCOME):
            opened = Handoff.objects.filter(id__in=event.details["opened"], kind="decide-next-step")
            assert opened.exists() or _is_bid_among_others(event), "law 5"

    @invariant()
    def a_task_says_what_its_row_says(self) -> None:
        for one in Handoff.objects.order_by("-stage_since")[:5]:
            task = store.get("Task", one.id)
            assert task["status"] == one.task_status
            assert {"url": task["extension"][0]["url"], "valueCode": one.stage} == task["extension"][0]

    def _any(self, data: st.DataObject) -> Handoff:
        ids = list(Handoff.objects.order_by("opened_at", "id").values_list("id", flat=True))
        key = data.draw(st.sampled_from(ids), label="handoff")
        return Handoff.objects.select_related("loop").get(pk=key)

    def _form(self, data: st.DataObject, transition: Transition) -> dict[str, Any]:
        form = filled(transition)
        for field in transition.fields:
            if field.kind == "code":
                form[field.name] = data.draw(st.sampled_from([code for code, _label in field.codes]), label=field.name)
            elif (
                not field.required and not field.required_if and data.draw(st.booleans(), label=f"without {field.name}")
            ):
                form.pop(field.name, None)
        return form | {field.name: sample(field) for field in transition.fields if field.name == "reason_text"}

    def _try(
        self, handoff: Handoff, action: str, actor: Actor, form: Mapping[str, Any], *, attested: bool = False
    ) -> None:
        before = _rows()
        try:
            with clock.at(self.now):
                workflow.perform(handoff.id, action, actor, data=form, attested=attested)
        except BatonError:
            assert _rows() == before, "what is refused changes nothing"
        else:
            assert _rows()[2] == before[2] + 1, "law 6: one event"


def _is_bid_among_others(event: Event) -> bool:
    """Whether an offer was given back while another performer might still take it."""
    bid = event.handoff
    if bid is None or not bid.is_offer:
        return False
    rivals = Handoff.objects.filter(loop=bid.loop_id, kind="fulfil", opened_by=bid.opened_by_id).exclude(pk=bid.pk)
    return rivals.filter(opened_at__lte=event.at).exists()


def _was_told_last(loop: Loop) -> bool:
    """Whether the patient was told (or not, for a reason) with every report read, and not before."""
    done = list(Event.objects.filter(loop=loop, action__in=["acknowledge", "tell", "not-reached"]).order_by("id"))
    told, read = loop.told_at, loop.acknowledged_at
    in_time = bool(loop.told_reason) or read is None or (told is not None and told >= read)
    return in_time and (not done or done[-1].action != "acknowledge" or bool(loop.told_reason))


def _rows() -> tuple[list[Any], list[Any], int]:
    return (
        list(Loop.objects.order_by("id").values_list()),
        list(Handoff.objects.order_by("id").values_list()),
        Event.objects.count(),
    )


@pytest.mark.django_db
def test_no_history_breaks_a_law() -> None:
    """Ten histories of up to 30 steps; `--hypothesis-seed` repeats a failure."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
