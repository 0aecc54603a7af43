"""The reports that a performer's Task names as its output: its step is about one of them, and every one is read."""

from collections.abc import Iterator

from records import references
from records.access import Actor
from records.json import Resource
from referrals import evidence
from referrals.evidence.table import REPORTS
from referrals.models import Event, Handoff
from referrals.parties import held, local
from referrals.pathways.parts import REPORT
from referrals.readings import line_of


def named_in(task: Resource) -> list[str]:
    """The references of its reports, those first that say what was found rather than what was done."""
    named = (local(one.get("valueReference")) for one in task.get("output", ()))
    found = ["/".join(one) for one in named if one[0] in REPORT.types]
    return sorted(dict.fromkeys(found), key=lambda one: one.split("/")[0] not in REPORTS)


def first_new(task: Resource, known: Resource | None = None) -> str:
    """The first report that the Task names and ``known`` does not, as a reference; empty for none."""
    before = set(named_in(known or {}))
    return next((reference for reference in named_in(task) if reference not in before), "")


def read_rest(handoff: Handoff, known: Resource, task: Resource, actor: Actor) -> None:
    """Apply the reports that a Task, which is kept, newly names and its step was not about, as if each came now.

    One that isn't here yet is applied when it comes. What another of them holds is read with that one.
    """
    new = [reference for reference in named_in(task) if reference not in set(named_in(known))]
    here = {reference: body for reference in new if (body := held(*reference.split("/", 1)))}
    within = {part for body in here.values() for part in _parts(body)}
    for reference, body in here.items():
        is_read = Event.objects.filter(line_of(handoff.loop), evidence=reference).exists()
        if not is_read and reference not in within:
            evidence.apply(body, {}, evidence.named_loops(body, actor), actor)


def _parts(report: Resource) -> Iterator[str]:
    """What a resource refers to besides itself, as references."""
    own = f"{report['resourceType']}/{report['id']}"
    for _path, one in references.iter(report):
        part = "/".join(local(one))
        if part != own:
            yield part
