"""``manage.py policy``: an organisation's own clocks."""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from records import access
from records.access import SYSTEM
from records.errors import BatonError
from referrals import policies
from referrals.calendars import Span
from referrals.models import Policy
from referrals.policies import APPLIES_TO, Clock


class Command(BaseCommand):
    help = gettext_noop("List, set and unset how long an organisation gives its people.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name in ("list", "set", "unset"):
            action = actions.add_parser(name)
            action.add_argument("organization", help=_("id of one of our organisations"))
            action.add_argument("--json", action="store_true", help=_("write JSON"))
            if name != "list":
                action.add_argument("key", help=_("such as referral.fulfil.in-triage.urgent, * for all"))
            if name == "set":
                action.add_argument("amount", type=int)
                action.add_argument("unit", choices=Policy.Unit.values)

    def handle(self, *_args: Any, **options: Any) -> None:
        if not access.is_tenant(options["organization"]):
            raise CommandError(_("There is no such organisation here."))
        try:
            found = getattr(self, f"_{options['action']}")(options)
        except BatonError as error:
            raise CommandError(str(error.message)) from error
        self._print(found, as_json=options["json"])
        if options["action"] != "list" and not options["json"]:
            self.stdout.write(_("This rules %(what)s.") % {"what": APPLIES_TO})

    def _list(self, options: dict[str, Any]) -> list[Clock]:
        return policies.clocks(options["organization"])

    def _set(self, options: dict[str, Any]) -> list[Clock]:
        span = Span(options["amount"], options["unit"])
        return [policies.set_clock(SYSTEM, options["organization"], options["key"], span)]

    def _unset(self, options: dict[str, Any]) -> list[Clock]:
        now = policies.unset_clock(SYSTEM, options["organization"], options["key"])
        return [now] if now else []

    def _print(self, clocks: list[Clock], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(orjson.dumps([asdict(clock) for clock in clocks]).decode())
            return
        for clock in clocks:
            mark = "*" if clock.is_own else " "
            self.stdout.write(f"{mark} {clock.key:48} {clock.amount} {clock.unit}")
