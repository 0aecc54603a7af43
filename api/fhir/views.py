"""The interactions of FHIR's RESTful API, one generic view per address (https://hl7.org/fhir/R4/http.html).

Every write goes through `referrals.intake.receive`, every read starts from `records.access.visible`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from api.fhir import addresses, bundles, capability, conditional, headers, keeping, posted
from api.fhir.base import FhirView
from api.fhir.outcomes import outcome
from records import access, store
from records.access import Actor
from records.errors import Gone, Incorrect, Issue, Malformed, NotFound, Unsupported
from records.json import Resource
from records.search import Match, search
from records.store import Stored, Written
from referrals import intake

READ_ONLY = {"AuditEvent"}
STORED_BUNDLES = {"document", "message"}


class MetadataView(FhirView):
    """``[base]/metadata``: what this server can do, the one address that needs no token."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request) -> Response:
        """The CapabilityStatement."""
        del request
        return Response(capability.statement())


class SystemView(FhirView):
    """The base: where batches and transactions will be posted."""

    def post(self, request: Request) -> Response:
        """Refuse what isn't offered yet, in FHIR's own words."""
        del request
        raise Unsupported(_("Batches and transactions are not supported."))


class TypeView(FhirView):
    """``[base]/[type]``: search and create."""

    def get(self, request: Request, type_name: str) -> Response:
        """Search by the query."""
        return _found(self.actor, request, type_name, [])

    def post(self, request: Request, type_name: str) -> Response:
        """Create; the server chooses the id, whatever the body says."""
        _refuse_read_only(request, type_name)
        access.may(self.actor, type_name, "c")
        body = _body(request, type_name)
        body.pop("id", None)
        condition = request.headers.get("If-None-Exist")
        if condition is None:
            return _written(request, _received(self.actor, body))
        with conditional.alone(self.actor, type_name):
            match = conditional.existing(self.actor, type_name, condition)
            return _written(request, _as_found(match) if match else _received(self.actor, body))


class SearchView(FhirView):
    """``[base]/[type]/_search``: a search whose parameters stay out of the address."""

    parser_classes = (FormParser,)

    def post(self, request: Request, type_name: str) -> Response:
        """Search by query and form together."""
        return _found(self.actor, request, type_name, _pairs(request.data))


class InstanceView(FhirView):
    """``[base]/[type]/[id]``: read and update; nothing is deleted from outside, loops stand on it."""

    def get(self, request: Request, type_name: str, resource_id: str) -> Response:
        """The current version, as it is stored."""
        access.may(self.actor, type_name, "r")
        return _stored(request, _visible(self.actor, type_name, resource_id))

    def put(self, request: Request, type_name: str, resource_id: str) -> Response:
        """Replace, or create under the client's id; what the caller may not see is not there to be replaced."""
        _refuse_read_only(request, type_name)
        access.may(self.actor, type_name, "u")
        body = _body(request, type_name)
        if body.get("id") != resource_id:
            text = _("The id in the body is not the id in the address.")
            raise Malformed(text, Issue(text, f"{type_name}.id"))
        keeping.refuse_foreign(self.actor, type_name, resource_id)
        expected = headers.expected_version(request)
        return _written(request, _received(self.actor, body, expected))


class VersionView(FhirView):
    """``[base]/[type]/[id]/_history/[version]``."""

    def get(self, request: Request, type_name: str, resource_id: str, version: str) -> Response:
        """One version of a resource that the caller may see now."""
        access.may(self.actor, type_name, "r")
        if not _is_known(self.actor, type_name, resource_id):
            raise NotFound(_("There is no such resource."))
        return _stored(request, store.version(type_name, resource_id, int(version)))


def _visible(actor: Actor, type_name: str, resource_id: str) -> Stored:
    """The current version; the same `NotFound` for what isn't there and what the caller may not see."""
    rows = access.visible(actor, type_name).filter(id=resource_id)
    row = rows.values_list("version", "last_updated", "body").first()
    if row is None:
        if access.shared(actor, type_name).filter(id=resource_id, deleted=True).exists():
            raise Gone(_("This resource was deleted."))
        raise NotFound(_("There is no such resource."))
    return Stored(type_name, resource_id, *row)


def _is_known(actor: Actor, type_name: str, resource_id: str) -> bool:
    """Whether the caller may see it, or might until it was deleted."""
    return any(
        rows.filter(id=resource_id).exists()
        for rows in (access.visible(actor, type_name), access.shared(actor, type_name).filter(deleted=True))
    )


def _refuse_read_only(request: Request, type_name: str) -> None:
    if type_name in READ_ONLY:
        raise MethodNotAllowed(str(request.method))


def _body(request: Request, type_name: str) -> Resource:
    """The resource that was sent, of the type of the address."""
    body = cast("Resource", request.data)
    if body.get("resourceType") != type_name:
        text = _("The resource in the body is not of the type in the address.")
        raise Malformed(text, Issue(text, "resourceType"))
    if type_name == "Bundle" and body.get("type") not in STORED_BUNDLES:
        text = _("Only documents and messages are kept as Bundles.")
        raise Incorrect(text, Issue(text, "Bundle.type", "not-supported"))
    return body


def _pairs(params: Any) -> list[tuple[str, str]]:
    """Every name with every value, in order; an empty form is no QueryDict."""
    lists: Iterable[tuple[str, list[str]]] = params.lists() if isinstance(params, QueryDict) else ()
    return [(name, value) for name, given in lists for value in given]


def _found(actor: Actor, request: Request, type_name: str, form: posted.Pairs) -> Response:
    """What query and form together find; a page key may keep the form of the page before."""
    address, kept = posted.opened(_pairs(request.query_params))
    hidden = [*kept, *form]
    strict = headers.preferences(request).get("handling") == "strict"
    found = search(actor, type_name, [*address, *hidden], strict=strict)
    return Response(bundles.searchset(type_name, found, hidden))


def _received(actor: Actor, body: Resource, if_match: int | None = None) -> Written:
    """Through the one door, for the caller's organisation to see."""
    keeping.refuse_another_house(actor, body)
    return intake.receive(body, actor, if_match=if_match, audience=(actor.organization,)).written


def _as_found(match: Match) -> Written:
    """What was there already, as the outcome of a write that changed nothing."""
    return Written(match.type, match.id, match.version, match.last_updated, match.body, created=False, changed=False)


def _stored(request: Request, stored: Stored) -> Response:
    if headers.is_known_version(request, stored.version):
        return _stamped(Response(status=304), stored.version, stored.last_updated)
    return _stamped(Response(stored.body), stored.version, stored.last_updated)


def _written(request: Request, written: Written) -> Response:
    """What a write answers: 201 with its address or 200, and the content that ``Prefer: return`` asks for."""
    wanted = headers.preferences(request).get("return", "representation")
    data: Resource | str | None = written.body
    if wanted == "minimal":
        data = None
    elif wanted.lower() == "operationoutcome":
        data = outcome([Issue(_("Saved."), code="informational", severity="information")])
    response = _stamped(Response(data, status=201 if written.created else 200), written.version, written.last_updated)
    response["Location"] = addresses.of_version(written.type, written.id, written.version)
    return response


def _stamped(response: Response, version: int, last_updated: datetime) -> Response:
    response["ETag"] = headers.etag(version)
    response["Last-Modified"] = headers.last_modified(last_updated)
    return response
