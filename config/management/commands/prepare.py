"""``manage.py prepare RESULT``: what `make run` does to a database before anything serves it."""

import io
import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import translation
from django.utils.translation import gettext as _

from config import translations
from demo import accounts, loading
from records.models import Tenant


class Command(BaseCommand):
    """Migrations, compiled translations, and the demo's data where there is nothing yet.

    RESULT becomes a JSON object: ``logins`` (role, organisation, username, password each) and ``token``.
    """

    help = "Prepare the database for make run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("result", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        for folder in settings.LOCALE_PATHS:
            translations.compile_all(Path(folder))
        call_command("migrate", verbosity=0, interactive=False)
        if not (loading.is_loaded() or loading.holds_other_data()):
            self.stdout.write(_("Loading the demo's data, once …"))
            self.stdout.flush()
            call_command("demo", verbosity=0)
        with translation.override(settings.LANGUAGE_CODE):
            logins = [asdict(login) for login in accounts.logins()] if loading.is_loaded() else []
        told = {"logins": logins, "token": _token() if Tenant.objects.exists() else ""}
        options["result"].touch(mode=0o600)
        options["result"].write_text(json.dumps(told, default=str), encoding="utf-8")


def _token() -> str:
    said = io.StringIO()
    call_command("token", client="make run", scope="system/*.cruds", stdout=said)
    return said.getvalue().strip().splitlines()[-1]
