"""A care request that is still being composed: kept in the session, so that no address holds anything of a patient.

One draft per kind; ``details`` are what was typed, as it was typed, also when it was wrong.
"""

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from django.contrib.sessions.backends.base import SessionBase

from records import clock
from records.access import Actor
from records.json import Resource
from referrals import composer
from web.forms.compose import FORMS, Details

STEPS: dict[str, tuple[str, ...]] = {
    "referral": ("patient", "service", "details", "review"),
    "follow-up": ("patient", "details", "review"),
    "test-order": ("patient", "details", "service", "review"),
}


@dataclass(slots=True)
class Draft:
    """What has been chosen so far; ``request`` is the resource that was reviewed, ready to be sent.

    ``id`` tells this draft from one begun in another window: every form of the composer carries it.
    """

    kind: str
    id: str = ""
    patient: str = ""
    service: str = ""
    no_service: bool = False
    details: dict[str, str] = field(default_factory=dict)
    request: Resource | None = None

    def choose(self, patient: str) -> None:
        """Make it a draft for that patient; forms that were opened before no longer fit it.

        What was written about somebody else is no longer there: it must not reach another patient's record.
        """
        if patient != self.patient:
            self.details = {}
        self.id, self.patient, self.request = clock.new_id(), patient, None

    def is_done(self, step: str) -> bool:
        """Whether nothing is missing in that step."""
        if step == "details":
            return bool(self.details) and self.form().is_valid()
        return {"patient": bool(self.patient), "service": bool(self.service) or self.no_service}.get(step, False)

    def next_step(self) -> str:
        """The first step in which something is missing, else the review."""
        return next((step for step in STEPS[self.kind] if not self.is_done(step)), "review")

    def form(self) -> Details:
        """The details as a bound form when something was typed."""
        return FORMS[self.kind](self.details or None)


def load(session: SessionBase, kind: str) -> Draft:
    """The draft of that kind; an empty one when nothing was begun."""
    return Draft(**session.get(f"draft-{kind}", {"kind": kind}))


def save(session: SessionBase, draft: Draft) -> None:
    """Keep it until it is sent, thrown away or the session ends."""
    session[f"draft-{draft.kind}"] = asdict(draft)


def discard(session: SessionBase, kind: str) -> None:
    """Forget it."""
    session.pop(f"draft-{kind}", None)


def compose(draft: Draft, actor: Actor) -> Resource:
    """The ServiceRequest that the draft stands for; needs a complete draft."""
    form = draft.form()
    form.full_clean()
    entered: dict[str, Any] = {name: value for name, value in form.cleaned_data.items() if value not in (None, "")}
    if draft.kind == "referral":
        return composer.draft(actor, draft.patient, draft.service, **entered)
    if draft.kind == "follow-up":
        window_start: date | None = entered.pop("window_start", None)
        return composer.draft_follow_up(actor, draft.patient, window_start=window_start, **entered)
    return composer.draft_test_order(actor, draft.patient, laboratory=draft.service, **entered)
