"""One piece of work on loops: what it has locked, and the single place where a handoff comes to a stage.

Only `referrals.workflow` uses it. Nothing is written before `save`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from records import clock
from records.access import Actor
from records.errors import NotFound
from records.json import Resource
from referrals import bidding, ending, holding, locking, performing, settling
from referrals.asking import Asking
from referrals.clocks import APPOINTED, RETURNING, STOPPED, Clocks, wishes_of
from referrals.fields import as_details
from referrals.ledger import Ledger, booked_visit
from referrals.lifecycle import Decision, open_stage, revived
from referrals.models import RANK, Event, Handoff, Loop, Owner
from referrals.mortality import begin, said_by
from referrals.opening import Order
from referrals.particulars import focus_of, inherited_reason_of, is_under_another, reason_of, relieved, stem_of
from referrals.pathways import STAGES, first_stage
from referrals.pathways.parts import CONTACT
from referrals.projection import is_ours_to_say
from referrals.reading import contradiction_in
from referrals.receipts import receipt_of
from referrals.statuses import task_status
from referrals.vocabulary import Data, Opening

CHANGING_HANDS = frozenset({"owner", "loop-owners", "claimed", "given-back"})


class Work:
    """Loops and handoffs under lock, and what becomes of them."""

    def __init__(self, actor: Actor, now: datetime) -> None:
        self.actor = actor
        self.now = now
        self._ledger = Ledger(actor, now)
        self.clocks = Clocks()
        self._handoffs: dict[str, Handoff] = {}
        self._asking = Asking(self._ledger, self.clocks)

    def lock(self, handoff_ids: Sequence[str]) -> None:
        """Lock the loops of these handoffs in the order of their ids, then read all that is open in them.

        Two statements, and only the loops are locked: whatever is read after the lock is current, and nobody can wait
        for a row that the other holds.
        """
        self._read(locking.loops_of(handoff_ids), handoff_ids)

    def lock_loops(self, loop_ids: Sequence[str]) -> list[Loop]:
        """Lock these loops, ended ones too, in the order of their ids."""
        return locking.loops(loop_ids)

    def change_loop(self, loop: Loop, **fields: object) -> None:
        """Set fields of a locked loop."""
        self._ledger.change_loop(loop, **fields)

    def lock_successor(self, loop: Loop) -> Loop | None:
        """The open loop among those that have followed an ended one, locked; None if all have ended."""
        followers = Loop.objects.filter(about=loop.request_reference, based_on__isnull=False, closed_at=None)
        newest = followers.order_by("-opened_at").values_list("id", flat=True)[:1] if loop.request_reference else []
        found = [each for each in locking.loops(list(newest)) if each.closed_at is None]
        self._read(found, [])
        return found[0] if found else None

    def handoff(self, handoff_id: str) -> Handoff:
        """A handoff that was locked, or has been opened since."""
        try:
            return self._handoffs[handoff_id]
        except KeyError:
            raise NotFound(_("There is no such task.")) from None

    def open_handoffs(self, loop: Loop) -> list[Handoff]:
        """What is open in a loop now."""
        return [each for each in self._handoffs.values() if each.loop_id == loop.id and each.is_open]

    def open_loop(self, loop: Loop) -> None:
        """Take up a new loop; where its patient has died, that stands for telling them from the first (PATHWAYS §7)."""
        answer = begin(loop)
        if answer is not None:
            loop.end_reason = loop.told_reason = "patient-died"
            loop.told_by = said_by(answer) or self.actor.display
            self.note(loop, None, "note-death", at=self.now).evidence = f"Task/{answer.id}"
        self.clocks.learn(loop.accountable, loop.responsible, loop.performer_owner)
        self._ledger.add_loop(loop)

    def join(self, loop_id: str, order: Order, at: datetime) -> Handoff | None:
        """Open what a request asks for that replaces an earlier one of the locked loop; None if nothing is open there.

        The decision that was waiting for it, if there is one, ends when it is sent.
        """
        standing = [one for one in self._handoffs.values() if one.loop_id == loop_id and one.is_open]
        if not standing:
            return None
        loop = standing[0].loop
        decision = next((one for one in standing if one.kind == "decide-next-step"), None)
        owner = order.performer_owner
        self._ledger.change_loop(loop, performer=order.performer, performer_owner=owner, service_id=order.service_id)
        is_theirs = loop.answer_only or loop.kind == "follow-up"  # there is nothing to be sent
        opening = Opening("fulfil", "performer") if is_theirs else Opening("dispatch", "accountable")
        handoff = self.open_handoff(loop, opening, at=at, opener=decision, owner=owner)
        handoff.focus = f"ServiceRequest/{order.request}"
        if loop.kind == "follow-up" and not {"patient-died"} & {loop.end_reason, loop.told_reason}:
            self.open_handoff(loop, CONTACT, at=at, opener=handoff)
        kinds = {one.kind for one in self.open_handoffs(loop)}
        again = revived(loop)
        stage = open_stage(loop.kind, kinds, acknowledged=bool(again.get("acknowledged_by", loop.acknowledged_by)))
        self._ledger.change_loop(loop, stage=stage, **again)
        return handoff

    def apply(
        self, loop: Loop, handoff: Handoff, decision: Decision, *, at: datetime, base: Resource | None, is_placers: bool
    ) -> list[Handoff]:
        """Do what was decided; gives the handoffs that it opened. ``is_placers`` is `settling.Step`'s."""
        was_reported = settling.is_reported(loop, self.open_handoffs(loop))
        staying = [one for one in self.open_handoffs(loop) if one.kind == "fulfil" and not _ends(one, decision)]
        owners = self._asking.owners(loop, handoff, decision, staying)
        hurried = ending.replaced(self._leaving(handoff, decision))
        for key, stage in decision.stages.items():
            if self._handoffs[key].loop_id == loop.id:
                self._enter(self._handoffs[key], stage, decision, at=at, own=key == handoff.id, base=base)
        opened = [
            self.open_handoff(
                loop,
                opening,
                at=at,
                opener=opener,
                owner=owner,
                data=decision.data | about,
                due_by=hurried.get(opening.handoff),
            )
            for opening in decision.opens
            for opener, owner, about in self._openers(opening, handoff, owners, decision)
        ]
        waiting = [one for one in self.open_handoffs(loop) if one.kind in decision.transition.hurries]
        for one in self.clocks.hasten(waiting, loop, at, decision.data):
            self._ledger.put_handoff(one)
        self._let_bid(handoff, decision, staying)
        opened += [self._ask_to_cancel(loop, self._handoffs[key], decision, at) for key in decision.asks]
        self._hand_over(loop, handoff, decision)
        if decision.winner:
            self._award(loop, decision.winner)
        self._ledger.change_loop(loop, **decision.loop)
        self._settle(loop, handoff, decision, is_placers=is_placers, was_reported=was_reported)
        return opened

    def _settle(
        self, loop: Loop, handoff: Handoff, decision: Decision, *, is_placers: bool, was_reported: bool
    ) -> None:
        """Note what the step says of its Task's output, of our own requests, and of a report's receipt."""
        if decision.data.get("report") and handoff.kind == "fulfil" and handoff.loop_id == loop.id:
            self._ledger.reports[handoff.id] = decision.data["report"]  # becomes the Task's output
        everything = [one for one in self._handoffs.values() if one.loop_id == loop.id]
        step = settling.Step(loop, handoff, decision, everything, is_placers, was_reported)
        self._ledger.requests += [(loop, *one) for one in settling.settled(step).items()]
        receipt = receipt_of(loop, handoff, decision, self.now)
        if receipt is not None:
            self._ledger.receipts[receipt.id] = receipt

    def _award(self, loop: Loop, winner: Handoff) -> None:
        """The offer has been taken: it is an order now, and its owner whom the loop names."""
        winner.is_offer = False
        self._ledger.change_loop(loop, performer_owner=winner.owner, performer=winner.owner.organization)

    def _let_bid(self, handoff: Handoff, decision: Decision, staying: Iterable[Handoff]) -> None:
        """What others are asked for besides is an offer now, at whoever hasn't accepted it yet."""
        is_meant = decision.data.get("bidding") and any(opening.beside for opening in decision.opens)
        for one in bidding.joining(handoff, staying) if is_meant else ():
            one.is_offer = True
            one.version += one.id != handoff.id
            self._ledger.put_handoff(one)

    def open_handoff(
        self,
        loop: Loop,
        opening: Opening,
        *,
        at: datetime,
        opener: Handoff | None = None,
        owner: Owner | None = None,
        data: Mapping[str, Any] | None = None,
        key: str = "",
        due_by: datetime | None = None,
    ) -> Handoff:
        """Open a handoff in a loop, its clock running from ``at``, due no later than ``due_by``."""
        values = {**(data or {}), **({"severity": opening.severity} if opening.severity else {})}
        holder = holding.meant(loop, opening, opener, owner, values)
        stage = STAGES[opening.handoff, opening.stage or first_stage(opening.handoff, loop.kind)]
        why = inherited_reason_of(opening, opener, values)
        handoff = Handoff(
            id=key or values.get("task", "").removeprefix("Task/") or clock.new_id(),
            loop=loop,
            kind=opening.handoff,
            stage=stage.code,
            priority_rank=0 if values.get("severity") == "critical" else RANK[loop.priority],
            opened_at=at,
            needed_by=loop.needed_by if opening.handoff == "fulfil" else None,
            task_status=stage.task_status,
            opened_by_id=stem_of(opener),
            focus=focus_of(opening, opener, values),
            is_offer=opening.owner == "chosen" and values.get("bidding", False),
            reason_code=why[0],
            reason_text=why[1],
        )
        holding.give(handoff, holder, loop.accountable)
        self.clocks.start(handoff, loop, at, values)
        if due_by is not None:
            self.clocks.hurry(handoff, due_by)
        self._handoffs[handoff.id] = handoff
        self._ledger.put_handoff(handoff)
        return handoff

    def hear(self, handoff: Handoff, said: Resource, *, at: datetime) -> None:
        """Take over the Task of a performer who works elsewhere, with its status; a new status is noted."""
        status = handoff.task_status if is_ours_to_say(handoff) else str(said["status"])
        if self.actor.kind == "partner":
            handoff.remote_lasted_at = at
        if status != handoff.task_status:
            handoff.version += 1
            handoff.task_status = status
            event = self.note(handoff.loop, handoff, "hear", at=at, before=handoff.stage)
            event.details = {"status": status}
        if status in STAGES[handoff.kind, handoff.stage].reads:
            handoff.reconfirm_at = None
        handoff.contradiction = contradiction_in(said)
        self._ledger.bases[handoff.id] = said
        self._ledger.put_handoff(handoff)

    def revise(self, loop_id: str, wanted: Mapping[str, Any], *, evidence: str) -> None:
        """Let a loop be as urgent as its placer wants it now; nothing is written where it has ended, or that is no news."""
        everything = [each for each in self._handoffs.values() if each.loop_id == loop_id and each.is_open]
        if not everything:
            return
        loop = everything[0].loop
        wished = wishes_of(loop)
        before = {name: wished[name] for name in wanted}
        if before == dict(wanted):
            return
        self._ledger.change_loop(loop, **wanted)
        for handoff in everything:
            self.clocks.revise(handoff, loop, wished)
            self._ledger.put_handoff(handoff)
        event = self.note(loop, None, "revise", at=self.now)
        event.evidence = evidence
        event.details = as_details({**wanted, **{f"{name}_before": value for name, value in before.items()}})

    def note(self, loop: Loop, handoff: Handoff | None, action: str, *, at: datetime, before: str = "") -> Event:
        """Put a line into the journal."""
        event = Event(
            loop=loop,
            handoff=handoff,
            at=at,
            recorded_at=self.now,
            actor_id=self.actor.id,
            actor_kind=self.actor.kind,
            actor_display=self.actor.display,
            action=action,
            from_stage=before,
            to_stage=handoff.stage if handoff else loop.stage,
        )
        self._ledger.events.append(event)
        return event

    def describe(
        self, event: Event, decision: Decision, opened: Iterable[Handoff], *, evidence: str, attested: bool
    ) -> None:
        """Complete a line of the journal with what the action carried and led to."""
        event.reason_code, event.reason_text = decision.reason_code, decision.reason_text
        event.evidence, event.attested = evidence, attested
        ended = [key for key in decision.stages if not self._handoffs[key].is_open]
        event.details = as_details(decision.data) | {"opened": [each.id for each in opened], "ended": ended}

    def save(self) -> None:
        """Write everything (see `Ledger.save`), and let who has just been asked to perform see it."""
        self._ledger.save()
        self._asking.welcome(self.actor)

    def _read(self, loops: Sequence[Loop], handoff_ids: Sequence[str]) -> None:
        self._handoffs |= {handoff.id: handoff for handoff in locking.handoffs(loops, handoff_ids)}
        owners = [owner for loop in loops for owner in (loop.accountable, loop.responsible, loop.performer_owner)]
        self.clocks.learn(*owners, *(handoff.owner for handoff in self._handoffs.values()))

    def _ask_to_cancel(self, loop: Loop, handoff: Handoff, decision: Decision, at: datetime) -> Handoff:
        """Ask the performer of a handoff to cancel it, for the reason of the decision."""
        handoff.is_offer = False
        why = {"reason": decision.reasons.get(handoff.id) or decision.reason_code or "sent-elsewhere"}
        return self.open_handoff(loop, Opening("request-cancellation", "same"), at=at, opener=handoff, data=why)

    def _hand_over(self, loop: Loop, handoff: Handoff, decision: Decision) -> None:
        """Let the handoff, or the whole loop with what its owners hold in it, go to whom the action names."""
        touched, changes = holding.hand_over(loop, handoff, self.open_handoffs(loop), decision, self.actor)
        self._ledger.change_loop(loop, **changes)
        for each in (*touched, *relieved(handoff, self.open_handoffs(loop), decision)):
            self._ledger.put_handoff(each)
        if "authorised" in decision.transition.sets:
            handoff.authorisation = decision.data["authorisation"]
            handoff.authorised_until = decision.data.get("valid_until")
            if decision.transition.target:
                self._asking.admit(loop, handoff)

    def _openers(
        self, opening: Opening, handoff: Handoff, owners: list[Owner | None], decision: Decision
    ) -> Iterable[tuple[Handoff | None, Owner | None, Data]]:
        """What opens it, for whom, and what that adds to the data: once, or for each that the table means."""
        if opening.owner == "chosen":
            opener = handoff.opened_by if opening.beside else handoff
            # A Task of another system stands for the first of several performers alone.
            about = {"request": handoff.focus} if opening.beside and is_under_another(handoff) else {}
            return [(opener, owner, about | ({"task": ""} if place else {})) for place, owner in enumerate(owners)]
        if not opening.each:
            part = performing.part_of(handoff) if opening.owner == "performer" else None
            return [(handoff, owners[0], {"request": part.focus} if part and is_under_another(part) else {})]
        if opening.each == "returned":
            back = performing.returned(handoff, everywhere="died" in decision.transition.sets)
            chosen = {one.organization for one in owners if one and "performer" in decision.transition.sets}
            return [(part, None, {}) for part in back if part.owner.organization not in chosen]
        elsewhere = [one for one in self.open_handoffs(handoff.loop) if one.kind == "fulfil" and not one.owner.internal]
        if opening.each == "fulfil":
            return [(one, None, {}) for one in elsewhere]
        booked = [(one, booked_visit(one)) for one in elsewhere if one.stage in APPOINTED]
        return [(one, None, {"appointment": visit}) for one, visit in booked if visit]

    def _leaving(self, handoff: Handoff, decision: Decision) -> Iterable[Handoff]:
        """Other open handoffs that the decision ends."""
        for key in decision.stages:
            other = self._handoffs[key]
            if key != handoff.id and _ends(other, decision):
                yield other

    def _enter(
        self, handoff: Handoff, stage_code: str, decision: Decision, *, at: datetime, own: bool, base: Resource | None
    ) -> None:
        """Bring a handoff to a stage: its status, its clock, its end."""
        transition = decision.transition
        stage = STAGES[handoff.kind, stage_code]
        stays = not transition.target if own else handoff.id in decision.reasons and stage_code == handoff.stage
        handoff.version += 1
        handoff.attempts += "attempt" in transition.sets
        if not transition.sets & CHANGING_HANDS:
            handoff.reason_code, handoff.reason_text = reason_of(handoff, decision, own=own)
        said = base if own else None
        handoff.task_status = task_status(handoff, stage, said)
        if said is not None and self.actor.kind == "partner":
            handoff.remote_lasted_at = at
        _move(handoff, stage_code)
        if stage.is_end and handoff.closed_at is None:
            handoff.closed_at = handoff.stage_since = at
            handoff.escalate_at = None
        elif not stays:
            self._run_clock(handoff, decision, at=at, own=own)
        if own:
            self._note_source(handoff, decision, said)
        self._ledger.put_handoff(handoff)

    def _run_clock(self, handoff: Handoff, decision: Decision, *, at: datetime, own: bool) -> None:
        loop = handoff.loop
        if own and _keeps_due(handoff, decision):
            handoff.stage_since = at
        elif handoff.stage == STOPPED:
            self.clocks.stop(handoff, loop, at)
        elif not own and handoff.paused_seconds is not None:
            self.clocks.resume(handoff, at)
        else:
            self.clocks.start(handoff, loop, at, decision.data)

    def _note_source(self, handoff: Handoff, decision: Decision, said: Resource | None) -> None:
        """What was entered for a performer has to be confirmed again, until the performer's own word moves it on."""
        if said is not None:
            handoff.contradiction = contradiction_in(said)
            self._ledger.bases[handoff.id] = said
        if decision.attested or "confirmed" in decision.transition.sets:
            handoff.reconfirm_at = self.now + RECONFIRMED_WITHIN
        elif decision.transition.target or (not handoff.is_open and "contradicted" in decision.transition.sets):
            handoff.reconfirm_at = None


RECONFIRMED_WITHIN = timedelta(days=7)
"""† How long what somebody has entered for a performer is taken as it is."""


def _keeps_due(handoff: Handoff, decision: Decision) -> bool:
    """Whether a step that was only told of leaves the due time as it was: it names no appointment and stops no clock."""
    is_running = handoff.stage != STOPPED and handoff.paused_seconds is None
    return decision.attested and is_running and "slot_end" not in decision.data


def _move(handoff: Handoff, stage_code: str) -> None:
    if stage_code in RETURNING and handoff.stage != stage_code:
        handoff.paused_stage = handoff.stage
    handoff.stage = stage_code


def _ends(handoff: Handoff, decision: Decision) -> bool:
    return STAGES[handoff.kind, decision.stages.get(handoff.id, handoff.stage)].is_end
