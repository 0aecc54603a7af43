"""``manage.py sync``: one exchange with a partner, for a person who wants to see it happen; and how all stand."""

import json
from argparse import ArgumentParser
from collections import Counter
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fhir_bridge import status
from fhir_bridge.connecting import partners
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import applying, polling, reconciling, rewinding
from fhir_bridge.inbound.items import OPEN
from fhir_bridge.models import Inbox, Partner
from fhir_bridge.outbound import pushing
from records.errors import BatonError

ROUNDS = 5


class Command(BaseCommand):
    help = gettext_noop(
        "Send what is due to a partner, read what it has changed, apply it, and say what happened; or say how all stand."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action",
            nargs="?",
            choices=("run", "status"),
            default="run",
            help=_("one exchange, or how the exchange stands"),
        )
        parser.add_argument("--partner", default="", help=_("its name; without one the status of all is shown"))
        parser.add_argument("--once", action="store_true", help=_("the only way for now: one exchange, then end"))
        parser.add_argument("--sweep", action="store_true", help=_("also read every open item by its id"))
        parser.add_argument("--json", action="store_true", help=_("for programs"))

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if options["action"] == "status":
                self._status(options["partner"], as_json=options["json"])
                return
            if not options["partner"]:
                raise CommandError(_("Say with --partner with whom."))
            partner = partners.by_name(options["partner"])
            if not partner.is_active:
                raise CommandError(_("This partner is paused: %(why)s") % {"why": partner.state_reason})
            self._sync(partner, sweep=options["sweep"], as_json=options["json"])
        except BatonError as error:
            raise CommandError(error.message) from error

    def _status(self, name: str, *, as_json: bool) -> None:
        """How each partner stands, or the one that is named: what the sync page says, with everything that is counted."""
        shown = [status.of(partners.by_name(name))] if name else status.overview()
        if as_json:
            told = [status.health(each) for each in shown]
            self.stdout.write(json.dumps(told, default=str, ensure_ascii=False))
            return
        for table in (_standing(shown), _read_again(shown), _told(shown)):
            if table.row_count:
                Console(file=self.stdout).print(table)  # type: ignore[arg-type]

    def _sync(self, partner: Partner, *, sweep: bool, as_json: bool) -> None:
        with Progress(console=Console(file=self.stderr)) as progress:  # type: ignore[arg-type]
            sent = self._push(partner, progress)
            reading = progress.add_task(_("Reading"), total=1)
            new, unread = self._read(partner)
            new += self._sweep(partner) if sweep else 0
            progress.update(reading, completed=1)
            applied = self._apply(partner, progress)
            sent += self._push(partner, progress)
        partner.refresh_from_db()
        if as_json:
            told = {
                "partner": partner.name,
                "sent": sent,
                "new": new,
                "applied": applied,
                "error": unread or _error(partner),
            }
            self.stdout.write(json.dumps(told, ensure_ascii=False))
        else:
            self.stdout.write(_("Sent: %(counts)s") % {"counts": _words(sent)})
            self.stdout.write(_("New from the partner: %(number)d") % {"number": new})
            self.stdout.write(_("Applied: %(counts)s") % {"counts": _words(applied)})
        if unread or _error(partner):
            raise CommandError(unread or _error(partner))

    def _read(self, partner: Partner) -> tuple[int, str]:
        """How many versions came, and what says that not every type could be read: the others came (law 9)."""
        before = Inbox.objects.filter(partner=partner).count()
        try:
            return polling.poll(partner), ""
        except (*AWAY, rewinding.Rewound):
            raise
        except BatonError as error:
            return Inbox.objects.filter(partner=partner).count() - before, error.message

    def _sweep(self, partner: Partner) -> int:
        done = reconciling.run(partner, reconciling.Scope.OPEN)
        return done.changed if done else 0

    def _push(self, partner: Partner, progress: Progress) -> Counter[str]:
        total: Counter[str] = Counter()
        bar = progress.add_task(_("Sending"), total=pushing.due(partner))
        for _round in range(ROUNDS):
            done = pushing.run_once(partner, progress=lambda _link: progress.advance(bar))
            total += done
            if not done:
                break
        return total

    def _apply(self, partner: Partner, progress: Progress) -> Counter[str]:
        pending = Inbox.objects.filter(partner=partner, state__in=OPEN).count()
        bar = progress.add_task(_("Applying"), total=pending)
        return applying.apply_pending(partner, progress=lambda _item: progress.advance(bar))


def _standing(shown: list[status.PartnerStatus]) -> Table:
    table = Table(
        "", _("state"), _("line"), _("links"), _("came"), _("waiting"), _("to mend"), _("oldest"), _("last heard")
    )
    for each in shown:
        oldest = min(filter(None, (each.oldest_at, each.unapplied_since)), default=None)
        numbers = (_words(Counter(each.links)), _words(Counter(each.inbox)), str(each.waiting), str(each.troubled))
        table.add_row(each.name, each.state, each.circuit, *numbers, _instant(oldest), _instant(each.last_success_at))
    return table


def _read_again(shown: list[status.PartnerStatus]) -> Table:
    """What was read by id, and what that has found which no poll had brought."""
    counted = (_("read"), _("changed"), _("missing"), _("differing"), _("unreadable"))
    table = Table("", _("read by id"), _("begun"), _("ended"), *counted)
    for each in shown:
        for run in status.reconciled(each.id):
            counts = (run.read, run.changed, run.missing, run.differing, run.unreadable)
            ends = (_instant(run.started_at), _instant(run.finished_at))
            table.add_row(each.name, run.scope, *ends, *map(str, counts))
    return table


def _told(shown: list[status.PartnerStatus]) -> Table:
    table = Table("", _("subscription"), _("state"), _("error"), _("last heard"))
    for each in shown:
        for told in status.subscriptions(each.id):
            table.add_row(each.name, told.what, told.state, told.error, _instant(told.heard_at))
    return table


def _instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "–"


def _error(partner: Partner) -> str:
    """What has gone wrong with the partner since it last went well."""
    failed, worked = (at or partner.created_at for at in (partner.last_failure_at, partner.last_success_at))
    return partner.last_error if failed > worked else ""


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "0"
