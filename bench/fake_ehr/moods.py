"""How the fake EHR misbehaves: one table of names, chosen request by request from a script or by chance from a seed.

*Instead* rows answer without doing what was asked; *afterwards* rows do it and answer otherwise. A row that has nothing
to bend (an endless page of a write) lets the honest answer through.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from bench.fake_ehr.wire import Answer, Body, Request, outcome

Mood = Callable[[Request], str]
"""Names what goes wrong with a request, or nothing."""

SPARED = "x-clerk"
"""The header of those who work at the EHR: chance spares them."""

HUGE = 21 * 1024 * 1024
FOREIGN = "http://198.51.100.7/fhir/Task?page=2"  # RFC 5737: an address that nobody has


def _soon(_request: Request) -> Answer:
    at = datetime.now(UTC) + timedelta(seconds=2)
    return Answer(429, headers={"Retry-After": format_datetime(at, usegmt=True)})


def _expired(request: Request) -> Answer | None:
    return outcome(410, "not-found") if any(name == "_offset" for name, _value in request.query) else None


INSTEAD: Mapping[str, Callable[[Request], Answer | None]] = {
    "429": lambda _request: Answer(429, headers={"Retry-After": "1"}),
    "429-absurd": lambda _request: Answer(429, headers={"Retry-After": "9" * 40}),
    "429-negative": lambda _request: Answer(429, headers={"Retry-After": "-5"}),
    "429-date": _soon,
    "429-silent": lambda _request: Answer(429),
    "503": lambda _request: Answer(503, headers={"Retry-After": "1"}),
    "500-before": lambda _request: outcome(500, "exception"),
    "reset-before": lambda _request: Answer(ending="reset"),
    "409": lambda request: outcome(409, "conflict") if request.verb == "PUT" else None,
    "412": lambda request: outcome(412, "conflict") if request.verb == "PUT" else None,
    "expired-next": _expired,
}


def _other(name: str, value: str) -> Callable[[Request, Answer], Answer]:
    def bend(_request: Request, honest: Answer) -> Answer:
        is_one = honest.body is not None and "id" in honest.body
        return replace(honest, body={**(honest.body or {}), name: value}, headers={}) if is_one else honest

    return bend


def _page(change: Callable[[Body], Body]) -> Callable[[Request, Answer], Answer]:
    def bend(_request: Request, honest: Answer) -> Answer:
        body = honest.body or {}
        return replace(honest, body=change(body)) if body.get("type") == "searchset" else honest

    return bend


def _endless(request: Request, honest: Answer) -> Answer:
    query = "&".join(f"{name}={value}" for name, value in request.query if name != "_endless")
    number = int(dict(request.query).get("_endless", "0")) + 1
    link = {"relation": "next", "url": f"{request.path}?{query}&_endless={number}"}
    return _page(lambda bundle: {**bundle, "link": [link]})(request, honest)


def _padded(_request: Request, honest: Answer) -> Answer:
    return replace(honest, body={**(honest.body or {}), "implicitRules": "x" * HUGE})


AFTERWARDS: Mapping[str, Callable[[Request, Answer], Answer]] = {
    "500-after": lambda _request, _honest: outcome(500, "exception"),
    "dropped": lambda _request, _honest: Answer(ending="dropped"),
    "reset": lambda _request, _honest: Answer(ending="reset"),
    "truncated": lambda _request, honest: replace(honest, ending="truncated"),
    "html": lambda _request, _honest: Answer(200, None, {"Content-Type": "text/html"}, text="<html>Sign in</html>"),
    "html-as-json": lambda _request, _honest: Answer(200, text="<html>Sign in</html>"),
    "outcome": lambda _request, _honest: replace(outcome(200, "exception")),
    "empty": lambda _request, honest: replace(honest, text=""),
    "wrong-id": _other("id", "somebody-else"),
    "wrong-type": _other("resourceType", "Basic"),
    "huge": _padded,
    "slow": lambda _request, honest: replace(honest, drip_seconds=0.01),
    "duplicates": _page(lambda bundle: {**bundle, "entry": [each for each in bundle["entry"] for _twice in "ab"]}),
    "endless": _endless,
    "foreign-next": _page(lambda bundle: {**bundle, "link": [{"relation": "next", "url": FOREIGN}]}),
}
MISBEHAVIOURS = (*INSTEAD, *AFTERWARDS)
"""Every name."""


def instead(name: str, request: Request) -> Answer | None:
    """The answer to a request that is not carried out; None when it is."""
    return INSTEAD[name](request) if name in INSTEAD else None


def afterwards(name: str, request: Request, honest: Answer) -> Answer:
    """The answer to a request that was carried out."""
    return AFTERWARDS[name](request, honest) if name in AFTERWARDS else honest


def script(*names: str, verb: str = "", kind: str = "") -> Mood:
    """One name after the other for the requests of that verb and type, an empty one for an honest answer; then none."""
    rest: Iterator[str] = iter(names)

    def mood(request: Request) -> str:
        is_meant = request.verb.startswith(verb) and request.path.startswith(kind)
        return next(rest, "") if is_meant else ""

    return mood


def chance(seed: int, weights: Mapping[str, float]) -> Mood:
    """Each request goes wrong with those probabilities, told apart by the seed; what clerks do goes well."""
    unknown = set(weights) - set(MISBEHAVIOURS)
    if unknown:
        raise KeyError(*unknown)
    generator = random.Random(seed)
    names, odds = ["", *weights], [max(1.0 - sum(weights.values()), 0.0), *weights.values()]

    def mood(request: Request) -> str:
        drawn = generator.choices(names, odds)[0]
        return "" if SPARED in request.headers else drawn

    return mood
