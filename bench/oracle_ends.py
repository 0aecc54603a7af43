"""What a decision ends, and who performs elsewhere and has to be asked first, in the eyes of the oracle."""

from datetime import datetime

from bench.oracle_lists import IN, Case, Item, Told, first, home

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
    sooner: dict[str, datetime] = {}
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
            sooner |= {other.kind: other.due} if other.kind != "fulfil" else {}
    return sooner


def learn(item: Item, case: Case, opened: list[Item], told: Told, *, is_void: bool, is_end: bool) -> bool:
    """What was read and the patient knows from now on; gives whether who was told what has changed is to be told again."""
    action, is_unread, has_outcome = (
        told["action"],
        bool(case.open("review-report")),
        case.read and (case.knows == "heard" or is_unheard(case, told)),
    )
    is_new, is_dead = case is not item.case and len(case.items) == len(opened), case.knows == "died"
    was_told = any(one.stage == "told" for one in case.items) or (
        case.before is not None and case.before.knows == "heard"
    )
    was_told = item.case.knows == "heard" if case is not item.case else was_told
    was_told = bool({report_of(item, told), ""} & case.heard) if is_void else was_told
    if is_end and not has_outcome:
        case.why = (action == "accept-cancellation" and case.why) or told["reason"]
    if is_end and action != "accept-cancellation" and not case.read:
        case.by_death = told["reason"] == "patient-died"
    case.read = not (is_unread or is_void) and (case.read or action == "acknowledge")
    is_known, is_telling = action in ("tell", "not-reached") and not is_unread, bool(case.open("notify-patient"))
    if not is_dead and (is_void or any(one.kind == "review-report" for one in opened)):
        case.knows = case.why = ""  # the patient doesn't know of a new report yet
    elif not is_dead and is_known:
        case.knows = "heard" if action == "tell" else "otherwise"
    elif not case.knows and is_end and not (has_outcome or is_telling) and told["reason"] in IN["KNOWN"]:
        case.knows = "otherwise"
    return was_told and (is_new or is_void) and not is_dead


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


def is_of_same_part(one: Item, item: Item) -> bool:
    """Whether it is about the same performer's part, or one of them about the whole."""
    return part(item) is None or part(one) in (None, part(item))


def report_of(item: Item, told: Told) -> str:
    """The report that is read, or taken back."""
    return str(item.about if item.kind == "review-report" else told.get("report", ""))


def untell(item: Item, case: Case, told: Told) -> None:
    """Nobody is told of what is void, unless something else was read that is still to be told."""
    if not case.unheard - {report_of(item, told)}:
        for one in case.open("notify-patient"):
            if one.stage != "to-tell-today":
                one.end()


def remember(item: Item, case: Case, told: Told, was: str, *, is_void: bool) -> None:
    """Which reports the patient has heard of from now on: whoever is told hears what was read, and what lies with its reader."""
    report = report_of(item, told)
    if told["action"] == "acknowledge":
        case.unheard.add(report)
    elif is_void:
        case.heard.discard(report)
        case.unheard.discard(report)
    elif told["action"] == "tell" or told["reason"] == "told-by-performer":
        case.heard |= case.unheard | {
            one.about for one in _line(first(case)) if one.kind == "review-report" and one.is_open
        } - {""}
        if was == "notify-patient":  # who was called about something else is still to be called
            case.unheard.clear()


def _line(case: Case) -> list[Item]:
    """All that was to be done for a request, also after its first end."""
    return [*case.items, *(_line(case.later) if case.later else [])]
