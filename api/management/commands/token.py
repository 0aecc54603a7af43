"""``manage.py token``: print an access token for local use."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from api.smart import scopes, tokens
from records import access
from records.errors import BatonError
from records.models import Tenant


class Command(BaseCommand):
    """Issues an access token; the token is the last line of the output and is shown only once."""

    help = "Print an access token for a client of one organisation, as the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        parser.add_argument("--client", required=True, metavar="NAME", help="who will use it")
        parser.add_argument("--organization", metavar="ID", help="default: the first organisation of this installation")
        parser.add_argument("--scope", required=True, metavar="SCOPES", help='SMART scopes, such as "system/*.cruds"')
        parser.add_argument("--hours", type=int, default=8, metavar="N", help="how long it is good for (default 8)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the token, or end with one line that says what is wrong."""
        if not 1 <= options["hours"] <= 24 * 365:
            raise CommandError(_("--hours takes 1 to 8760."))
        try:
            granted = scopes.parse(options["scope"])
        except BatonError as error:
            raise CommandError(error.message) from error
        client = tokens.client_for(options["client"], _organization(options["organization"]))
        self.stdout.write(tokens.issue(client, granted, timedelta(hours=options["hours"])))


def _organization(given: str | None) -> str:
    """The root Organization to work for; only our own ones have data that a client may open."""
    if given is None:
        first = Tenant.objects.order_by("organization").values_list("organization", flat=True).first()
        if first is None:
            raise CommandError(_("There is no organisation yet; load the demo data first (manage.py demo)."))
        return first
    try:
        root = access.root(given)
    except BatonError as error:
        raise CommandError(error.message) from error
    if not access.is_tenant(root):
        raise CommandError(_("There is no organisation “%(id)s” of this installation.") % {"id": given})
    return root
