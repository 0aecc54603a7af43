"""What a Communication says in a loop: the performer's question, the referrer's answer, or that the patient was told.

Only whoever may take the step themselves can take it by a message; everything else is kept with the loop.
"""

from records import dates
from records.access import Actor
from records.json import Resource
from referrals import people, workflow
from referrals.evidence.naming import listed
from referrals.evidence.saying import happened_at, told
from referrals.evidence.table import EVIDENCE, Rule
from referrals.models import Event, Handoff, Loop
from referrals.parties import local
from referrals.vocabulary import Offer


def apply(loop: Loop, message: Resource, actor: Actor) -> str:
    """Take the step that a completed message says, once; gives the loop's id."""
    reference = f"Communication/{message['id']}"
    rule = EVIDENCE.get(("Communication", kind_of(loop, message, actor), loop.kind))
    handoff = _addressed(loop, rule, message) if rule else None
    if rule is None or handoff is None or Event.objects.filter(loop=loop, evidence=reference).exists():
        return loop.id
    said = told(message)
    for offer in _offered(actor, handoff, rule):
        data = {one.name: said[one.name] for one in offer.fields if said.get(one.name)}
        if all(one.name in data for one in offer.fields if one.required):
            workflow.perform(
                handoff.id, offer.action, actor, at=happened_at(message, actor), data=data, evidence=reference
            )
    return loop.id


def kind_of(loop: Loop, message: Resource, actor: Actor) -> str:
    """`told` for a message to the patient, `answer` while the performer waits for one, else `question`; empty for a draft.

    Of who performs it a message that answers nothing is one more question.
    """
    if message.get("status") != "completed":
        return ""
    if any(local(one)[0] == "Patient" for one in listed(message.get("recipient"))):
        return "told"
    if message.get("inResponseTo"):
        return "answer"
    questions = loop.handoffs.filter(kind="provide-information", closed_at=None)
    asked = questions.select_related("loop__accountable", "owner").first()
    is_askers = asked is not None and {"partner", "requester"} & people.roles_in(actor, asked) == {"partner"}
    return "question" if asked is None or is_askers else "answer"


def _addressed(loop: Loop, rule: Rule, message: Resource) -> Handoff | None:
    """The open handoff that it is about: one that was there when the message was sent."""
    sent = dates.period_of(message.get("sent", ""))
    still_open = loop.handoffs.filter(kind=rule.handoff, closed_at=None).select_related("loop__accountable", "owner")
    if sent is not None and rule.handoff != "fulfil":
        still_open = still_open.filter(opened_at__lte=sent[1])
    return still_open.order_by("opened_at").first()


def _offered(actor: Actor, handoff: Handoff, rule: Rule) -> list[Offer]:
    return [one for one in workflow.available(actor, handoff) if one.action in rule.actions and not one.attested][:1]
