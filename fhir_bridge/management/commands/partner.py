"""``manage.py partner``: register a partner's FHIR server, look at it, pause it."""

import getpass
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rich.console import Console
from rich.table import Column, Table

from fhir_bridge import operations, outbound, partners, reconciling, rewinding, status
from fhir_bridge.connecting.credentials import Credentials
from fhir_bridge.models import Partner
from records.access import SYSTEM
from records.errors import BatonError, Conflict

SECRET = "PARTNER_SECRET"  # noqa: S105 (the name of an environment variable)


class Command(BaseCommand):
    help = gettext_noop("Add, list, show, test, pause and resume the FHIR servers that Baton exchanges with.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser("add", help=_("register a FHIR R4 server"))
        add.add_argument("name")
        add.add_argument("base_url")
        add.add_argument("--organization", required=True, help=_("id of the local Organization that performs there"))
        add.add_argument("--tenant", default="", help=_("id of the tenant whose own EHR it is"))
        add.add_argument("--steward-pool", default="", help=_("who mends the exchange: id of a pool, or of a tenant"))
        add.add_argument("--auth", choices=Partner.Auth.values, default=Partner.Auth.NONE)
        add.add_argument("--client-id", default="", help=_("the id or user name under which the partner knows us"))
        add.add_argument("--scope", default="", help=_("what to ask its authorisation server for"))
        add.add_argument("--token-url", default="", help=_("its token endpoint, where that is on another server"))
        add.add_argument("--directory", action="store_true", help=_("keep its people, places and services here too"))
        actions.add_parser("list")
        for action in ("show", "test", "pause", "resume", "rewound-check"):
            actions.add_parser(action).add_argument("name")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action'].replace('-', '_')}")(options)
        except BatonError as error:
            raise CommandError(error.message) from error

    def _add(self, options: dict[str, Any]) -> None:
        partner = partners.add(
            options["name"],
            options["base_url"],
            organization=options["organization"],
            tenant=options["tenant"],
            steward_pool=options["steward_pool"],
            credentials=_credentials(options),
            is_directory=options["directory"],
        )
        self.stdout.write(f"{partner.name}: {partner.base_url}")
        if waiting := outbound.catch_up(partner):
            self.stdout.write(_("Resources of open orders that wait to be sent: %(number)s") % {"number": waiting})
        self.stdout.write(_("What has to be mended goes to: %(pool)s") % {"pool": partner.steward_pool.name})
        try:
            self._print(operations.test(partner))
        except BatonError as error:
            self.stderr.write(self.style.WARNING(_("It is registered, and does not answer yet: ") + error.message))

    def _list(self, _options: dict[str, Any]) -> None:
        table = Table("", Column("URL", overflow="fold"), _("state"), _("waiting"), _("to mend"), _("last heard"))
        for each in status.overview():
            heard = f"{each.last_success_at:%Y-%m-%d %H:%M} UTC" if each.last_success_at else "–"
            table.add_row(each.name, each.base_url, each.state, str(each.waiting), str(each.troubled), heard)
        Console(file=self.stdout).print(table)  # type: ignore[arg-type]

    def _show(self, options: dict[str, Any]) -> None:
        shown = status.of(partners.by_name(options["name"]))
        self._print({name: getattr(shown, name) for name in shown.__slots__})
        for run in status.reconciled(shown.id):
            self.stdout.write(_("Read by id (%(scope)s) at %(at)s: %(read)d, changed %(changed)d, missing %(missing)d") % {
                "scope": run.scope, "at": f"{run.started_at:%Y-%m-%d %H:%M} UTC",
                "read": run.read, "changed": run.changed, "missing": run.missing,
            })  # fmt: skip
        for told in status.subscriptions(shown.id):
            self.stdout.write(_("Subscription to %(what)s: %(state)s %(error)s") % {
                "what": told.what, "state": told.state, "error": told.error,
            })  # fmt: skip
        for trouble in status.troubles(shown.id):
            self.stdout.write(f"{trouble.key} {trouble.type} {trouble.state}: {trouble.category} {trouble.text}")

    def _test(self, options: dict[str, Any]) -> None:
        self._print(operations.test(partners.by_name(options["name"])))

    def _pause(self, options: dict[str, Any]) -> None:
        operations.pause(partners.by_name(options["name"]), SYSTEM, _("by command"))

    def _resume(self, options: dict[str, Any]) -> None:
        operations.resume(partners.by_name(options["name"]), SYSTEM)

    def _rewound_check(self, options: dict[str, Any]) -> None:
        """Read everything that is linked again; a partner that was restored from a backup is `rewound` from then on."""
        partner = partners.by_name(options["name"])
        try:
            done = reconciling.run(partner, reconciling.Scope.ALL)
        except rewinding.Rewound as error:
            self.stdout.write(error.message)
            done = reconciling.run(partner, reconciling.Scope.REWOUND)
        if done is None:
            raise Conflict(_("Somebody reads this partner's resources now; try it again later."))
        counts = {name: getattr(done, name) for name in ("read", "changed", "missing", "differing")}
        self._print(counts)

    def _print(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.stdout.write(f"  {name}: {'' if value is None else value}")


def _credentials(options: dict[str, Any]) -> Credentials:
    """The secret comes from the environment or a prompt; never from the command line, which others can read."""
    is_needed = options["auth"] not in {Partner.Auth.NONE, Partner.Auth.SMART_BACKEND}
    secret = (os.environ.get(SECRET) or getpass.getpass(_("Secret: "))) if is_needed else ""
    return Credentials(options["auth"], secret, options["client_id"], options["scope"], options["token_url"])
