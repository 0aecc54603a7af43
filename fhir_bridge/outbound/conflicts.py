"""Two versions of one resource, and who owns which element: the three-way merge of PATHWAYS §1. Pure.

``base`` is what the partner had at the last sync, ``ours`` what we would send, ``theirs`` what the partner has now,
all three in the partner's references. An element that only one side changed is taken from that side. Where both
changed it, its only writer wins; an element with two writers that is no list is a clash for a person.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from records.json import Resource, loads

Writer = Literal["performer", "placer", "both"]
Side = Literal["performer", "placer"]

UNION = frozenset({"note", "identifier", "extension", "contained"})
_SERVER = frozenset({"id", "meta", "resourceType"})
_MISSING = object()

# PATHWAYS §1; elements that are not named are of the placer for these types
TASK: Mapping[str, Writer] = {
    "status": "performer",
    "businessStatus": "performer",
    "statusReason": "performer",
    "output": "performer",
    "executionPeriod": "performer",
    "lastModified": "performer",
}
OWNED: Mapping[str, Mapping[str, Writer]] = {"Task": TASK, "ServiceRequest": {}}

# What every server may write of itself into what it was sent
_ADDED = frozenset({"text", "lastModified"})

# What a placer may say of a Task that the performer has not started; then `cancelled` is a request (PATHWAYS §1)
UNSTARTED = frozenset({"draft", "requested", "received", "accepted", "ready"})


@dataclass(frozen=True, slots=True)
class Merge:
    """What the partner should have; ``clashes`` names the elements that a person must decide."""

    body: Resource
    clashes: tuple[str, ...] = ()


def merge(
    base: Resource | None,
    ours: Resource,
    theirs: Resource | None,
    side: Side,
    decisions: Mapping[str, Sequence[str]] | None = None,
) -> Merge:
    """Merge as the ``side`` that we are on. Without ``theirs`` (a creation) the answer is ``ours``.

    ``id`` and ``meta`` are theirs. Other elements that neither knows stay out. ``decisions`` are a person's (see
    `Link.decisions`): each holds as long as their value is the one that was seen.
    """
    if theirs is None:
        return Merge(ours)
    before = base or {}
    body: Resource = {}
    clashes = []
    for element in dict.fromkeys([*theirs, *ours]):
        decided = (decisions or {}).get(element, ())
        if decided and fingerprint(theirs.get(element)) == decided[1]:
            value, is_clash = _decided(element, ours, theirs, decided), False
        else:
            value, is_clash = _element(element, before, ours, theirs, side)
        if value is not _MISSING:
            body[element] = value
        if is_clash:
            clashes.append(element)
    return Merge(body, tuple(clashes))


def with_word_of_placer(body: Resource, base: Resource | None, held: Resource, theirs: Resource) -> Resource:
    """What was merged of a Task that they have placed, as it is to be heard: with the word that only its placer can say.

    That is a withdrawal, which the performer's status hides otherwise; and an urgency only where they have changed it,
    since what the request says of it is in ``held``.
    """
    before = base or {}
    if theirs.get("status") == "cancelled" != before.get("status"):
        body = body | {"status": "cancelled"}
    is_as_before = base is None or same(theirs.get("priority"), before.get("priority"))
    return body | {"priority": held["priority"]} if is_as_before and "priority" in held else body


def _decided(element: str, ours: Resource, theirs: Resource, decision: Sequence[str]) -> Any:
    """The value that holds by a person's decision (see `Link.decisions`)."""
    side, _seen, *kept = decision
    if kept:
        return loads(kept[0]) if kept[0] else _MISSING
    return (ours if side == "ours" else theirs).get(element, _MISSING)


def fingerprint(value: Any) -> str:
    """What tells two values of an element apart without keeping them."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def shared(theirs: Resource, ours: Resource) -> Resource:
    """The base of the next merge after ours was written: without list items of theirs that we have not taken in yet.

    Otherwise their absence here would read as a removal, and the next write would delete them there.
    """
    base = dict(theirs)
    for element in UNION & theirs.keys():
        held = {_canonical(item) for item in ours.get(element) or ()}
        base[element] = [item for item in theirs[element] or () if _canonical(item) in held]
    return base


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same content, number lexemes included, whatever the order of keys."""
    return _canonical(left) == _canonical(right)


def says_nothing_new(body: Resource, theirs: Resource) -> bool:
    """Whether writing ``body`` over ``theirs`` would change nothing that isn't the server's own."""
    return all(
        same(body.get(element, _MISSING), theirs.get(element, _MISSING))
        for element in {*body, *theirs} - {"id", "meta"}
    )


