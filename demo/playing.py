"""Acts the parts out, at the times of the past, through the same composer and workflow as everybody's clicks."""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from random import Random
from typing import Any

from demo import evidence
from demo.casting import Part
from demo.contents import Test
from demo.directory import SERVICE_CATEGORY, reference
from demo.patients import Registered
from demo.region import Place, service_id
from demo.staff import Employee
from demo.stories import Move
from records import clock, store
from records.access import Actor
from records.json import Resource
from referrals import composer, intake, people, workflow
from referrals.models import Handoff, Loop, User

SLOT = timedelta(minutes=30)
NEEDED_WITHIN = {"stat": timedelta(days=3), "urgent": timedelta(days=14), "routine": timedelta(days=90)}
WINDOW = (timedelta(days=7), timedelta(days=21))
TOLD_BY_TELEPHONE = {"channel": "phone", "spoken_to": "The front desk"}
REPORT_STATUS = {"preliminary": "preliminary", "final": "final", "corrected": "corrected"}


class Playing:
    """Plays parts in a region of these employees, who all have their accounts."""

    def __init__(self, staff: list[Employee], random: Random) -> None:
        self.staff, self.random = staff, random
        users = User.objects.filter(username__in=[employee.username for employee in staff])
        self.actors = {user.username: people.actor_for(user) for user in users}

    def play(self, part: Part) -> Loop:
        """Order, then make every move at its time; gives the loop as it stands at the end."""
        with self._at(part.ordered_at):
            loop = self._order(part)
        for number, (_name, move, time) in enumerate(part.moves):
            with self._at(time):
                loop = self._make(part, loop, move, part.slot_end_after(number))
        return loop

    def stray(self, patient: Registered, test: Test, severity: str, time: datetime) -> None:
        """A result that names no order of ours comes in at the patient's practice, through the one door."""
        clerk = self._actor(patient.place, "coordinator", "")
        with self._at(time):
            case = evidence.Case("", patient.id, clerk.practitioner, test)
            intake.receive(evidence.result(case, time, "final", severity)[-1], clerk)

    def decease(self, patient: Registered, time: datetime) -> None:
        """The patient's practice hears that the patient has died; somebody has to confirm it."""
        clerk = self._actor(patient.place, "coordinator", "")
        with self._at(time):
            known = store.get("Patient", patient.id)
            intake.receive({**known, "deceasedDateTime": clock.now().date().isoformat()}, clerk)

    def _at(self, time: datetime) -> AbstractContextManager[None]:
        return clock.at(time, self.random)

    def _order(self, part: Part) -> Loop:
        doctor = self._actor(part.placer, "doctor", _specialty(part))
        if part.placer != part.patient.place:
            store.share("Patient", part.patient.id, [part.placer.id])
        return composer.submit(_draft(part, doctor), doctor, send=part.story.sent)

    def _make(self, part: Part, loop: Loop, move: Move, slot_end: datetime) -> Loop:
        by_telephone = part.story.outside and move.side == "performer"
        is_placers = move.side == "placer" or by_telephone
        place, specialty = (part.placer, _specialty(part)) if is_placers else (part.place, part.service.specialty)
        actor = self._actor(place, "coordinator" if by_telephone else move.post, specialty)
        data, proof = self._proof(part, loop, move, actor, slot_end)
        outcome = workflow.perform(
            _handoff(loop, move).id,
            move.action,
            actor,
            data={**move.data, **data, **(TOLD_BY_TELEPHONE if by_telephone else {})},
            evidence=proof,
            attested=by_telephone,
        )
        return outcome.loop

    def _proof(
        self, part: Part, loop: Loop, move: Move, actor: Actor, slot_end: datetime
    ) -> tuple[dict[str, Any], str]:
        """Write what the move makes; gives the fields that the action needs to know of it, and its reference."""
        if not move.makes:
            return {}, ""
        case = evidence.Case(loop.request_id or "", part.patient.id, actor.practitioner, part.test)
        audience = (loop.placer, loop.performer)
        if move.makes == "appointment":
            start, end = slot_end - SLOT, slot_end
            proof = _write(evidence.appointment(case, start, end), actor, audience)
            return {"slot_start": start, "slot_end": end, "appointment": proof}, proof
        if move.makes == "encounter":
            return {}, _write(evidence.encounter(case, clock.now()), actor, audience)
        proof = self._report(case, move, actor, audience)
        return {"report": proof}, proof

    def _report(self, case: evidence.Case, move: Move, actor: Actor, audience: tuple[str, ...]) -> str:
        if move.makes == "note":
            return _write(evidence.note(case, clock.now()), actor, audience)
        severity = str(move.data["severity"])
        *observations, report = evidence.result(case, clock.now(), REPORT_STATUS[move.makes], severity)
        results = [{"reference": _write(one, actor, audience)} for one in observations]
        return _write(report | ({"result": results} if results else {}), actor, audience)

    def _actor(self, place: Place, post: str, specialty: str) -> Actor:
        return self.actors[self._employee(place, post, specialty).username]

    def _employee(self, place: Place, post: str, specialty: str) -> Employee:
        """Who holds the post there; among doctors, supervisors included, the specialist before the others."""
        staff = [one for one in self.staff if one.place == place]
        specialists = [one for one in staff if post == "doctor" and one.is_clinician and one.specialty == specialty]
        return next(iter(specialists), None) or next(one for one in staff if one.post == post)


def _specialty(part: Part) -> str:
    """Whom to ask at the place that orders: the specialist of a practice, the first doctor of a hospital."""
    return "" if part.story.by_hospital else part.service.specialty


def _draft(part: Part, doctor: Actor) -> Resource:
    service = service_id(part.place, part.service)
    today = clock.now().date()
    common: dict[str, Any] = {"reason": part.reason, "priority": part.priority}
    if part.story.kind == "follow-up":
        return composer.draft_follow_up(
            doctor, part.patient.id, window_start=today + WINDOW[0], window_end=today + WINDOW[1], **common
        )
    if part.test is None:
        needed_by = today + NEEDED_WITHIN[part.priority]
        return composer.draft(doctor, part.patient.id, service, needed_by=needed_by, **common)
    return composer.draft_test_order(
        doctor,
        part.patient.id,
        test=part.test.name,
        loinc=part.test.loinc,
        laboratory=service,
        category=SERVICE_CATEGORY[part.test.kind],
        **common,
    )


def _handoff(loop: Loop, move: Move) -> Handoff:
    """The handoff that the move is about: the newest open one of its kind; of an amended report, the one that ended."""
    of_kind = Handoff.objects.filter(loop=loop, kind=move.handoff).order_by("opened_at", "id")
    found = (of_kind if move.action == "amend" else of_kind.filter(closed_at=None)).last()
    if found is None:
        raise LookupError(f"{move.action}: no {move.handoff} is open in a {loop.kind} at {loop.stage}")
    return found


def _write(body: Resource, actor: Actor, audience: tuple[str, ...]) -> str:
    written = store.write(body, actor=actor, audience=audience, validate=False)
    return reference(written.type, written.id)["reference"]
