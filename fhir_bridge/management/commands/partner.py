"""``manage.py partner``: register a partner's FHIR server, look at it, test it, set it, pause it; and our keys."""

import getpass
import json
import os
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rich.console import Console
from rich.table import Column, Table

from fhir_bridge import operations, status
from fhir_bridge.capabilities import choices
from fhir_bridge.connecting import keys, partners, registration, settings
from fhir_bridge.connecting.credentials import Credentials
from fhir_bridge.connecting.inspection import Finding
from fhir_bridge.inbound import reconciling, rewinding
from fhir_bridge.models import Partner, SigningKey
from fhir_bridge.outbound import pushing
from records.errors import BatonError, Conflict

SECRET = "PARTNER_SECRET"  # noqa: S105 (the name of an environment variable)
NAMED = ("show", "test", "rediscover", "pause", "resume", "rewound-check")


class Command(BaseCommand):
    help = gettext_noop("Add, list, show, test, set, pause and resume the FHIR servers that Baton exchanges with.")

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
        setting = actions.add_parser("set", help=_("set how we deal with it; an empty value is the choice by itself"))
        setting.add_argument("name")
        setting.add_argument("--secret", action="store_true", help=_("ask for a new secret (or take PARTNER_SECRET)"))
        setting.add_argument("--moved", action="store_true", help=_("--base-url is the same server, with all its ids"))
        for name in settings.NAMES:
            setting.add_argument(f"--{name}", help=_values(name) or None)
        rotating = actions.add_parser("rotate-keys", help=_("publish a new key, which signs from tomorrow on"))
        rotating.add_argument("--organization", required=True, help=_("id of the tenant that may read of it"))
        rest = [actions.add_parser("list"), actions.add_parser("keys", help=_("our key pairs, as published"))]
        for action in NAMED:
            rest.append(actions.add_parser(action))
            rest[-1].add_argument("name")
        for each in (add, setting, rotating, *rest):
            each.add_argument("--json", action="store_true", help=_("for programs"))

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action'].replace('-', '_')}")(options)
        except BatonError as error:
            raise CommandError(error.message) from error

    def _add(self, options: dict[str, Any]) -> None:
        login = Credentials(
            options["auth"], _secret(options["auth"]), options["client_id"], options["scope"], options["token_url"]
        )
        partner = partners.add(
            options["name"],
            options["base_url"],
            organization=options["organization"],
            tenant=options["tenant"],
            steward_pool=options["steward_pool"],
            credentials=login,
            is_directory=options["directory"],
        )
        waiting, found = pushing.catch_up(partner), operations.test(partner)
        if options["json"]:
            findings = [asdict(each) for each in found]
            self._say({"name": partner.name, "base_url": partner.base_url, "waiting": waiting, "findings": findings})
            return
        self.stdout.write(f"{partner.name}: {partner.base_url}")
        if waiting:
            self.stdout.write(_("Resources of open orders that wait to be sent: %(number)s") % {"number": waiting})
        self.stdout.write(_("What has to be mended goes to: %(pool)s") % {"pool": partner.steward_pool.name})
        self._table(found)
        if _failed(found):
            self.stderr.write(self.style.WARNING(_("It is registered, and can not be worked with yet.")))

    def _list(self, options: dict[str, Any]) -> None:
        shown = status.overview()
        if options["json"]:
            self._say([status.health(each) for each in shown])
            return
        columns = (
            "",
            Column("URL", overflow="fold"),
            _("state"),
            _("line"),
            _("waiting"),
            _("to mend"),
            _("last heard"),
        )
        table = Table(*columns)
        for each in shown:
            heard = f"{each.last_success_at:%Y-%m-%d %H:%M} UTC" if each.last_success_at else "–"
            numbers = (str(each.waiting), str(each.troubled))
            table.add_row(each.name, each.base_url, each.state, each.circuit, *numbers, heard)
        self._draw(table)

    def _show(self, options: dict[str, Any]) -> None:
        partner = partners.by_name(options["name"])
        shown = {**asdict(status.of(partner)), **operations.describe(partner)}
        runs, subscriptions = status.reconciled(partner.pk), status.subscriptions(partner.pk)
        troubles = status.troubles(partner.pk)
        if options["json"]:
            shown["reconciled"] = [asdict(each) for each in runs]
            shown["subscriptions"] = [asdict(each) for each in subscriptions]
            self._say({**shown, "troubles": [asdict(each) for each in troubles]})
            return
        ways = shown.pop("ways")["Task"]
        self._print(shown)
        for aspect, each in ways.items():
            self.stdout.write(f"  {aspect}: {each['way']} ({each['reason']})")
        self._lines(runs, subscriptions, troubles)

    def _lines(
        self, runs: list[status.Reconciled], subscriptions: list[status.Told], troubles: list[status.Trouble]
    ) -> None:
        for run in runs:
            line = _(
                "Read by id (%(scope)s) at %(at)s: %(read)d, changed %(changed)d, missing %(missing)d, "
                "unreadable %(unreadable)d"
            )
            self.stdout.write(line % {**asdict(run), "at": f"{run.started_at:%Y-%m-%d %H:%M} UTC"})
        for told in subscriptions:
            self.stdout.write(_("Subscription to %(what)s: %(state)s %(error)s") % {
                "what": told.what, "state": told.state, "error": told.error,
            })  # fmt: skip
        for trouble in troubles:
            self.stdout.write(f"{trouble.key} {trouble.type} {trouble.state}: {trouble.category} {trouble.text}")

    def _test(self, options: dict[str, Any]) -> None:
        found = operations.test(partners.by_name(options["name"]))
        if options["json"]:
            self._say([asdict(each) for each in found])
        else:
            self._table(found)
        if _failed(found):
            raise CommandError(_failed(found))

    def _set(self, options: dict[str, Any]) -> None:
        partner = partners.by_name(options["name"])
        chosen = {name: options[name.replace("-", "_")] for name in settings.NAMES}
        told = {name: value for name, value in chosen.items() if value is not None}
        secret = _secret(Partner.Auth.BEARER) if options["secret"] else None
        actor, is_moved = operations.at_the_terminal(), options["moved"]
        changed = operations.configure(partner, actor, told, secret=secret, is_moved=is_moved)
        partner = partners.by_name(options["name"])
        if not {"tenant", registration.ADDRESS}.isdisjoint(changed):
            pushing.catch_up(partner)
        if registration.ADDRESS in changed:
            self._readdressed(options, partner, changed)
        else:
            self._done(options, "changed", changed, _set(changed))

    def _readdressed(self, options: dict[str, Any], partner: Partner, changed: list[str]) -> None:
        found = operations.test(partner)
        if options["json"]:
            self._say({"changed": changed, "findings": [asdict(each) for each in found]})
            return
        self.stdout.write(_set(changed))
        self._table(found)
        if _failed(found):
            self.stderr.write(self.style.WARNING(_("It is registered, and can not be worked with yet.")))
        elif options["moved"]:
            words = _("Whether everything is there again is read by: manage.py partner rewound-check “%(name)s”")
            self.stdout.write(words % {"name": partner.name})

    def _rediscover(self, options: dict[str, Any]) -> None:
        partner = partners.by_name(options["name"])
        operations.rediscover(partner, operations.at_the_terminal())
        self._show(options)

    def _pause(self, options: dict[str, Any]) -> None:
        operations.pause(partners.by_name(options["name"]), operations.at_the_terminal(), _("by command"))
        self._done(options, "paused", options["name"])

    def _resume(self, options: dict[str, Any]) -> None:
        operations.resume(partners.by_name(options["name"]), operations.at_the_terminal())
        self._done(options, "resumed", options["name"])

    def _keys(self, options: dict[str, Any]) -> None:
        self._show_keys(keys.kept(), options)

    def _rotate_keys(self, options: dict[str, Any]) -> None:
        self._show_keys(operations.rotate_keys(operations.at_the_terminal(), options["organization"]), options)

    def _show_keys(self, rows: list[SigningKey], options: dict[str, Any]) -> None:
        told = [{"kid": each.kid, "alg": each.alg, "signs_from": each.signs_from} for each in rows]
        if options["json"]:
            self._say(told)
            return
        for each in rows:
            self.stdout.write(
                f"{each.alg} {each.kid} " + _("signs from %(at)s UTC") % {"at": f"{each.signs_from:%F %H:%M}"}
            )

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
        counts = {name: getattr(done, name) for name in ("read", "changed", "missing", "differing", "unreadable")}
        if options["json"]:
            self._say(counts)
        else:
            self._print(counts)

    def _print(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.stdout.write(f"  {name}: {'' if value is None else value}")

    def _say(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, default=str, ensure_ascii=False))

    def _done(self, options: dict[str, Any], what: str, value: Any, words: str = "") -> None:
        if options["json"]:
            self._say({what: value})
        elif words:
            self.stdout.write(words)

    def _table(self, found: list[Finding]) -> None:
        table = Table("", "", Column(overflow="fold"))
        for each in found:
            table.add_row(each.about, each.result, f"{each.said}\n→ {each.advice}" if each.advice else each.said)
        self._draw(table)

    def _draw(self, table: Table) -> None:
        Console(file=self.stdout).print(table)  # type: ignore[arg-type]


def _values(name: str) -> str:
    """What a setting may be, where that are few words."""
    if name == "directory":
        return ", ".join(registration.ANSWERS)
    return ", ".join(settings.WORDS.get(name, choices.names(name)))


def _set(changed: list[str]) -> str:
    return _("Set: %(names)s") % {"names": ", ".join(changed) or "–"}


def _failed(found: list[Finding]) -> str:
    """In one line what has failed, and what to do about it."""
    return " ".join(f"{each.said} {each.advice}" for each in found if each.result == "failed")


def _secret(auth: str) -> str:
    """The secret comes from the environment or a prompt; never from the command line, which others can read."""
    if auth in settings.WITHOUT_SECRET:
        return ""
    return os.environ.get(SECRET) or getpass.getpass(_("Secret: "))