def is_as_sent_unnamed(sent: Resource, found: Resource) -> bool:
    """Whether a server that keeps no identifiers has there what it was sent: all of it, and no identifier at all."""
    told = sent.keys() - {*_SERVER, *_ADDED, "identifier"}
    return "identifier" not in found and all(same(sent[name], found.get(name, _MISSING)) for name in told)


def news(written: Resource, answer: Resource, side: Side) -> frozenset[str]:
    """The elements of which the answer to our own write of a shared Task says more than was written, as the ``side`` we are on.

    What is ours to say is none, nor what every server adds, leaves out or puts into another order.
    """
    names = answer.keys() - _SERVER - _ADDED
    return frozenset(name for name in names if _is_news(name, written.get(name), answer[name], side))


def before_answer(written: Resource, answer: Resource, news_of: frozenset[str]) -> Resource:
    """What the partner had before it said more, for the base: that is still to be heard. Its lists see `shared`."""
    replaced = news_of - UNION
    kept = {name: value for name, value in answer.items() if name not in replaced}
    return kept | {name: written[name] for name in replaced & written.keys()}


def _is_news(name: str, before: Any, after: Any, side: Side) -> bool:
    if name in UNION:
        return isinstance(after, list) and len(after) > len(before or ())
    is_theirs = name == "status" or TASK.get(name.removeprefix("_"), "placer") != side
    return is_theirs and not same(before, after)


def has_own_word(body: Resource, before: Resource, ours: Resource, theirs: Resource) -> bool:
    """Whether ``body``, merged of ``ours`` and ``theirs``, says anything that became ours since we sent ``before``."""
    names = [name for name in {*body, *theirs} - _SERVER if not same(body.get(name), theirs.get(name))]
    return any(_is_own_word(name, before, ours, theirs) for name in names)


def _is_own_word(name: str, before: Resource, ours: Resource, theirs: Resource) -> bool:
    if name not in UNION:
        return not same(before.get(name), ours.get(name))
    old, mine, their = ({_canonical(item) for item in each.get(name) or ()} for each in (before, ours, theirs))
    return bool(mine - old - their or (old - mine) & their)


def _element(name: str, base: Resource, ours: Resource, theirs: Resource, side: Side) -> tuple[Any, bool]:
    """The merged value of one element, `_MISSING` for none, and whether both changed what nobody owns alone."""
    mine, other, before = (body.get(name, _MISSING) for body in (ours, theirs, base))
    if name in _SERVER:
        return (other if other is not _MISSING else mine), False
    if name in UNION:
        return _union(mine, other, before), False
    type_ = theirs.get("resourceType", "")
    if type_ == "Task" and name == "status":
        return _status(mine, other, before, side)
    if type_ in OWNED:
        is_mine = OWNED[type_].get(name.removeprefix("_"), "placer") == side
        return (mine if is_mine else other), False
    return _unowned(mine, other, before)


def _unowned(mine: Any, other: Any, before: Any) -> tuple[Any, bool]:
    if same(mine, other) or same(mine, before):
        return other, False
    return mine, not same(other, before)


def _status(mine: Any, other: Any, before: Any, side: Side) -> tuple[Any, bool]:
    """`Task.status` is the performer's, but a placer may take back what has not been started."""
    if side == "performer":
        # a placer's withdrawal that we have not seen yet is for a person, not to be overwritten
        return mine, other == "cancelled" and other != before and mine != "cancelled"
    if mine == "cancelled" and other != "cancelled":
        return (mine, False) if other in UNSTARTED else (other, True)
    return (mine, False) if (mine, other) == ("requested", "draft") else (other, False)


def _union(mine: Any, other: Any, before: Any) -> Any:
    """Both lists without repetition, theirs first; what one side removed since the base stays removed."""
    if mine is _MISSING and other is _MISSING:
        return _MISSING
    lists = [value if isinstance(value, list) else [] for value in (mine, other, before)]
    own, their, old = ({_canonical(item): item for item in value} for value in lists)
    kept = {key: item for key, item in their.items() if key in own or key not in old}
    kept |= {key: item for key, item in own.items() if key in their or key not in old}
    return list(kept.values()) or _MISSING


def _canonical(value: Any) -> str:
    return "" if value is _MISSING else orjson.dumps([value], option=orjson.OPT_SORT_KEYS).decode()
