"""Who holds a handoff: its owner, the one internal list that it stands on, and the pool behind that list.

The only place that sets them, so that they fit together whatever made somebody the owner.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from records import access
from records.access import Actor
from records.errors import Incorrect, Issue
from referrals import people, performing, placing
from referrals.lifecycle import Decision
from referrals.models import Handoff, Loop, Owner
from referrals.particulars import request_of
from referrals.vocabulary import Opening


def give(handoff: Handoff, owner: Owner, accountable: Owner) -> None:
    """Let ``owner`` have it, while that pool answers for it; its clock isn't touched.

    Of a person of ours who doesn't sign in it stands on the list of their house's pool; of anybody else outside on that of
    the pool that answers for it. The pool from which one of its people takes it stays behind it.
    """
    team = _team(handoff, owner)
    handoff.owner, handoff.accountable = owner, accountable
    # While the payer hasn't agreed, only the placer can do anything.
    is_draft = handoff.task_status == "draft"
    handoff.list = accountable if is_draft else owner if owner.internal else team or accountable
    # An EHR is outside, also the one of the house itself: nobody reads a list there.
    handoff.is_outside = owner.organization != accountable.organization or owner.kind == Owner.Kind.PARTNER
    is_taken = handoff.list == owner and owner.kind == Owner.Kind.PERSON
    handoff.pool = team if team and is_taken else _pool_behind(handoff.list, accountable)


def _team(handoff: Handoff, owner: Owner) -> Owner | None:
    """The pool of the owner's house that has the handoff, or that gets what is a person's who doesn't sign in."""
    if owner.kind == Owner.Kind.PARTNER:
        return None
    if (
        handoff.pool_id
        and handoff.pool.organization == owner.organization
        and handoff.pool_id != handoff.accountable_id
    ):
        return handoff.pool
    is_a_person_of_ours = owner.kind == Owner.Kind.PERSON and access.is_tenant(owner.organization)
    return people.default_pool(owner.organization) if is_a_person_of_ours and not owner.internal else None


def meant(loop: Loop, opening: Opening, opener: Handoff | None, chosen: Owner | None, data: Mapping[str, Any]) -> Owner:
    """Who the table means."""
    named = numbered(data.get("holder")) if opening.owner == "discharger" else None
    if named is not None:
        return named
    if opening.owner == "placer" or (opening.owner == "referrer" and loop.answer_only):
        return _placing(loop, opening, opener)
    if opening.owner in ("referrer", "reviewer", "discharger"):
        return loop.responsible if loop.responsible and loop.responsible.internal else loop.accountable
    if opening.owner == "same" and opener is not None:
        return opener.owner if opener.owner.internal else performing.asked(opener)
    if opening.owner in ("performer", "chosen"):
        return chosen or loop.performer_owner or loop.accountable
    return loop.accountable


def _placing(loop: Loop, opening: Opening, opener: Handoff | None) -> Owner:
    """The placer: the EHR that has written the request, or its organisation elsewhere."""
    if opening.owner == "placer" and opener is not None:
        return placing.system_of(request_of(opener, loop), loop.placer) or loop.accountable
    return people.owner_for("organisation", loop.placer, organization=loop.placer)


def hand_over(
    loop: Loop, handoff: Handoff, handoffs: Iterable[Handoff], decision: Decision, actor: Actor
) -> tuple[list[Handoff], dict[str, Any]]:
    """Do what the transition says of whose it is; gives the handoffs that changed, and the loop's new fields."""
    taker = _taker(handoff, decision, actor)
    if taker is not None:
        give(handoff, taker, loop.accountable)
        return [handoff], {}
    reader = numbered(decision.data.get("responsible")) if "reviewer" in decision.transition.sets else None
    if reader is not None:
        return [], {"responsible": reader}
    if "loop-owners" not in decision.transition.sets:
        return [], {}
    responsible, accountable = named(loop, decision.data)
    touched = [each for each in handoffs if pass_on(each, loop, responsible, accountable)]
    for each in touched:
        each.version += each.id != handoff.id
    return touched, {"responsible": responsible, "accountable": accountable}


def numbered(number: Any) -> Owner | None:
    """The owner of that number, as Baton itself names one."""
    return Owner.objects.filter(pk=int(number)).first() if str(number).isdecimal() else None


def _taker(handoff: Handoff, decision: Decision, actor: Actor) -> Owner | None:
    """Whoever the transition gives this handoff to; None where it keeps its owner."""
    sets, here = decision.transition.sets, handoff.owner.organization
    if "owner" in sets:
        return people.colleague(decision.data["owner"], here)
    if "claimed" in sets:
        return people.claimant(decision.data.get("claimant", ""), actor, here)
    if "authorised" in sets:
        return handoff.owner
    return people.pool_of(handoff) if "given-back" in sets else None


def pass_on(handoff: Handoff, loop: Loop, responsible: Owner | None, accountable: Owner) -> bool:
    """Let an open handoff follow its loop, which is about to go to these two; gives whether it changed."""
    owner = handoff.owner
    if owner.pk == loop.accountable_id:
        owner = accountable
    elif owner.pk == loop.responsible_id:
        owner = responsible or accountable
    if (owner, accountable) == (handoff.owner, handoff.accountable):
        return False
    give(handoff, owner, accountable)
    return True


def named(loop: Loop, data: Mapping[str, Any]) -> tuple[Owner | None, Owner]:
    """To whom a loop goes: its responsible clinician and its accountable pool, as they are where nobody is named.

    The accountable pool named as responsible takes the loop without a clinician of its own.

    Raises `Incorrect` naming the field for who doesn't work for the accountable organisation, or when nobody is named.
    """
    responsible, accountable, house = loop.responsible, loop.accountable, loop.accountable.organization
    if not {"responsible", "pool"} & data.keys():
        text = _("Please name who is to be responsible, or the pool that is to be accountable.")
        raise Incorrect(text, Issue(text, "responsible", "required"), Issue(text, "pool", "required"))
    if "pool" in data:
        accountable = people.colleague(data["pool"], house, field="pool")
        _refuse_kind(accountable, Owner.Kind.POOL, "pool")
    if "responsible" in data:
        responsible = people.colleague(data["responsible"], house, field="responsible")
        if responsible == accountable:
            return None, accountable
        _refuse_kind(responsible, Owner.Kind.PERSON, "responsible")
    return responsible, accountable


def _refuse_kind(owner: Owner, kind: str, field: str) -> None:
    if owner.kind != kind:
        text = _("Please name a %(kind)s.") % {"kind": Owner.Kind(kind).label}
        raise Incorrect(text, Issue(text, field, "value"))


def _pool_behind(listed: Owner, accountable: Owner) -> Owner:
    if listed.kind == Owner.Kind.POOL:
        return listed
    if listed.organization == accountable.organization:
        return accountable
    return people.default_pool(listed.organization)
