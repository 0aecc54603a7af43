from typing import Any

from django.core.management.base import BaseCommand

from referrals import handbook


class Command(BaseCommand):
    help = "writes docs/pathways.md: diagrams and tables of every pathway, from the tables that the code works by"

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(handbook.text(), ending="")
