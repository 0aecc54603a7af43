"""``manage.py demo``: fill an empty database with the region."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import loading
from demo.accounts import logins
from records import clock

MAX_PATIENTS, MAX_SEED = 20_000, 2**31 - 1


class Command(BaseCommand):
    help = "Generate a region with hospitals, practices, patients and loops. All of it is loaded, or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--patients", default="200", metavar="N", help="how many patients (default 200)")
        parser.add_argument("--seed", default="1", metavar="S", help="the same seed gives the same region (default 1)")
        parser.add_argument("--loops", metavar="N", help="at most so many loops (default: enough for every stage)")
        parser.add_argument("--at", metavar="TIME", help="the instant that counts as now, in ISO 8601 (default: now)")
        parser.add_argument("--force", action="store_true", help="load beside data that is not of the demo")

    def handle(self, *_args: Any, **options: Any) -> None:
        plan = loading.Plan(
            _whole("--patients", options["patients"], 1, MAX_PATIENTS),
            _whole("--seed", options["seed"], 0, MAX_SEED),
            _instant(options["at"]),
            None if options["loops"] is None else _whole("--loops", options["loops"], 0, MAX_PATIENTS),
        )
        try:
            self._fill(plan, force=options["force"], show_logins=options["verbosity"] > 0)
        except DatabaseError as error:
            raise CommandError(
                _("The database can't be used; is it there and migrated (manage.py migrate)?")
            ) from error

    def _fill(self, plan: loading.Plan, *, force: bool, show_logins: bool) -> None:
        console = Console(file=cast("IO[str]", self.stdout), highlight=False)
        if loading.is_loaded():
            console.print(_("The demo is loaded already; nothing changed."))
        elif loading.holds_other_data() and not force:
            raise CommandError(_("This database holds other data. Use an empty one, or say --force."))
        else:
            self._load(plan, console)
        if show_logins:
            console.print(_logins())

    def _load(self, plan: loading.Plan, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as bars:
            tasks = {step: bars.add_task(str(words), total=total) for step, words, total in loading.steps(plan)}
            loading.load(plan, lambda step, amount: bars.advance(tasks[step], amount))


def _whole(option: str, given: str, least: int, most: int) -> int:
    if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
        raise CommandError(
            _("%(option)s takes a whole number from %(least)d to %(most)d.")
            % {
                "option": option,
                "least": least,
                "most": most,
            }
        )
    return int(given)


def _instant(given: str | None) -> datetime:
    """The time given, or now to the full minute."""
    if given is None:
        return clock.now().replace(second=0, microsecond=0)
    try:
        moment = parse_datetime(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment < loading.FOUNDED_AT + timedelta(days=365):
        raise CommandError(_("--at takes an instant with its zone, 2025 or later, such as 2026-11-20T09:00Z."))
    return moment


def _logins() -> Table:
    shown = logins()
    table = Table(title=_("Sign in with the password %(password)s as") % {"password": shown[0].password}, box=SIMPLE)
    for heading in (_("user name"), _("who"), _("where")):
        table.add_column(heading, no_wrap=True)
    for login in shown:
        table.add_row(login.username, login.role, login.organisation)
    return table
