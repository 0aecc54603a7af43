"""A second opinion on who must do what by when: a model of the pathways that shares nothing with `referrals`.

Told what happened (`ordered`, `happened`, `died` …), it answers from tables of its own (`bench.oracle_tables`), copied by
hand from the specification. Who holds something is a word: ``house/pool``, ``house/anna``, or ``clinic/`` (no list there).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bench import oracle_tables as tables
from bench.oracle_ends import (
    ABORT,
    came_back,
    drop_proposals,
    end,
    is_back,
    is_of_same_part,
    learn,
    remember,
    to_be_asked,
    undecided,
    untell,
)
from bench.oracle_lists import IN, NEVER, Case, House, Item, Lists, Told, first, home, rows, voided, words

__all__ = ["TABLE", "Case", "House", "Item", "Oracle"]


def _rules() -> Iterator[tuple[tuple[str, str, str], tuple[list[str], str, list[str], list[str]]]]:
    for line in tables.RULES.strip().replace("\n", ";").split(";"):
        kinds, handoffs, actions, sources, target, opens, closes = line.strip().split("|")
        for key in ((kind, handoff, one) for kind in kinds for handoff in handoffs.split() for one in actions.split()):
            yield key, (words(sources), target, opens.split(), words(closes))


OPENS, FIRST, BEGINS, RANKS = map(rows, (tables.OPENS, tables.FIRST, tables.BEGINS, tables.RANKS))
TABLE, DRAFT = dict(_rules()), "authorisation-pending"
NOTHING: Told = {}


class Oracle(Lists):
    """The world as it was told, and what follows from it."""

    def ordered(self, case: Case, at: datetime) -> list[Item]:
        """A care request came to be, or (kind u) something that names none; gives what has to be done first."""
        case.by_death = case.knows == "died"
        opened = [self._open(BEGINS.get(case.kind, ["dispatch"])[0], case, at)]
        is_to_call = case.kind == "f" and not case.knows
        return opened + ([self._open("contact-patient", case, at, opened[0])] if is_to_call else [])

    def allows(self, item: Item, action: str, told: Told) -> bool:
        """Whether that can be done to it now, telling this."""
        sources, _target, opens, closes = TABLE.get((item.case.kind, item.kind, action), (["never"], "", [], []))
        case, performing = item.case, item.case.open("fulfil", beside=None if "beside" in opens else item)
        begun = [one for one in performing if one.has_begun]
        going = [one.owner for one in performing if "fulfil" not in closes or not item.is_near(one) or one.is_theirs]
        part = item if item.kind == "fulfil" or not item.opener else item.opener
        is_late = "book" in action and told.get("slot_end") and self.day(part, told["slot_end"]) > part.agreed_until
        is_draft = item.stage == DRAFT and not sources and action not in IN["BEFORE_THE_PAYER"]
        is_elsewhere = item.stage not in sources if sources else not item.is_open
        if is_elsewhere or is_draft or is_late or {*told.get("performers", ())} & {*going}:
            return False
        is_going_on = case.read or bool(case.open("fulfil", "dispatch", "recollect", "review-report"))
        is_waiting, is_reported = item.stage in IN["WAITING"], case.read or bool(case.open("review-report"))
        conditions = {
            "cancel": not (is_waiting and item.has_begun),
            "request-cancellation": not is_waiting or item.has_begun,
            "redirect": not any(item.is_near(one) for one in begun),
            "close": not begun,
            "keep": item.stage == "in-question" or is_going_on,
            "propose-referral": case.is_advice,
            "withdraw-report": (item.stage in IN["OUTCOMES"] or is_reported or not case.open())
            and (first(case), told.get("report")) not in self.void,
            "void": (first(case), item.about) not in self.void,
            "start-anyway": not item.is_unsent and not self.houses[home(item.owner)].ours,
        }
        return conditions.get(action, item.attempts >= tables.ATTEMPTS or action not in ("not-reached", "give-up"))

    def happened(self, item: Item, action: str, at: datetime, told: Told) -> list[Item]:
        """Somebody did that to it at ``at``, and told this of it; gives what that opened."""
        is_returning, was = action == "start-anyway", item.stage
        told = {"reason": item.why_to_stop if is_returning else item.about, **told, "action": action}
        _sources, target, opens, closes = TABLE[item.case.kind, item.kind, action]
        case = self._current(item.case, is_known=is_returning)
        others = [one for one in case.open("fulfil", "recollect", beside=item) if one is not item.opener]
        others += undecided(item)
        is_last = item.kind in ("decide-next-step", "dispatch") or not (others or case.read)
        is_last = is_last and not case.open("review-report")
        asked = to_be_asked(item, action, closes)
        is_waiting = bool(asked) and action == "close"
        is_end = action in IN["ENDING"] and is_last and not is_waiting
        wanted = [] if is_waiting else [word for word in opens if _is_wanted(word, item, case, told)]
        sooner = end(item, case, closes, told, is_end=is_end)
        self._enter(item, target, at, told)
        if target and item.kind == "fulfil" and not item.is_open:
            item.about = told["reason"]
        if target or told.get("attested"):
            item.confirm_by = at + timedelta(tables.RECONFIRMED_DAYS) if told.get("attested") else NEVER
        self._take_along(item, at, told)
        drop_proposals(case)
        item.is_back |= is_returning
        why = [(one, told["reason"]) for one in asked]
        why += [(one, told["reason"] or one.why_to_stop) for one in came_back(item, told)]
        opened = [self._open(ABORT, case, at, one, {"reason": reason}) for one, reason in why]
        opened += [one for word in wanted for one in self._open_each(word, case, at, item, told, sooner)]
        is_void = "right-result" in opens
        self.void = voided(self.void, item, told, is_void=is_void)
        if learn(item, case, opened, told, is_void=is_void, is_end=is_end):
            opened += self._tell_again(case, at, item, "to-tell-today" if is_void else "notify-patient")
        elif is_void:
            untell(item, case, told)
        remember(item, case, told, was, is_void=is_void)
        return opened

    def _tell_again(self, case: Case, at: datetime, item: Item, word: str) -> list[Item]:
        """Whoever was told hears it again; what is still to be told of what is void is told at once."""
        standing = case.open("notify-patient")
        for one in standing if word == "to-tell-today" else []:
            if one.stage != word:
                one.stage = word
                one.set(self.due(one, at, NOTHING), at)
        return [] if standing else [self._open(word, case, at, item)]

    def died(self, case: Case, at: datetime) -> list[Item]:
        """A person has confirmed it: what is ours ends, a report is read, and who performs elsewhere is asked to stop."""
        case.knew, case.by_death, case.knows, case.why = case.knows, bool(case.open()), "died", "patient-died"
        for item in case.open():
            if item.kind not in IN["OUTLIVING"] and not (item.is_engaged and item.list != item.owner):
                item.end()
                item.about = "patient-died"
        asked, told = {one.opener for one in case.open(ABORT)}, {"reason": "patient-died"}
        going_on = [one for one in case.items if one.kind == "fulfil" and (one.is_open or is_back(one))]
        return [self._open(ABORT, case, at, one, told) for one in going_on if one not in asked]

    def lived(self, case: Case, at: datetime) -> list[Item]:
        """It was not so: nobody is asked to stop for it, and the referrer decides, in a new case where it had ended one."""
        was_dead, by = case.knows == "died", next(iter(case.open()), None)
        case.why = case.why if not was_dead else ""
        case.knows = case.knows if not was_dead else "" if case.by_death else case.knew
        for item in case.open(ABORT) if was_dead else []:
            if item.about == "patient-died":
                item.end()
        is_asked = case.open("decide-next-step") or (not by and case.later)
        is_wanted = was_dead and case.by_death and not is_asked
        return [self._open("decide-next-step", self._current(case), at, by)] if is_wanted else []

    def _take_along(self, item: Item, at: datetime, told: Told) -> None:
        """What an answer, a word with the patient, an accepted cancellation and an acceptance do to the performing."""
        action, case = told["action"], item.case
        if action == "accept-cancellation" and item.opener.is_open:
            item.opener.end()
        visit = next(filter(item.is_near, case.open("fulfil", beside=item)), None)
        if visit is not None:
            self._take_visit_along(visit, item, at, told)
        if item.is_offer and item.stage in IN["TAKING"]:
            self._award(item)
        item.agreed_until = told.get("valid_until", item.agreed_until)
        case.is_advice, case.referrer = case.is_advice and action != "convert", told.get("reader", case.referrer)

    def _take_visit_along(self, visit: Item, item: Item, at: datetime, told: Told) -> None:
        action, is_follow_up, is_call = told["action"], item.case.kind == "f", item.kind == "contact-patient"
        if action == "answer" and visit.left >= timedelta():
            visit.set(at + visit.left, at)
            visit.stage, visit.left = visit.before, timedelta(-1)
        elif is_call and action == "book" and visit.stage in IN["BOOKABLE"]:
            self._enter(visit, "booked" if is_follow_up else "scheduled", at, told)
        elif action == "decline-proposal" and visit.stage == "referral-proposed":
            self._enter(visit, visit.before, at, told)
        elif is_call and is_follow_up and action in ("give-up", "patient-declines") and not visit.is_theirs:
            visit.end("patient-declined")

    def _award(self, item: Item) -> None:
        """The first of several has taken it: the others and what hangs on them end."""
        for loser in item.rivals():
            for one in (loser, *(one for one in item.case.open(*IN["HANGING"]) if one.opener is loser)):
                one.end()
            loser.about = "not-selected"
        item.is_offer, item.case.performer = False, item.owner

    def _enter(self, item: Item, stage: str, at: datetime, told: Told) -> None:
        """It comes to a stage: its end, or a new clock; with no stage it stays."""
        item.attempts += told["action"] == "attempt"
        if stage and item.is_open and (item.kind != "fulfil" or stage in IN["ENDED"]):
            item.end(stage)
        elif stage and item.is_open:
            left, is_asked = max(item.due - at, timedelta()), stage == "awaiting-information"
            was_stopped = item.left >= timedelta()
            item.before, item.stage, item.left = item.stage, stage, left if is_asked else timedelta(-1)
            is_ours = self.houses[home(item.owner)].ours
            item.list = item.owner if is_ours else item.case.pool
            if not is_asked and (is_ours or told.get("by_partner")):
                item.started = stage in IN["STARTED"]
            if is_asked:
                answer = Item("", item.case, "provide-information", "", item.case.referrer, "")
                item.set(self.due(answer, at, {}) + left, at)
            elif was_stopped or "slot_end" in told or not told.get("attested"):  # what was only told buys no time
                item.set(self.due(item, at, told), at)

    def _open_each(self, word: str, case: Case, at: datetime, by: Item, told: Told, sooner: Any) -> list[Item]:
        """What a rule opens: once, or for each performer who is named, who may be bidding for it."""
        if word not in IN["PERFORMING"]:
            return [self._open(word, case, at, by, told, sooner)]
        named, is_bidding = told.get("performers") or [], bool(told.get("bidding"))
        is_draft = bool(told.get("authorisation_needed")) or (word == "beside" and by.stage == DRAFT)
        owners, opener = named or [case.performer if word == "fulfil" else ""], by.opener if word == "beside" else by
        if (named or is_draft) and word != "beside":
            still = is_draft and case.performer in {one.owner for one in case.open("fulfil")}
            case.performer = (
                case.performer if still else "" if is_draft or (is_bidding and len(named) > 1) else named[0]
            )
        asked = [
            one for one in case.open("fulfil") if one.opener is opener and not {one.stage, one.before} & IN["TAKING"]
        ]
        opened = [self._open(DRAFT if is_draft else word, case, at, opener, told, sooner, owner) for owner in owners]
        for one in (opened + asked * (word == "beside")) * is_bidding:
            one.is_offer = True
        return opened

    def _open(
        self,
        word: str,
        case: Case,
        at: datetime,
        by: Any = None,
        told: Told = NOTHING,
        sooner: Told = NOTHING,
        owner: str = "",
    ) -> Item:
        holder, kind = [*OPENS.get(word, ["pool"]), word][:2]
        source = by.opener if by and by.kind != "fulfil" else by
        by = by.opener if by and by.kind in IN["HANGING"] and by.opener else by
        owners = {
            "pool": case.pool,
            "referrer": case.referrer,
            "performer": case.performer,
            "discharger": told.get("holder"),
        }
        owner = owner or (owners | {"reporter": source and source.owner, "same": by and by.owner})[holder] or case.pool
        stage = FIRST.get(word, FIRST[case.kind] if kind == "fulfil" else [word])[0]
        on = owner if self.houses[home(owner)].ours and stage != DRAFT else case.pool
        item = Item(f"{case.name}/{kind}{len(case.items)}", case, kind, stage, owner, on, by)
        is_grave = told.get("severity") == "critical" or word == "right-result"
        item.rank, item.started = 0 if is_grave else int(RANKS[case.priority][0]), word == "again"
        item.about = told.get({"review-report": "report", ABORT: "reason"}.get(kind, ""), "")
        item.set(min(self.due(item, at, told), sooner.get(kind, NEVER)), at)
        case.items.append(item)
        self.items[item.key] = item
        return item

    def _current(self, case: Case, *, is_known: bool = False) -> Case:
        """The case itself, or the one that follows it: an outcome that comes after the end begins a new one.

        ``is_known``: what was read and told stands there.
        """
        last, knows = case, "died" if case.knows == "died" else ""
        while last.items and not last.open():
            referrer = case.pool if case.referrer in self.left else case.referrer
            new = replace(case, name=f"{last.name}+", referrer=referrer, knows=knows, read=False, items=[], later=None)
            new.knows, new.read, new.why = (case.knows, case.read, "") if is_known else (knows, False, "")
            new.by_death, new.before = bool(knows), case
            last.later = last = last.later or new
        return last


def _is_wanted(word: str, item: Item, case: Case, told: Told) -> bool:
    """Whether what a rule opens is still needed."""
    alike = [one for one in case.open(beside=item) if word in (one.kind, one.stage)]
    here = [one for one in alike if is_of_same_part(one, item)]
    is_there = bool(here if word == "contact-patient" else alike)
    knows, action = told["reason"] in IN["KNOWN"], told["action"]
    reporter = item.opener if item.kind == "review-report" else item
    if word == "afresh":
        return case.knows != "died" and reporter.owner not in {one.owner for one in case.open("fulfil", beside=item)}
    if item.kind == "recollect" and word == "decide-next-step":
        return not any(one.stage == word for one in here)
    if item.kind == ABORT and word == "decide-next-step":
        return not item.opener.is_open and not here
    if word == ABORT:
        asked = (ABORT, "decide-next-step") if action == "start-anyway" else (ABORT,)
        return not any(one.opener is item for one in case.open(*asked))
    is_needless = (word == "to-tell-today" and knows) or (action == "close" and bool(knows or case.knows))
    is_asked = action == "hold" and any(is_of_same_part(one, item) for one in case.open("decide-next-step"))
    is_early = (case.knows == "died" and word in IN["TOLD"]) or (bool(item.rivals()) and word in IN["OF_THE_LAST"])
    return not (is_needless or is_asked or is_early or (is_there and word in IN["ONCE"]))
