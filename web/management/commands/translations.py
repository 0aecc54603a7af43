"""`manage.py translations extract|compile`: the catalogues of all rooms, by Babel alone (no gettext tools needed)."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from babel.messages.frontend import CommandLineInterface
from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "extract: bring new strings into locale/*/LC_MESSAGES/django.po; compile: make the .mo files beside them"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["extract", "compile"])

    def handle(self, *_args: Any, **options: Any) -> None:
        (extract if options["what"] == "extract" else compile_all)()


def extract() -> None:
    """Read every string of the rooms and merge it into the catalogues."""
    root, folder = Path(settings.BASE_DIR), Path(settings.LOCALE_PATHS[0])
    template = folder / "django.pot"
    rooms = ["config", "demo", "web", "api", "fhir_bridge", "referrals", "records"]
    marks = ["gettext_noop", "gettext_lazy", "ngettext_lazy:1,2", "pgettext_lazy:1c,2", "npgettext_lazy:1c,2,3"]
    keywords = [part for mark in marks for part in ("-k", mark)]
    made = ["--no-location", "--sort-output", "--project=Baton", "--omit-header"]
    _babel(
        "extract",
        "-F",
        str(folder / "babel.cfg"),
        *keywords,
        *made,
        "-o",
        str(template),
        *(str(root / r) for r in rooms),
    )
    for language in _languages():
        _babel(
            "update",
            "-D",
            "django",
            "-i",
            str(template),
            "-d",
            str(folder),
            "-l",
            language,
            "--no-fuzzy-matching",
            "--ignore-obsolete",
        )
    template.unlink()


def compile_all() -> None:
    """Make the .mo files that Django reads."""
    _babel("compile", "-D", "django", "-d", str(settings.LOCALE_PATHS[0]))


def _languages() -> list[str]:
    return [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def _babel(*words: str) -> None:
    CommandLineInterface().run(["pybabel", "-q", *words])  # type: ignore[no-untyped-call]
