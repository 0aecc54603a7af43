"""What a decision ends, and who performs elsewhere and has to be asked first, in the eyes of the oracle."""

from datetime import datetime

from bench.oracle_lists import IN, Case, Item, Told, home

ABORT = "request-cancellation"


def to_be_asked(item: Item, action: str, closes: list[str]) -> list[Item]:
    """Whose performer has to agree to a decision first, and hasn't been asked yet."""
    asked, ends = {one.opener for one in item.case.open(ABORT)}, item.kind == "decide-next-step" and action == "close"
    meant = [one for one in item.case.open("fulfil") if ends or ("fulfil" in closes and item.is_near(one))]
    return [one for one in meant if one.is_theirs and one not in asked]


def came_back(item: Item, told: Told) -> list[Item]:
    """Who came back after the end about which this decides, and isn't asked to do it after all."""
    one, chosen = item.opener, {home(name) for name in told.get("performers") or ()}
    is_decided = item.kind == "decide-next-step" and told["action"] in ("redirect", "close")
    return [one] if is_decided and one and is_back(one) and home(one.owner) not in chosen else []


def is_back(one: Item) -> bool:
    """Whether who performed it goes on after its end, and was never asked to stop."""
    was_asked = any(other.kind == ABORT and other.opener is one for other in one.case.items)
    return one.is_back and not one.is_open and not was_asked


def end(item: Item, case: Case, closes: list[str], told: Told, *, is_end: bool) -> dict[str, datetime]:
    """End what depends on it, or the whole case but for what the patient must still hear; gives when that was due."""
    sooner = {}
    for other in case.open(beside=item):
        is_another = other.kind == "review-report" and other.about not in ("", told.get("report"))
        goes = other.kind in closes and item.is_near(other) and not is_another
        if told["action"] == "close":
            goes = other.kind in ("fulfil", "dispatch", "recollect")
        if is_end:
            is_anothers = other.stage == "to-tell-today" and not item.is_near(other)
            is_known = told["reason"] in IN["KNOWN"] and not is_anothers and not is_unheard(case, told)
            goes = other.kind != "notify-patient" or is_known
        if goes and not other.is_theirs:
            other.end()
            other.about = told["reason"] if is_end else "converted" if told["action"] == "convert" else other.about
            sooner[other.kind] = other.due
    return sooner


def is_unheard(case: Case, told: Told) -> bool:
    """Whether the patient is still to hear what was read, although they know that the rest comes to nothing."""
    return case.read and not case.knows and told["reason"] not in IN["UNREACHABLE"]


def drop_proposals(case: Case) -> None:
    """Nobody decides about a full referral that was proposed by a performer whose part came to nothing."""
    for one in case.open("decide-next-step"):
        if one.stage == "proposal-to-decide" and one.opener.stage in IN["FRUITLESS"]:
            one.end()


def undecided(item: Item) -> list[Item]:
    """What is still to be decided about another performer's part."""
    asked = [one for one in item.case.open("decide-next-step", beside=item) if not item.is_near(one)]
    return [one for one in asked if part(one) not in (None, part(item))]


def part(item: Item | None) -> Item | None:
    """Whose performing it came from, at whatever distance."""
    while item is not None and item.kind != "fulfil":
        item = item.opener
    return item


def untell(item: Item, case: Case, told: Told) -> None:
    """Nobody is told of what is void, unless something else was read too."""
    void = item.about if item.kind == "review-report" else told.get("report", "")
    known = [*item.case.items, *case.items]
    read = [one for one in known if (one.kind, one.stage) == ("review-report", "acknowledged")]
    if all(one is item or one.about == void for one in read):
        for one in case.open("notify-patient"):
            if one.stage != "to-tell-today":
                one.end()
