"""The laws of the design as questions about everything that is in the database now; each says which law it is.

`test_histories.py` asks all of them after every step of a random history. What a law says of one step (what it changed)
is asked in the step itself.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from django.db import connection

from records import clock, store
from records.access import Actor
from records.errors import NotFound
from referrals import worklists
from referrals.lifecycle import WITH_REQUEST
from referrals.models import Escalation, Event, Handoff, Loop
from referrals.pathways import STAGES
from referrals.performing import is_of_same_part
from tests.referrals.ward import Ward

WITHOUT_OUTCOME = {
    *("decline", "fail", "call-off", "give-up", "reject-specimen", "supersede", "patient-declines"),
    *("cancel-test", "refuse-authorisation"),
}
# Recorded acts that stand for the referrer's decision, besides what a person or an organisation's own system decides.
STANDING_IN = {"recollected", "accept-cancellation", "patient-died", "note-death", "refute-death"}


@dataclass
class Witness:
    """Who has seen the whole history: what was true once and has to stay true."""

    ward: Ward
    ends: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    orders: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    journal: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    escalated: set[tuple[Any, ...]] = field(default_factory=set)


def law_1_a_loop_is_open_if_and_only_if_it_has_an_open_handoff(_witness: Witness) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    for loop in Loop.objects.prefetch_related("handoffs").select_related("accountable"):
        assert (loop.closed_at is None) == any(one.is_open for one in loop.handoffs.all()), loop.id
        assert (loop.accountable.kind, loop.accountable.internal) == ("pool", True)


def law_1_an_open_handoff_has_one_owner_one_clock_and_one_list(_witness: Witness) -> None:
    for one in Handoff.objects.filter(closed_at=None).select_related("owner", "list", "loop"):
        assert one.list.internal
        is_with_owner = one.owner.internal and one.task_status != "draft"  # a draft waits for the payer
        assert one.list_id == (one.owner_id if is_with_owner else one.loop.accountable_id)
        assert one.half_due_at <= one.due_at
        assert not STAGES[one.kind, one.stage].is_end


def law_1_every_open_handoff_is_read_on_exactly_one_list(_witness: Witness) -> None:
    read: Counter[str] = Counter()
    for organization in ("practice", "clinic"):
        everybody = Actor(id="client:all", kind="client", display="All", organization=organization)
        page = worklists.rows(everybody, worklists.Filters(scope="organisation"), now=clock.now(), limit=200)
        assert not page.next
        mine = set(Handoff.objects.filter(list__organization=organization).values_list("id", flat=True))
        read.update(row.handoff_id for row in page.rows if row.handoff_id in mine)
    assert read == Counter(Handoff.objects.filter(closed_at=None).values_list("id", flat=True))


def law_2_overdue_is_a_label_and_no_state(_witness: Witness) -> None:
    words = {stage.code for stage in STAGES.values()} | set(Handoff.objects.values_list("task_status", flat=True))
    assert not {word for word in words if "overdue" in word or "expired" in word}
    overdue = Handoff.objects.filter(closed_at=None, due_at__lt=clock.now())
    shown: set[str] = set()
    for organization in ("practice", "clinic"):
        everybody = Actor(id="client:all", kind="client", display="All", organization=organization)
        late = worklists.Filters(scope="organisation", label="overdue")
        shown |= {row.handoff_id for row in worklists.rows(everybody, late, now=clock.now(), limit=200).rows}
    assert shown == set(overdue.values_list("id", flat=True)), "what is overdue never disappears"


def law_3_only_a_recorded_action_ends_a_handoff(_witness: Witness) -> None:
    told = {key for event in Event.objects.all() for key in event.details.get("ended", [])}
    assert set(Handoff.objects.exclude(closed_at=None).values_list("id", flat=True)) <= told


def law_4_an_ended_loop_was_acknowledged_and_told_and_stays_as_it_was(witness: Witness) -> None:
    for loop in Loop.objects.exclude(closed_at=None):
        if loop.kind in WITH_REQUEST and not loop.answer_only:
            assert loop.acknowledged_by
            assert loop.told_by
            assert loop.stage == "closed" or loop.end_reason
            assert loop.stage != "closed" or _was_told_last(loop)
        state = (loop.stage, loop.closed_at, loop.told_by, loop.told_at, loop.end_reason, loop.version)
        assert witness.ends.setdefault(loop.id, state) == state, "a loop never leaves its end"


def _was_told_last(loop: Loop) -> bool:
    """Whether the patient was told (or not, for a reason) with every report read, and not before."""
    done = list(Event.objects.filter(loop=loop, action__in=["acknowledge", "tell", "not-reached"]).order_by("id"))
    told, read = loop.told_at, loop.acknowledged_at
    in_time = bool(loop.told_reason) or read is None or (told is not None and told >= read)
    return in_time and (not done or done[-1].action != "acknowledge" or bool(loop.told_reason))


def law_4_what_came_later_is_based_on_the_end(_witness: Witness) -> None:
    for loop in Loop.objects.exclude(based_on=None).select_related("based_on"):
        assert loop.based_on is not None
        assert loop.based_on.closed_at is not None


def law_5_what_ends_without_an_outcome_opens_a_decision(_witness: Witness) -> None:
    for event in Event.objects.filter(action__in=WITHOUT_OUTCOME).select_related("handoff"):
        opened = Handoff.objects.filter(id__in=event.details["opened"], kind="decide-next-step")
        assert opened.exists() or _is_bid_among_others(event) or _was_asked_before(event)


def _was_asked_before(event: Event) -> bool:
    """Whether the rejected specimen had asked the referrer already when nobody collected it again."""
    if event.handoff is None or event.handoff.kind != "recollect":
        return False
    asked = Handoff.objects.filter(loop=event.loop_id, kind="decide-next-step", opened_at__lte=event.at)
    return any(is_of_same_part(one, event.handoff) for one in asked.exclude(closed_at__lt=event.at))


def _is_bid_among_others(event: Event) -> bool:
    """Whether an offer was given back while another performer might still take it."""
    bid = event.handoff
    if bid is None or not bid.is_offer:
        return False
    rivals = Handoff.objects.filter(loop=bid.loop_id, kind="fulfil", opened_by=bid.opened_by_id).exclude(pk=bid.pk)
    return rivals.filter(opened_at__lte=event.at).exists()


def law_5_nobodys_silence_stands_in_for_a_decision(_witness: Witness) -> None:
    decided = set(Handoff.objects.filter(kind="decide-next-step").exclude(closed_at=None).values_list("id", flat=True))
    for event in Event.objects.all() if decided else ():
        if decided & set(event.details.get("ended", [])):
            assert event.actor_kind in ("person", "client") or event.action in STANDING_IN, event.action


def law_5_the_clock_of_the_order_is_kept(witness: Witness) -> None:
    for loop in Loop.objects.all():
        order = (loop.ordered_at, loop.needed_by)
        assert witness.orders.setdefault(loop.id, order) == order


def law_6_the_journal_only_grows(witness: Witness) -> None:
    lines = {row[0]: row for row in Event.objects.values_list()}
    assert {key: lines.get(key) for key in witness.journal} == witness.journal
    witness.journal = lines


def law_7_a_task_says_what_its_row_says(_witness: Witness) -> None:
    for one in Handoff.objects.order_by("-stage_since")[:5]:
        task = store.get("Task", one.id)
        assert task["status"] == one.task_status
        ours = {extension["url"].rpartition("/")[2]: extension for extension in task["extension"]}
        assert ours["stage"]["valueCode"] == one.stage


def law_11_an_outsider_sees_nothing(witness: Witness) -> None:
    now, outsider = clock.now(), witness.ward.stranger
    assert not worklists.rows(outsider, worklists.Filters(scope="organisation"), now=now).rows
    for key in Loop.objects.values_list("id", flat=True)[:2]:
        with pytest.raises(NotFound):
            worklists.loop_view(outsider, key, now)


def each_level_hears_once(witness: Witness) -> None:
    """Law 2 and PATHWAYS §8.7: an escalation is a line of its own, once per handoff, due time and level."""
    rows = list(Escalation.objects.values_list("handoff_id", "due_at", "level"))
    assert len(rows) == len(set(rows))
    assert witness.escalated <= set(rows)
    witness.escalated = set(rows)


LAWS: tuple[Callable[[Witness], None], ...] = (
    law_1_a_loop_is_open_if_and_only_if_it_has_an_open_handoff,
    law_1_an_open_handoff_has_one_owner_one_clock_and_one_list,
    law_1_every_open_handoff_is_read_on_exactly_one_list,
    law_2_overdue_is_a_label_and_no_state,
    law_3_only_a_recorded_action_ends_a_handoff,
    law_4_an_ended_loop_was_acknowledged_and_told_and_stays_as_it_was,
    law_4_what_came_later_is_based_on_the_end,
    law_5_what_ends_without_an_outcome_opens_a_decision,
    law_5_nobodys_silence_stands_in_for_a_decision,
    law_5_the_clock_of_the_order_is_kept,
    law_6_the_journal_only_grows,
    law_7_a_task_says_what_its_row_says,
    law_11_an_outsider_sees_nothing,
    each_level_hears_once,
)


def state() -> dict[str, list[Any]]:
    """Everything that an action may change."""
    return {
        "loops": list(Loop.objects.order_by("id").values_list()),
        "handoffs": list(Handoff.objects.order_by("id").values_list()),
        "events": list(Event.objects.order_by("id").values_list()),
        "escalations": list(Escalation.objects.order_by("id").values_list()),
    }


@contextmanager
def law_8_nothing_leaves() -> Iterator[None]:
    """No connection is made inside: what is to be sent is a row, and a wake-up waits for the commit."""
    with mock.patch.object(socket.socket, "connect", side_effect=AssertionError("law 8: something left")):
        yield
