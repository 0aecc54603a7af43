"""`manage.py translations extract|compile`: the catalogues of all rooms, by Babel alone (no gettext tools needed)."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from babel.messages.frontend import CommandLineInterface
from django.conf import settings
from django.core.management.base import BaseCommand

ROOMS = ("config", "demo", "web", "api", "fhir_bridge", "referrals", "records")
MARKS = ("gettext_noop", "gettext_lazy", "ngettext_lazy:1,2", "pgettext_lazy:1c,2", "npgettext_lazy:1c,2,3")


class Command(BaseCommand):
    help = "extract: bring new strings into locale/*/LC_MESSAGES/django.po; compile: make the .mo files beside them"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["extract", "compile"])

    def handle(self, *_args: Any, **options: Any) -> None:
        (extract if options["what"] == "extract" else compile_all)()


def extract() -> None:
    """Merge every string of the rooms into the catalogues; what is new there has no translation yet."""
    folder = Path(settings.LOCALE_PATHS[0])
    template = folder / "django.pot"
    write_template(template)
    for language in languages():
        how = ("-d", str(folder), "-l", language, "--no-fuzzy-matching", "--ignore-obsolete")
        _babel("update", "-D", "django", "-i", str(template), *how)
    template.unlink()


def write_template(template: Path) -> None:
    """Write every string of the rooms to a catalogue without translations."""
    root = Path(settings.BASE_DIR)
    keywords = [part for mark in MARKS for part in ("-k", mark)]
    made = ["--no-location", "--sort-output", "--project=Baton"]
    rooms = [str(root / room) for room in ROOMS]
    _babel("extract", "-F", str(root / "locale" / "babel.cfg"), *keywords, *made, "-o", str(template), *rooms)


def compile_all() -> None:
    """Make the .mo files that Django reads."""
    _babel("compile", "-D", "django", "-d", str(settings.LOCALE_PATHS[0]))


def languages() -> list[str]:
    """The languages that need a catalogue."""
    return [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def _babel(*words: str) -> None:
    CommandLineInterface().run(["pybabel", "-q", *words])  # type: ignore[no-untyped-call]
