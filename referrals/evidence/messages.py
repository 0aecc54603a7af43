"""What a Communication says in a loop: the performer's question, the referrer's answer, or that the patient was told.

Only whoever may take the step themselves can take it by a message; everything else is kept with the loop.
"""

from collections.abc import Iterator

from records import dates
from records.access import Actor
from records.json import Resource
from referrals import workflow
from referrals.evidence.naming import listed
from referrals.evidence.saying import happened_at, told
from referrals.evidence.table import EVIDENCE, Rule
from referrals.models import Event, Handoff, Loop
from referrals.parties import local
from referrals.vocabulary import Offer

Step = tuple[Handoff, Offer]


def apply(loop: Loop, message: Resource, actor: Actor) -> str:
    """Take the step that a completed message says, once; gives the loop's id."""
    reference = f"Communication/{message['id']}"
    step = None if Event.objects.filter(loop=loop, evidence=reference).exists() else _step(loop, message, actor)
    if step is not None:
        handoff, offer = step
        said = told(message)
        data = {one.name: said[one.name] for one in offer.fields if said.get(one.name)}
        if all(one.name in data for one in offer.fields if one.required):
            at = happened_at(message, actor)
            workflow.perform(handoff.id, offer.action, actor, at=at, data=data, evidence=reference)
    return loop.id


def _step(loop: Loop, message: Resource, actor: Actor) -> Step | None:
    """What the sender can do by it: the first of its possible meanings that is theirs to say."""
    for word in _words(message):
        rule = EVIDENCE.get(("Communication", word, loop.kind))
        found = _addressed(list(_possible(loop, rule, message, actor)), message, actor) if rule else None
        if found is not None:
            return found
    return None


def _words(message: Resource) -> tuple[str, ...]:
    """`told` for a message to the patient, `answer` for one to a question; else an answer of whoever may give one."""
    if message.get("status") != "completed":
        return ()
    if any(local(one)[0] == "Patient" for one in listed(message.get("recipient"))):
        return ("told",)
    return ("answer",) if message.get("inResponseTo") else ("answer", "question")


def _possible(loop: Loop, rule: Rule, message: Resource, actor: Actor) -> Iterator[Step]:
    """What is open on which the sender may take the step, and was there when the message was sent; the oldest first."""
    sent = dates.period_of(message.get("sent", ""))
    still_open = loop.handoffs.filter(kind=rule.handoff, closed_at=None).select_related("loop__accountable", "owner")
    if sent is not None and rule.handoff != "fulfil":
        still_open = still_open.filter(opened_at__lte=sent[1])
    for one in still_open.order_by("opened_at", "id"):
        offers = (offer for offer in workflow.available(actor, one) if not offer.attested)
        if (offer := next((each for each in offers if each.action in rule.actions), None)) is not None:
            yield one, offer


def _addressed(steps: list[Step], message: Resource, actor: Actor) -> Step | None:
    """The one that it names, else the sender's own, else the oldest; none where questions of several wait for an answer."""
    named = {"/".join(local(one)) for one in (*message.get("about", ()), *message.get("inResponseTo", ()))}
    by_name = [step for step in steps if named & _names(step[0])]
    own = [step for step in steps if step[0].owner.organization == actor.organization]
    if by_name or (own and steps[0][0].kind == "fulfil"):
        return (by_name or own)[0]
    is_unclear = len({handoff.opened_by_id for handoff, _offer in steps if handoff.kind == "provide-information"}) > 1
    return steps[0] if steps and not is_unclear else None


def _names(handoff: Handoff) -> set[str]:
    """By what a message may name it: its Task, that of the part that it hangs on, or the message that has asked it."""
    asked = Event.objects.filter(loop=handoff.loop_id, details__opened__contains=[handoff.id])
    return {f"Task/{handoff.id}", f"Task/{handoff.opened_by_id}", *asked.values_list("evidence", flat=True)} - {""}
