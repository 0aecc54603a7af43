"""Random histories of everybody, legal and illegal, against the laws; every failure shrinks to the shortest one.

Requester, performer, patient, coordinator, supervisor, an outsider and a partner's system act; evidence arrives on time, late,
twice and out of order; reports are amended, time passes, people are away and patients die. After every step
all of `laws.LAWS` are asked. BATON_HISTORIES names a longer run: so many histories of 60 steps.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from records import clock, store
from records.access import Actor
from records.errors import BatonError
from records.json import Resource, dumps, loads
from referrals import escalation, intake, workflow
from referrals.models import Absence, Event, Handoff, Loop
from referrals.pathways import TRANSITIONS, transitions_from
from referrals.people import roles_in
from referrals.vocabulary import Transition
from tests.referrals import laws
from tests.referrals.exchange import answer, appointment, encounter, result
from tests.referrals.samples import filled, sample
from tests.referrals.staff import hire
from tests.referrals.ward import MONDAY, found_ward

LONG = int(os.environ.get("BATON_HISTORIES", "0"))
ACTIONS = sorted({transition.action for transition in TRANSITIONS})
# What changes hands only is tried by `try_anything`, so that there is time for the pathway itself.
HANDING = {"claim", "give-back", "reassign", "transfer"}
# What people and Baton itself do to several loops at once, or to what only a story can name.
AT_ONCE = {"match", "confirm", "refute"}
ACTORS = ("referrer", "coordinator", "boss", "clinic", "partner", "stranger", "patient", "ana")
STATUSES = (
    "requested",
    "received",
    "accepted",
    "rejected",
    "in-progress",
    "completed",
    "failed",
    "cancelled",
    "on-hold",
)
EVIDENCE = (
    *(("Appointment", status) for status in ("booked", "cancelled", "noshow", "fulfilled")),
    ("Encounter", "finished"),
    *(("DiagnosticReport", status) for status in ("registered", "preliminary", "final", "corrected", "amended")),
    *(("DiagnosticReport", status) for status in ("cancelled", "entered-in-error")),
)
ODD = '{"url": "https://ehr.example/weight", "valueDecimal": 1.50}'  # law 9: neither unknown words nor digits are lost


class Histories(RuleBasedStateMachine):
    """A few loops, and whatever anybody tries with them."""

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.now, self.ids = MONDAY, Random(0)
        with clock.at(self.now, self.ids):
            ward = found_ward()
            self.ana, self.ben = (hire(name, "practitioner", pool=ward.practice_pool) for name in ("ana", "ben"))
            patient = Actor(id="patient:pat", kind="person", display="Anna", organization="", patient=ward.patient)
            people = {name: getattr(ward, name) for name in ACTORS if hasattr(ward, name)}
            self.actors: dict[str, Actor] = people | {"patient": patient, "ana": self.ana.actor}
            ward.order(priority="urgent", performer="elsewhere")
            ward.sent("test-order")
            ward.sent(performer="elsewhere")
            ward.order("follow-up", performer="practice")
        self.ward, self.witness = ward, laws.Witness(ward)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @invariant()
    def every_law_holds(self) -> None:
        with clock.at(self.now, self.ids):
            for law in laws.LAWS:
                law(self.witness)

    @rule(
        kind=st.sampled_from(["referral", "follow-up", "test-order"]),
        performer=st.sampled_from(["clinic", "elsewhere"]),
        by_ana=st.booleans(),
    )
    @precondition(lambda _self: Loop.objects.count() < 7)
    def order(self, kind: str, performer: str, by_ana: bool) -> None:
        who = {"requester": "ana", "responsible": self.ana.owner} if by_ana else {}
        dates = {"window_start_at": self.now, "needed_by": self.now + timedelta(days=9)}
        with clock.at(self.now, self.ids):
            self.ward.order(kind, performer=performer, **dates, **who)

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        before = self._who_does_what_by_when()
        self.now += timedelta(hours=hours)
        escalation.sweep(self.now)
        assert self._who_does_what_by_when() == before, "law 2: nothing is different because time has passed"

    @rule(days=st.integers(1, 9), announced=st.booleans())
    def somebody_is_away(self, days: int, announced: bool) -> None:
        before = self._who_does_what_by_when()
        surrogate = self.ben.owner if announced else None
        ends_at = self.now + timedelta(days=days)
        Absence.objects.create(owner=self.ana.owner, surrogate=surrogate, starts_at=self.now, ends_at=ends_at)
        assert self._who_does_what_by_when() == before, "law 2: an absence is a view"

    @rule(seed=st.integers(0, 2**32 - 1))
    def people_do_what_they_may(self, seed: int) -> None:
        """A few steps of people who know what they do; what somebody else tries is `try_anything`.

        Drawn from a seed: hypothesis likes the first and the smallest, and most of a pathway lies behind that.
        """
        random = Random(seed)
        for _time in range(6):
            open_ones = list(Handoff.objects.filter(closed_at=None).select_related("loop").order_by("opened_at", "id"))
            handoff = random.choice(open_ones or list(Handoff.objects.select_related("loop").order_by("id")))
            rows = list(transitions_from(handoff.kind, handoff.stage, handoff.loop.kind))
            roles = {name: roles_in(actor, handoff) for name, actor in self.actors.items()}
            legal = [
                (row, name) for row in rows if row.action not in HANDING for name in roles if row.who & roles[name]
            ]
            # The kind of step first, so that what many may do isn't done the more often.
            action = random.choice(sorted({row.action for row, _name in legal}) or [""])
            for row, name in random.sample([one for one in legal if one[0].action == action], k=bool(action)):
                self._try(handoff, row.action, self.actors[name], _form(random, row))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS), action=st.sampled_from(ACTIONS), attested=st.booleans())
    def try_anything(self, data: st.DataObject, actor: str, action: str, attested: bool) -> None:
        handoff = self._any(data)
        form = data.draw(
            st.dictionaries(st.sampled_from(["reason", "note", "nonsense"]), st.text(max_size=3), max_size=2)
        )
        self._try(handoff, action, self.actors[actor], form, attested=attested)

    @rule(data=st.data(), what=st.sampled_from(EVIDENCE), age=st.integers(0, 90), sender=st.sampled_from(ACTORS))
    def evidence_comes(self, data: st.DataObject, what: tuple[str, str], age: int, sender: str) -> None:
        """On time or days late, new or a new version, by whoever is heard; coming again it changes nothing."""
        loop = _one(data, Loop.objects.exclude(request_id=None).order_by("ordered_at", "id"))
        evidence = self._evidence(loop, *what, hours=age)
        if self._receive(evidence, self.actors[sender]):
            kept = store.read(evidence["resourceType"], evidence["id"]).body
            assert '"valueDecimal":1.50' in kept, "law 9: it is kept as it was sent"
            self._changes_nothing(evidence, self.actors[sender], "law 7: a duplicate")

    @rule(data=st.data(), status=st.sampled_from(STATUSES), age=st.integers(0, 90))
    def the_partner_writes_its_task(self, data: st.DataObject, status: str, age: int) -> None:
        theirs = Handoff.objects.filter(kind__in=["fulfil", "request-cancellation"], owner__organization="elsewhere")
        ids = list(theirs.order_by("opened_at", "id").values_list("id", flat=True))
        if not ids:
            return
        handoff = Handoff.objects.get(pk=_one(data, ids))
        last = handoff.remote_lasted_at
        said = answer(handoff, status, self.now - timedelta(hours=age))
        is_late = last is not None and max(self.now - timedelta(hours=age), handoff.loop.ordered_at) < last
        if is_late:
            self._changes_nothing(said, self.ward.partner, "law 7: what is older than what we have heard")
        elif self._receive(said, self.ward.partner):
            self._changes_nothing(said, self.ward.partner, "law 7: a duplicate")

    @rule(lives=st.booleans())
    def the_patient_is_said_to_have_died(self, lives: bool) -> None:
        patient = {name: value for name, value in store.get("Patient", self.ward.patient).items() if name != "meta"}
        self._receive(patient | {"deceasedBoolean": not lives}, self.ward.partner)

    def _who_does_what_by_when(self) -> list[Any]:
        columns = ("id", "owner", "list", "due_at", "stage", "version", "closed_at")
        return [*Handoff.objects.order_by("id").values_list(*columns), *Loop.objects.order_by("id").values_list()]

    def _any(self, data: st.DataObject) -> Handoff:
        found: Handoff = _one(data, Handoff.objects.select_related("loop").order_by("opened_at", "id"))
        return found

    def _evidence(self, loop: Loop, type_: str, status: str, *, hours: int) -> Resource:
        at = self.now - timedelta(hours=hours)
        about: dict[str, Any] = {"basedOn": [{"reference": f"ServiceRequest/{loop.request_id}"}]}
        key = f"{type_}-{loop.id}"
        who = {"reference": f"Patient/{self.ward.patient}"}
        if type_ == "Appointment":
            present = [{"actor": who, "status": "accepted"}]
            resource = appointment(status, at, key, participant=present, **about)
        elif type_ == "Encounter":
            resource = encounter(at, id=key, subject=who, **about)
        else:
            resource = result(status, at, key, subject=who, **about)
        return {**resource, "extension": [loads(ODD)], "implicitRules": "https://ehr.example/rules"}

    def _try(
        self, handoff: Handoff, action: str, actor: Actor, form: Mapping[str, Any], *, attested: bool = False
    ) -> None:
        before = laws.state()
        versions = dict(Handoff.objects.values_list("id", "version"))
        try:
            with clock.at(self.now, self.ids), laws.law_8_nothing_leaves():
                outcome = workflow.perform(handoff.id, action, actor, data=form, attested=attested)
        except BatonError:
            assert laws.state() == before, "what is refused changes nothing"
            return
        assert actor != self.ward.stranger, "law 11"
        new = Event.objects.filter(loop=outcome.loop).exclude(id__in=[row[0] for row in before["events"]])
        # Before its own line a loop that follows an ended one may note that its patient has died.
        assert new.exclude(action="note-death", handoff=None).count() == 1 or action in AT_ONCE, "law 6: one event"
        after = dict(Handoff.objects.filter(loop=outcome.loop).values_list("id", "version"))
        assert all(after[key] - versions[key] <= 1 for key in after.keys() & versions.keys()), "law 6: one version"
        assert after.get(handoff.id, 0) == versions[handoff.id] + 1 or outcome.loop.id != handoff.loop_id

    def _receive(self, resource: Resource, actor: Actor) -> bool:
        """Whether it was taken; what isn't changes nothing."""
        before = laws.state()
        try:
            with clock.at(self.now, self.ids), laws.law_8_nothing_leaves():
                intake.receive(loads(dumps(resource)), actor)
        except BatonError:
            assert laws.state() == before, "what is refused changes nothing"
            return False
        return True

    def _changes_nothing(self, resource: Resource, actor: Actor, law: str) -> None:
        before = laws.state()
        self._receive(resource, actor)
        after = laws.state()
        assert {name: after[name] for name in ("loops", "events")} == {
            name: before[name] for name in ("loops", "events")
        }, law
        assert [row[:4] for row in after["handoffs"]] == [row[:4] for row in before["handoffs"]], law


def _one(data: st.DataObject, rows: Iterable[Any]) -> Any:
    """One of the rows, by a number that may be drawn again however many rows there are then."""
    found = list(rows)
    return found[data.draw(st.integers(0, 999), label="which") % len(found)]


def _form(random: Random, transition: Transition) -> dict[str, Any]:
    """A form as somebody might fill it in: any of the codes, and not always what may be left out."""
    form = filled(transition)
    for field in transition.fields:
        if field.kind == "code":
            form[field.name] = random.choice([code for code, _label in field.codes])
        elif not field.required and not field.required_if and random.random() < 1 / 2:
            form.pop(field.name, None)
    return form | {field.name: sample(field) for field in transition.fields if field.name == "reason_text"}


@pytest.mark.django_db
def test_no_history_breaks_a_law() -> None:
    """A few short histories, always the same, or as many long and new ones as BATON_HISTORIES says."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=LONG or 5,
            stateful_step_count=60 if LONG else 25,
            derandomize=not LONG,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
