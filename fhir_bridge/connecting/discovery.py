"""Finding out what a partner can do: its CapabilityStatement, its SMART configuration, and careful trying.

`ask` reads both documents without credentials: they are public, and which credentials a server wants stands in them.
`complete` tries, with reads alone, what the statement leaves open; where there is no statement worth the name it tries
what we need most and expects nothing else. What a read can't show (If-Match, rollback …) counts as not there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fhir_bridge.capabilities.abilities import PARAMS, TYPES, Abilities, Smart, Subscriptions, TypeAbilities
from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import Unreadable
from records import clock, errors
from records.json import Resource

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/"
_TOPIC = f"{BACKPORT}StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
_OAUTH = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_VERSIONINGS = frozenset({"no-version", "versioned", "versioned-update"})
_EXPORTS = {"Patient": "patient", "Group": "group"}
# Everything that a registered partner is certainly there for; whether it can be searched is tried
_ASSUMED = frozenset({"read", "create", "update"})
_REFUSALS = (
    errors.NotFound,
    errors.Gone,
    errors.Unsupported,
    errors.Malformed,
    errors.Incorrect,
    errors.Forbidden,
    errors.Unauthenticated,
    Unreadable,
)
_NEVER = "urn:uuid:00000000-0000-0000-0000-000000000000|never"
_LONGEST = 200


def ask(server: Server, before: Abilities) -> Abilities:
    """What the server says of itself to anybody, given what we knew. Raise `Unavailable` when it can't be reached."""
    statement = _document(server, "metadata")
    found = read_statement(statement) if statement else Abilities()
    smart = _smart(server, before.smart)
    return replace(found, smart=smart) if smart.token_endpoint else found


def complete(found: Abilities, server: Server) -> Abilities:
    """What it has said, and where that is too little what it does; ``server`` has the partner's credentials."""
    if not found.source and (statement := _document(server, "metadata")):  # one that shows it to friends alone
        found = replace(read_statement(statement), smart=found.smart)
    if not found.source:
        return replace(found, source="probe", system=_tried_system(server), others=_tried(server, "Task", _ASSUMED))
    task = found.of("Task")
    if "search-type" in task.interactions and "_lastUpdated" not in task.params:
        tried = _params(server, "Task")
        found = replace(found, types={name: _with(each, tried) for name, each in found.types.items()})
    return found


def _with(of_type: TypeAbilities, params: frozenset[str]) -> TypeAbilities:
    """With parameters of every type that a server has, without stating them."""
    common = params & {"_id", "_lastUpdated"} if "search-type" in of_type.interactions else frozenset()
    return replace(of_type, params=of_type.params | common)


def _document(server: Server, path: str) -> Resource | None:
    """The CapabilityStatement, or None when the server has none that says anything of a type."""
    try:
        found = server.exchange("GET", path).resource or {}
    except _REFUSALS:
        return None
    says_something = any(_objects(rest.get("resource")) for rest in _objects(found.get("rest")))
    return found if found.get("resourceType") == "CapabilityStatement" and says_something else None


def read_statement(statement: Resource) -> Abilities:
    """A CapabilityStatement as a value, whatever shapes stand in it."""
    servers = [rest for rest in _objects(statement.get("rest")) if rest.get("mode", "server") == "server"]
    resources = [each for rest in servers for each in _objects(rest.get("resource"))]
    software = next(iter(_objects([statement.get("software")])), {})
    return Abilities(
        source="statement",
        software=f"{_text(software.get('name'))} {_text(software.get('version'))}".strip(),
        fhir_version=_text(statement.get("fhirVersion")),
        system=frozenset(_codes(rest.get("interaction") for rest in servers)),
        exports=_exports(servers, resources),
        subscriptions=_subscriptions(statement, resources),
        topics=frozenset(_topics(resources)),
        smart=Smart(token_endpoint=_legacy_token_endpoint(servers)),
        types={_text(each.get("type")): _of_type(each) for each in resources if _text(each.get("type")) in TYPES},
    )


def _of_type(resource: Mapping[str, Any]) -> TypeAbilities:
    versioning = _text(resource.get("versioning"))
    named = {_text(each.get("name")) for each in _objects(resource.get("searchParam"))}
    return TypeAbilities(
        interactions=frozenset(_codes([resource.get("interaction")])),
        params=frozenset(named & PARAMS),
        versioning=versioning if versioning in _VERSIONINGS else "",
        conditional_create=resource.get("conditionalCreate") is True,
        conditional_update=resource.get("conditionalUpdate") is True,
        conditional_delete=resource.get("conditionalDelete") in ("single", "multiple"),
        update_create=resource.get("updateCreate") is True,
    )


