"""``manage.py run_due``: everything periodic, once, now, without a broker or a worker."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from config import schedule


class Command(BaseCommand):
    """Runs each row of the schedule (or those named) one after the other and says what came of it."""

    help = "Run what is due now: everything that the worker's clock would start, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")

    def handle(self, *_args: Any, **options: Any) -> None:
        failed = [name for name in options["names"] or schedule.JOBS if not self._run(name)]
        if failed:
            raise CommandError(_("Failed: %(names)s") % {"names": ", ".join(failed)})

    def _run(self, name: str) -> bool:
        """Run one; a failure stops none of the others."""
        if name not in schedule.JOBS:
            raise CommandError(_("“%(name)s” is none of: %(all)s") % {"name": name, "all": ", ".join(schedule.JOBS)})
        try:
            ran = schedule.run(name)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next row must run; its class is enough to say
            self.stderr.write(f"{name}: {type(error).__name__}")
            return False
        self.stdout.write(f"{name}: {_('done') if ran else _('runs already elsewhere')}")
        return True
