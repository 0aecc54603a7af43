"""``manage.py deadletters``: what could not be exchanged, and what a person does about it."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rich.console import Console
from rich.table import Column, Table

from fhir_bridge import operations, status
from records.access import Actor
from records.errors import BatonError, NotFound
from referrals import people
from referrals.models import User

FILTERS = ("partner", "type", "state", "category")
MOST = 1_000_000
"""Of what is listed."""


class Command(BaseCommand):
    help = gettext_noop("List, show, retry and discard what is stuck, in conflict, gone, held back or quarantined.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help=_("everything that a person has to look at, without patients' data"))
        show = actions.add_parser("show", help=_("one item with both versions, or what came, in full; it is audited"))
        retry = actions.add_parser("retry", help=_("try one item again, or all that the filters choose"))
        discard = actions.add_parser("discard", help=_("give up one item, with a reason"))
        for each in (show, discard):
            each.add_argument("key", help=_("as listed, such as Link/7 or Inbox/9"))
        retry.add_argument("key", nargs="?", default="", help=_("as listed; without it, all that the filters choose"))
        for each in (listing, retry):
            for name in FILTERS:
                each.add_argument(f"--{name}", default="")
        retry.add_argument("--all", action="store_true", help=_("all, without any filter"))
        listing.add_argument("--limit", type=_number, default=status.DEFAULT_LIMIT)
        discard.add_argument("--reason", required=True, help=_("a code of the reasons for giving up"))
        discard.add_argument("--text", default="", help=_("in words"))
        discard.add_argument("--by", required=True, help=_("user name of the person who has decided it"))
        for each in (show, retry):
            each.add_argument("--by", default="", help=_("user name of the person who has asked for it"))
        for each in (listing, show, retry, discard):
            each.add_argument("--json", action="store_true", help=_("for programs"))

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except BatonError as error:
            raise CommandError(error.message) from error

    def _list(self, options: dict[str, Any]) -> None:
        found = status.troubles(chosen=_filter(options), limit=options["limit"])
        if options["json"]:
            self._print([asdict(each) for each in found])
            return
        folded = (Column(name, overflow="fold") for name in ("", _("partner"), _("what"), _("state"), _("why")))
        table = Table(*folded, _("since"), _("tries"))
        for each in found:
            since = f"{each.since:%Y-%m-%d %H:%M} UTC" if each.since else "–"
            what = f"{each.type}/{each.local_id or each.remote_id}"
            table.add_row(each.key, each.partner, what, each.state, each.text, since, str(each.attempts))
        Console(file=self.stdout).print(table)  # type: ignore[arg-type]
        more = status.number_of_troubles(chosen=_filter(options)) - len(found)
        if more > 0:
            self.stdout.write(_("More that are not listed: %(number)d") % {"number": more})

    def _show(self, options: dict[str, Any]) -> None:
        shown = operations.show(options["key"], _actor(options["by"]))
        if options["json"]:
            self._print(asdict(shown))
            return
        for name, value in asdict(shown.trouble).items():
            self.stdout.write(f"{name}: {'' if value is None else value}")
        for row in shown.comparison.rows if shown.comparison else ():
            self.stdout.write(
                f"{'!' if row.is_clash else ' '} {row.element}\n    ours:   {row.ours}\n    theirs: {row.theirs}"
            )
        self.stdout.write(shown.raw)

    def _retry(self, options: dict[str, Any]) -> None:
        actor, chosen = _actor(options["by"]), _filter(options)
        if not options["key"] and not options["all"] and not chosen.told():
            raise CommandError(_("Name an item, a filter, or --all."))
        key = options["key"]
        number = operations.retry(key, actor) if key else operations.retry_all(chosen, actor)
        if options["json"]:
            self._print({"retried": number})
        else:
            self.stdout.write(_("To be tried again now: %(number)d") % {"number": number})

    def _discard(self, options: dict[str, Any]) -> None:
        actor = _actor(options["by"])
        operations.discard(options["key"], actor, reason=options["reason"], text=options["text"])
        if options["json"]:
            self._print({"discarded": options["key"]})
        else:
            self.stdout.write(_("Given up: %(key)s") % {"key": options["key"]})

    def _print(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def _number(text: str) -> int:
    """How many; `ArgumentTypeError` for what is no number of things."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(_("“%(text)s” is no number of things.") % {"text": text})
    if len(text) > len(str(MOST)) or int(text) > MOST:
        raise ArgumentTypeError(_("No more than %(most)d are listed.") % {"most": MOST})
    return int(text)


def _filter(options: dict[str, Any]) -> status.Filter:
    return status.Filter(**{name: options[name] for name in FILTERS})


def _actor(name: str) -> Actor:
    """The person of that user name, or whoever sits at the terminal."""
    if not name:
        return operations.at_the_terminal()
    user = User.objects.filter(username=name).first()
    if user is None:
        raise NotFound(_("There is no user “%(name)s”.") % {"name": name})
    return people.actor_for(user)