def _subscriptions(statement: Resource, resources: list[dict[str, Any]]) -> Subscriptions:
    """Which kind of Subscription can be created there, the topic-based one before the classic one."""
    theirs = [each for each in resources if each.get("type") == "Subscription"]
    if not any("create" in _of_type(each).interactions for each in theirs):
        return ""
    hints = [*_texts(statement.get("instantiates")), *_texts(statement.get("implementationGuide")), *_topics(theirs)]
    for each in theirs:
        hints += _texts(each.get("supportedProfile"))
        hints += [_text(operation.get("definition")) for operation in _objects(each.get("operation"))]
    is_backport = bool(list(_topics(theirs))) or any(hint.startswith(BACKPORT) for hint in hints)
    return "backport" if is_backport else "rest-hook"


def _topics(resources: list[dict[str, Any]]) -> Iterator[str]:
    for each in resources:
        for extension in _objects(each.get("extension")) if each.get("type") == "Subscription" else []:
            canonical = _text(extension.get("valueCanonical") or extension.get("valueUri"))
            if extension.get("url") == _TOPIC and canonical:
                yield canonical


def _exports(servers: list[dict[str, Any]], resources: list[dict[str, Any]]) -> frozenset[str]:
    """Which kinds of Bulk Data export it has (http://hl7.org/fhir/uv/bulkdata)."""
    found = {"system" for rest in servers if _has_export(rest)}
    types = {_text(each.get("type")) for each in resources if _has_export(each)}
    return frozenset(found | {_EXPORTS[type_] for type_ in types & _EXPORTS.keys()})


def _has_export(place: Mapping[str, Any]) -> bool:
    names = {_text(each.get("name")).removeprefix("$") for each in _objects(place.get("operation"))}
    return not names.isdisjoint({"export", "patient-export", "group-export"})


def _legacy_token_endpoint(servers: list[dict[str, Any]]) -> str:
    """Where a server before SMART 2 names its token endpoint: in the statement itself."""
    for rest in servers:
        for security in _objects([rest.get("security")]):
            for outer in _objects(security.get("extension")):
                inner = _objects(outer.get("extension")) if outer.get("url") == _OAUTH else []
                for each in inner:
                    if each.get("url") == "token":
                        return _text(each.get("valueUri"))
    return ""


def _smart(server: Server, before: Smart) -> Smart:
    try:
        told = server.configuration(".well-known/smart-configuration")
    except _REFUSALS:
        return Smart()
    except errors.Unavailable:  # it may have one all the same
        return before
    return Smart(
        token_endpoint=_text(told.get("token_endpoint")),
        grants=frozenset(_texts(told.get("grant_types_supported"))),
        auth_methods=frozenset(_texts(told.get("token_endpoint_auth_methods_supported"))),
        signing_algs=frozenset(_texts(told.get("token_endpoint_auth_signing_alg_values_supported"))),
        scopes=frozenset(_texts(told.get("scopes_supported"))),
    )


# Trying, with reads alone


def _tried(server: Server, type_: str, assumed: frozenset[str]) -> TypeAbilities:
    params = _params(server, type_)
    return TypeAbilities(interactions=assumed | ({"search-type"} if params else set()), params=params)


def _params(server: Server, type_: str) -> frozenset[str]:
    """Of the parameters that we need most, those that shorten the answer as they should; none when nothing is found by any.

    A server that overlooks a parameter gives what there is. Where there is nothing of the type that can't be told: then
    it counts as taken, and whoever relies on it looks at what comes.
    """
    far = f"ge{clock.now() + timedelta(days=366):%Y-%m-%dT%H:%M:%SZ}"
    asked = {"_lastUpdated": far, "identifier": _NEVER, "patient": "Patient/never-there", "_id": "never-there"}
    return frozenset(name for name, value in asked.items() if _is_empty(server, type_, name, value))


def _is_empty(server: Server, type_: str, name: str, value: str) -> bool:
    try:
        _reply, found = next(server.search(type_, [(name, value), ("_count", "1")]))
    except _REFUSALS:
        return False
    return not found


def _tried_system(server: Server) -> frozenset[str]:
    """Whether it takes a batch, tried with one that reads; whether a transaction is rolled back, no read can show."""
    entry = {"request": {"method": "GET", "url": "Task?_count=1"}}
    try:
        answer = (
            server.exchange("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}).resource or {}
        )
    except _REFUSALS:
        return frozenset()
    is_taken = answer.get("type") == "batch-response" and len(_objects(answer.get("entry"))) == 1
    return frozenset({"batch"} if is_taken else ())


# Shapes of what comes from outside


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [text for text in map(_text, value) if text] if isinstance(value, list) else []


def _text(value: Any) -> str:
    """A text that may be kept and shown: short, in one line."""
    return value if isinstance(value, str) and len(value) <= _LONGEST and value.isprintable() else ""


def _codes(interactions: Iterable[Any]) -> Iterator[str]:
    for each in interactions:
        yield from filter(None, (_text(one.get("code")) for one in _objects(each)))
