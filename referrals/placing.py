"""The requests that were placed in Baton itself: Baton is their placer and writes their status (PATHWAYS §1).

An EHR writes its own; whatever isn't ours is left alone here.
"""

from collections.abc import Collection

from django.conf import settings

from records import clock, store
from records.access import Actor, root
from records.json import Resource
from referrals import following
from referrals.kinds import is_advice
from referrals.models import Handoff, Loop, Owner
from referrals.particulars import request_of
from referrals.parties import held, local, performing
from referrals.pathways import transitions_from
from referrals.people.owners import name_of, owner_for
from referrals.projection import PROPOSED, owner_of

# What marks a request that was written in Baton (`referrals.composer`).
REQUEST_IDENTIFIER = f"{settings.BATON_BASE_URL}/id/request"
# After what a request comes to a status (`referrals.settling` says when).
FOLLOWS = {
    "on-hold": ("active",),
    "active": ("on-hold", "completed", "revoked"),
    "completed": ("active", "on-hold"),
    "revoked": ("draft", "active", "on-hold"),
    "entered-in-error": ("draft", "active", "on-hold"),
}


def ours(reference: str) -> Resource:
    """The request, if it is one of Baton's own; else an empty resource."""
    request = held(*local({"reference": reference}))
    systems = {identifier.get("system") for identifier in request.get("identifier", ())}
    return request if REQUEST_IDENTIFIER in systems else {}


def system_of(reference: str, placer: str) -> Owner | None:
    """The partner's EHR that has placed a request for that root organisation; None where it wasn't one."""
    kind, _colon, key = _author(reference).partition(":")
    if kind != "partner":
        return None
    return owner_for(Owner.Kind.PARTNER, key, organization=placer, name=name_of("Organization", placer))


def _author(reference: str) -> str:
    """Whoever has placed a request; empty for one of Baton's own, also where an EHR's message led to it."""
    return "" if ours(reference) else store.author("ServiceRequest", local({"reference": reference})[1])


def is_unsaid(loop: Loop, handoff: Handoff, action: str, actor: Actor) -> bool:
    """Whether somebody decides here what a partner's EHR, which placed the request, doesn't say in it (PATHWAYS §1).

    An EHR that acts itself says what it wants to say.
    """
    rows = [one for one in transitions_from(handoff.kind, handoff.stage, loop.kind) if one.action == action]
    stage = next((one.stage for row in rows for one in row.opens if one.handoff == "propose-change"), "")
    request = request_of(handoff, loop) if stage else ""
    author = _author(request) if request else ""
    if not author.startswith("partner:") or author == actor.id:
        return False
    return stage == "performer-proposed" or not says(held(*local({"reference": request})), stage, loop)


def says(request: Resource, stage: str, loop: Loop) -> bool:
    """Whether a request says what a proposal at that stage asks for."""
    if stage == "resumption-proposed":
        return request.get("status") != "on-hold"
    if stage == "revocation-proposed":
        return request.get("status") in ("revoked", "entered-in-error")
    if request.get("status") != PROPOSED[stage]:
        return False
    if stage == "performer-proposed":
        return loop.performer_owner is not None and names(request, loop.performer_owner)
    return stage != "in-full-proposed" or not is_advice(request)


def names(request: Resource, performer: Owner) -> bool:
    """Whether that performer, or its organisation, is whom a request names."""
    organization, _service = performing(request)
    named = {"/".join(local(one)) for one in request.get("performer", ())}
    return owner_of(performer)["reference"] in named or performer.organization == (organization and root(organization))


def settle(reference: str, status: str, actor: Actor, loop: Loop) -> None:
    """Give a request of ours in that loop the status that has come of it, where that follows on what it says now.

    Whoever could read it goes on doing so; nobody is shown it besides its placer.
    """
    request = ours(reference)
    if request.get("status") in FOLLOWS.get(status, ()):
        store.write({**request, "status": status}, actor=actor, audience=(loop.placer,), validate=False)
        following.keep_with(loop, request)


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
