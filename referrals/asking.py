"""Whom an action asks to perform, and under which request: part of one piece of work (`referrals.work`)."""

from collections.abc import Sequence

from records.access import Actor
from referrals import people, performing, placing, sharing
from referrals.clocks import Clocks
from referrals.ledger import Ledger, audience
from referrals.lifecycle import Decision
from referrals.models import Handoff, Loop, Owner
from referrals.particulars import is_under_another


class Asking:
    """The performers that one piece of work asks, and what they have to be shown at its end."""

    def __init__(self, ledger: Ledger, clocks: Clocks) -> None:
        self._ledger = ledger
        self._clocks = clocks
        self._asked: list[tuple[Loop, str, str]] = []
        self._unasked: list[tuple[Loop, str, str]] = []

    def owners(
        self, loop: Loop, handoff: Handoff, decision: Decision, staying: Sequence[Handoff]
    ) -> list[Owner | None]:
        """The owners that the action names, else whose part it is about, else the loop's; the loop remembers the first.

        ``staying`` are the `fulfil` that stay open. Raises `Incorrect` for who performs it already.
        """
        named: list[int | str] = decision.data.get("performer", [])
        owners = [people.named_performer(one, loop.accountable.organization) for one in named]
        before = audience(loop)
        _refuse_twice(named, owners, {one.owner_id for one in staying})
        again = _asked_before(handoff, decision)
        if again is not None and again.organization != loop.performer and "performer" in decision.transition.sets:
            owners, decision.data["performer"] = [again], [people.reference_of(again.pk)]
        request = self._request(loop, decision, staying)
        known = before if request == loop.request_reference else frozenset()
        is_draft = any(opening.stage == "authorisation-pending" for opening in decision.opens)
        newcomers = sorted({owner.organization for owner in owners} - known - {""}) if not is_draft else ()
        self._asked += [(loop, organization, request) for organization in newcomers]
        asked: list[Owner | None] = [*owners] or [again or loop.performer_owner]
        if is_draft:
            entitled = {one.owner.organization for one in staying} | _placing(loop)
            hidden = sorted({owner.organization for owner in asked if owner} - entitled - {""})
            self._unasked += [(loop, organization, request) for organization in hidden]
        self._clocks.learn(*owners)
        if "performer" in decision.transition.sets and (owners or is_draft):
            performing = {one.owner_id for one in staying}
            self._name(loop, decision, _unsent(loop, performing) if is_draft else _named(decision, owners))
        return asked

    def welcome(self, actor: Actor) -> None:
        """Let whoever has just been asked see it, and nobody who is only asked once the payer has agreed."""
        for loop, organization, request in self._asked:
            sharing.welcome(loop, request, organization, actor)
        for loop, organization, request in self._unasked:
            sharing.withhold(loop, request, organization)

    def admit(self, loop: Loop, handoff: Handoff) -> None:
        """The payer has agreed: whoever is to perform it may see it from now on."""
        request = handoff.focus if is_under_another(handoff) else loop.request_reference
        self._asked.append((loop, handoff.owner.organization, request))
        if loop.performer_owner is None and not handoff.is_offer:
            owner = handoff.owner
            self._ledger.change_loop(loop, performer_owner=owner, performer=owner.organization)

    def _name(self, loop: Loop, decision: Decision, named: Owner | None) -> None:
        """The loop names its performer, or nobody yet."""
        performers = decision.data.get("performer")
        self._ledger.change_loop(
            loop,
            performer_owner=named,
            performer=named.organization if named else "",
            service_id=people.service_of(performers[0]) if performers else loop.service_id,
        )

    def _request(self, loop: Loop, decision: Decision, staying: Sequence[Handoff]) -> str:
        """What they are asked for: the request named, else one of ours in place of the last, else the last."""
        if decision.data.get("request") or "replaced" not in decision.transition.sets:
            return str(decision.data.get("request") or loop.request_reference)
        last = last_request(loop)
        request = placing.ours(last)
        performers = [people.reference_of(one) for one in decision.data.get("performer", [])]
        if staying or not request or not placing.is_another(request, performers):
            return last
        following = placing.replacement(request, performers)
        self._ledger.placed.append((loop, following))
        self._ledger.requests.append((loop, last, "revoked"))
        decision.data["request"] = f"ServiceRequest/{following['id']}"
        return f"ServiceRequest/{following['id']}"


def _asked_before(handoff: Handoff, decision: Decision) -> Owner | None:
    """Who is asked once more where the action names nobody: the performer whose part it is about."""
    is_asking = any(opening.owner in ("performer", "chosen") for opening in decision.opens)
    part = performing.part_of(handoff) if is_asking and not decision.data.get("performer") else None
    return performing.asked(part) if part else None


def _placing(loop: Loop) -> set[str]:
    """The houses that see the request as its placer's."""
    reading = loop.responsible.organization if loop.responsible else ""
    return {loop.placer, loop.accountable.organization, reading}


def _refuse_twice(named: Sequence[int | str], chosen: Sequence[Owner], performing: set[int]) -> None:
    """Raise `Incorrect` for who is asked a second time, or has been already."""
    for name, owner in zip(named, chosen, strict=True):
        if owner.pk in performing:
            raise people.nobody_new(name)
        performing.add(owner.pk)


def _named(decision: Decision, owners: Sequence[Owner]) -> Owner | None:
    """The first one asked; nobody while several are bidding."""
    return None if len(owners) > 1 and decision.data.get("bidding") else owners[0]


def _unsent(loop: Loop, performing: set[int]) -> Owner | None:
    """Until the payer agrees nobody new is named; whoever performs it besides stays so."""
    return loop.performer_owner if loop.performer_owner_id in performing else None


def last_request(loop: Loop) -> str:
    """The request that was sent last: the loop's own, or the one that has replaced it."""
    later = loop.handoffs.filter(kind="fulfil", focus__startswith="ServiceRequest/").order_by("-opened_at")
    return later.values_list("focus", flat=True).first() or loop.request_reference
