"""What a partner asks an organisation of ours for by a Task that no loop stands for yet (docs/decisions/0146).

Its request may say nobody who performs it, or name others; there may be none, or none that we can have. What is asked of us comes
before a person; the Tasks of a house's own EHR, and those for others, stay records.
"""

from django.db.models import Q
from django.utils.translation import gettext as _

from records import access
from records.access import Actor
from records.errors import Incorrect, Issue
from records.json import Resource
from referrals import locking
from referrals.intake import requests, tasks
from referrals.models import Adoptable, Loop
from referrals.parties import held, root_of
from referrals.receipts import is_receipt

OPEN = frozenset({"requested", "received", "accepted", "ready", "in-progress", "on-hold"})
PROPOSING = frozenset({"proposal", "option"})


class Unrequested(Incorrect):
    """Somebody elsewhere asks us for something, and no request that is here says what."""


def take_up(task: Resource, actor: Actor) -> str:
    """The id of the `fulfil` that a partner's Task stands for, opened now where its request alone doesn't say that we are asked.

    Empty where nobody here is asked, or a person sees the request already, or from now on, on the list to adopt. Raises `Unrequested`.
    """
    asked = tasks.stands_for(task, actor)
    if asked or not _asks_us(task, actor):
        return asked
    key = tasks.request_of(task)
    if key:
        locking.hold_names(requests=[f"ServiceRequest/{key}"])
        _bring_up(held("ServiceRequest", key), _asked(task), actor)
    if not key or not _is_known(key):
        text = _("It asks us for something, and no request that is here says what.")
        raise Unrequested(text, Issue(text, "Task.focus", "required"))
    return tasks.stands_for(task, actor)


def _asks_us(task: Resource, actor: Actor) -> bool:
    if actor.kind != "partner" or access.is_tenant(actor.organization) or is_receipt(task):
        return False
    is_order = task.get("status") in OPEN and task.get("intent") not in PROPOSING
    return is_order and access.is_tenant(root_of(_asked(task)))


def _asked(task: Resource) -> Resource:
    """Whom it asks: its owner, or where nobody is named who works at the place where it is to be done."""
    found: Resource = task.get("owner") or task.get("location") or {}
    return found


def _bring_up(request: Resource, owner: Resource, actor: Actor) -> None:
    if request and not _is_known(request["id"]):
        requests.open_for(request, owner, actor)


def _is_known(key: str) -> bool:
    """Whether a request has its loop, or a person has seen it, or sees it, on the list to adopt."""
    loops = Loop.objects.filter(Q(request_id=key) | Q(handoffs__focus=f"ServiceRequest/{key}"))
    return loops.exists() or Adoptable.objects.filter(request_id=key).exists()
