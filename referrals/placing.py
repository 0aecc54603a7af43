"""The requests that were placed in Baton itself: Baton is their placer and writes their status (PATHWAYS §1).

An EHR writes its own; whatever isn't ours is left alone here.
"""

from collections.abc import Collection, Iterable

from django.conf import settings

from records import clock, store
from records.access import Actor
from records.json import Resource
from referrals.kinds import is_advice
from referrals.parties import held, local

# What marks a request that was written in Baton (`referrals.composer`).
REQUEST_IDENTIFIER = f"{settings.BATON_BASE_URL}/id/request"
# Carried out, not carried out after all (its report was void), or replaced by another: each after what.
FOLLOWS = {"completed": ("active",), "active": ("completed",), "revoked": ("draft", "active", "on-hold")}


def ours(reference: str) -> Resource:
    """The request, if it is one of Baton's own; else an empty resource."""
    request = held(*local({"reference": reference}))
    systems = {identifier.get("system") for identifier in request.get("identifier", ())}
    return request if REQUEST_IDENTIFIER in systems else {}


def settle(reference: str, status: str, actor: Actor, audience: Iterable[str]) -> None:
    """Give a request of ours the status that has come of it, where that follows on what it says now."""
    request = ours(reference)
    if request.get("status") in FOLLOWS.get(status, ()):
        store.write({**request, "status": status}, actor=actor, audience=audience, validate=False)


def replacement(request: Resource, performers: Collection[str]) -> Resource:
    """The request that takes the place of one of ours at other performers (references); not written yet.

    It is a new request of today; the clock that runs is the loop's, from the first one on. Without performers it is for
    the same ones; what was asked for as advice is asked for in full.
    """
    key = clock.new_id()
    kept = {name: value for name, value in request.items() if name not in ("id", "meta", "text", "performer")}
    mine = [one | {"value": key} for one in request["identifier"] if one.get("system") == REQUEST_IDENTIFIER]
    return kept | {
        "id": key,
        "identifier": mine,
        "replaces": [{"reference": f"ServiceRequest/{request['id']}"}],
        "status": "active",
        "authoredOn": clock.now().isoformat(timespec="seconds"),
        "category": [one for one in request.get("category", ()) if not is_advice({"category": [one]})],
        "performer": [{"reference": one} for one in performers] or request.get("performer", []),
    }


def is_another(request: Resource, performers: Collection[str]) -> bool:
    """Whether a request has to be replaced before it is performed in full by these (nobody named: the same ones)."""
    known = ["/".join(local(one)) for one in request.get("performer", ())]
    return is_advice(request) or (bool(performers) and known != [*performers])
