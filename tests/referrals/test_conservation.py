"""Law 1 under everything that people do: whoever is away, leaves or is taken off a pool, no open work loses its readers."""

import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from records import clock
from records.access import Actor
from records.errors import BatonError
from referrals import leaving, people, reassigning, workflow
from referrals.models import Absence, Handoff, Membership, Owner, Pool, User
from tests.referrals.staff import hire, rows_of
from tests.referrals.ward import MONDAY, found_ward

STAFF = {"ada": "practitioner", "bea": "practitioner", "cem": "coordinator", "dee": "supervisor"}
NAMES = st.sampled_from(sorted(STAFF))
HOURS = st.sampled_from([0, 0, 24, 200])


class People(RuleBasedStateMachine):
    """A practice in which people come, go and forget; the clinic and the outsider perform for it."""

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.now = MONDAY
        with clock.at(self.now):
            self.ward = found_ward()
            self.staff = {name: hire(name, role) for name, role in STAFF.items()}
            self.desk = people.create_pool("practice", "Night desk", members=[self.staff["cem"].user])
        for name in sorted(STAFF):
            self.ask(name, "referral", "elsewhere")

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @rule(
        who=NAMES, kind=st.sampled_from(["referral", "follow-up"]), performer=st.sampled_from(["clinic", "elsewhere"])
    )
    def ask(self, who: str, kind: str, performer: str) -> None:
        with clock.at(self.now):
            soon = self.now + timedelta(days=9)
            order = {"requester": who, "responsible": Owner.objects.get(kind="person", key=who), "performer": performer}
            _loop, fulfil = self.ward.sent(kind, window_start_at=self.now, needed_by=soon, **order)
            if kind == "referral":
                asks = self.ward.clinic if performer == "clinic" else self.ward.partner
                self.ward.does(asks, fulfil, "ask-information", question="Since when?")

    @rule(who=NAMES, instead=st.none() | NAMES, start=HOURS, length=st.integers(1, 300))
    def announce(self, who: str, instead: str | None, start: int, length: int) -> None:
        begin = self.now + timedelta(hours=start)
        surrogate = self.staff[instead].owner if instead else None
        self._try(
            lambda: people.announce(
                self.staff[who].owner, surrogate, begin, begin + timedelta(hours=length), self.ward.boss
            )
        )

    @rule(who=NAMES, instead=st.none() | NAMES)
    def stand_in(self, who: str, instead: str | None) -> None:
        surrogate = self.staff[instead].owner if instead else None
        self._try(lambda: people.set_surrogate(self.staff[who].owner, surrogate, self.ward.boss))

    @rule(who=NAMES)
    def leave(self, who: str) -> None:
        self._try(lambda: leaving.leave(self.staff[who].user, "practice", self.ward.boss))

    @rule(who=NAMES)
    def lock_out(self, who: str) -> None:
        """Somebody is switched off behind Baton's back, as a directory does."""
        User.objects.filter(pk=self.staff[who].user.pk).update(is_active=False)

    @rule(who=NAMES, to=st.none() | NAMES)
    def hand_over(self, who: str, to: str | None) -> None:
        taker = self.staff[to].owner if to else None
        self._try(lambda: reassigning.hand_over(self.staff[who].owner, self.ward.coordinator, to=taker))

    @rule(pick=st.integers(0, 9), to=NAMES | st.just("desk"))
    def reassign(self, pick: int, to: str) -> None:
        ids = list(Handoff.objects.filter(closed_at=None).order_by("opened_at", "id").values_list("id", flat=True))
        owner = f"CareTeam/{self.desk.id}" if to == "desk" else f"Practitioner/{to}"
        if ids:
            data = {"owner": owner}
            self._try(lambda: workflow.perform(ids[pick % len(ids)], "reassign", self.ward.coordinator, data=data))

    @rule(members=st.sets(NAMES), is_desk=st.booleans())
    def staff_a_pool(self, members: Iterable[str], is_desk: bool) -> None:
        pool = self.desk if is_desk else Pool.objects.get(owner=self.ward.practice_pool)
        users = [self.staff[name].user for name in sorted(members)]
        self._try(lambda: people.change_pool(pool, self.ward.boss, members=users))

    @rule(hours=st.integers(1, 24 * 9))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @invariant()
    def every_open_handoff_stands_on_one_list_that_somebody_reads_now_and_later(self) -> None:
        for at in (self.now, self.now + timedelta(days=5)):
            self._look(at)

    def _look(self, at: datetime) -> None:
        held = list(Handoff.objects.filter(closed_at=None).select_related("list", "pool"))
        assert all(one.list.internal and one.pool.internal for one in held), "law 1"
        for house in ("practice", "clinic"):
            listed = sorted(one.id for one in held if one.list.organization == house)
            anybody = _actors(house)
            there = [row.handoff_id for row in rows_of(anybody[0], at, scope="organisation")]
            assert len(there) == len(set(there)), "a row comes once"
            assert set(listed) <= set(there)
            present = [actor for actor in anybody if not _is_away(actor, at)] or anybody
            seen = {row.handoff_id for actor in present for row in rows_of(actor, at)}
            assert set(listed) <= seen, f"nobody who is there reads {set(listed) - seen} of {house}"

    def _try(self, act: Callable[[], object]) -> None:
        with clock.at(self.now), contextlib.suppress(BatonError), transaction.atomic():
            act()


def _actors(house: str) -> list[Actor]:
    held = Membership.objects.filter(organization=house, user__is_active=True).select_related("user").order_by("pk")
    return [people.actor_for(one.user, house) for one in held]


def _is_away(actor: Actor, at: datetime) -> bool:
    return Absence.objects.filter(owner__key=actor.practitioner, starts_at__lte=at, ends_at__gt=at).exists()


@pytest.mark.django_db
def test_no_open_work_is_ever_without_a_reader() -> None:
    """Six histories of up to 8 steps; `--hypothesis-seed` repeats a failure."""
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
