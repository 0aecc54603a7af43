"""Several writes in one request, where the partner takes Bundles: a transaction if it promises one, else a batch.

Only writes go together that need no look before them (`sending.draft`); all others go alone. Each entry has its own
condition (ifNoneExist, ifMatch) and its own outcome. When the whole is lost, every entry is unknown and looked up; when
the whole is refused each goes alone and is looked up too: a server without rollback may have done a part of it.
FHIR R4 §3.1.0.11, https://hl7.org/fhir/R4/http.html#transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_bridge.capabilities.choices import Send
from fhir_bridge.connecting.client import Reply, Server, refusal
from fhir_bridge.connecting.retries import Unreadable, Waiting
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import sending
from fhir_bridge.outbound.material import Material, gather
from fhir_bridge.outbound.sending import Draft, Sent
from records import errors
from records.json import Resource

TOGETHER = 25  # entries of one Bundle: a lost one costs as many look-ups
AT_ONCE = 2
ALONE = None
Outcome = Sent | errors.BatonError | None
"""What became of one link: sent, failed, or to be sent alone and looked up first."""

# The whole is refused; it says nothing of its entries
_REFUSED = (
    errors.Malformed,
    errors.Incorrect,
    errors.Unsupported,
    errors.NotFound,
    errors.Gone,
    errors.Conflict,
    errors.Stale,
    errors.Forbidden,
)


def size_for(partner: Partner) -> int:
    """How many links to claim at once; one where it takes no Bundles, or has just failed."""
    return 1 if partner.failures or partner.ways().send.way == Send.SINGLE else TOGETHER


def send_together(server: Server, links: Sequence[Link]) -> dict[int, Outcome]:
    """Send what can go together; gives the outcome per link, and none for those that were not tried."""
    material = gather(links)
    drafts = {link: written for link in links if (written := _draft(link, material)) is not None}
    if len(drafts) < AT_ONCE:
        return {}
    kind = next(iter(drafts)).partner.ways().send.way
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [_entry(written) for written in drafts.values()]}
    try:
        answers = _answers(server.exchange("POST", server.base_url, bundle), len(drafts))
    except _REFUSED:
        return {link.pk: ALONE for link in drafts}
    except errors.BatonError as error:
        return {link.pk: error for link in drafts}
    return {
        link.pk: _outcome(server, link, written, answer)
        for (link, written), answer in zip(drafts.items(), answers, strict=True)
    }


def _draft(link: Link, material: Material) -> Draft | None:
    """None too for what can't go: it says so when it goes alone."""
    try:
        return sending.draft(link, material)
    except (errors.BatonError, Waiting):
        return None


def _entry(written: Draft) -> Resource:
    told = {"method": written.verb, "url": written.url}
    told |= {"ifNoneExist": written.if_none_exist} if written.if_none_exist else {}
    told |= {"ifMatch": f'W/"{written.if_match}"'} if written.if_match else {}
    return {"resource": written.body, "request": told}


def _answers(reply: Reply, number: int) -> list[Mapping[str, Any]]:
    """One answer per entry, in their order; `Unreadable`, and so unknown, when there are not as many."""
    entries = (reply.resource or {}).get("entry")
    answers: list[Mapping[str, Any]] = []
    answers += [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    if len(answers) != number:
        raise Unreadable("The partner answered a Bundle with another number of entries.")
    return answers


def _outcome(server: Server, link: Link, written: Draft, answer: Mapping[str, Any]) -> Outcome:
    told = answer.get("response")
    told = told if isinstance(told, dict) else {}
    status = _status(told)
    if status == 0:
        return Unreadable("The partner's answer to an entry says nothing.")
    if not 200 <= status < 300:  # noqa: PLR2004 (what HTTP calls success)
        error = refusal(status, told["outcome"] if isinstance(told.get("outcome"), dict) else {})
        return sending.refused_creation(error) if written.verb == "POST" else error
    headers = {"Location": str(told.get("location", ""))}
    try:
        return sending.finish(server, link, written, Reply(status, headers, _resource(answer, told), None))
    except errors.BatonError as error:
        return error


def _resource(answer: Mapping[str, Any], told: Mapping[str, Any]) -> Resource | None:
    """The resource in an answer; one without its version says too little, unless the answer says it."""
    resource = answer.get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") == "OperationOutcome":
        return None
    return resource if resource.get("meta", {}).get("versionId") or not told.get("etag") else None


def _status(told: Mapping[str, Any]) -> int:
    """The number that a status begins with ("201 Created"), 0 for none."""
    number = str(told.get("status", ""))[:3]
    return int(number) if number.isascii() and number.isdigit() else 0
