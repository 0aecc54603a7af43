"""``manage.py import``: take in what an organisation or a partner has already. It opens no loop."""  # noqa: N999 (the name of the command)

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fhir_bridge.connecting import partners
from fhir_bridge.loading import fetching, loader, sources
from fhir_bridge.models import Load, Partner
from records import access
from records.errors import BatonError

PHASES = {"catalog": gettext_noop("Looking through"), "write": gettext_noop("Taking in")}


class Command(BaseCommand):
    help = gettext_noop(
        "Take in Bundles and NDJSON (.gz too) from a file, a folder or a partner's address. Orders are listed to be adopted; no loop is opened."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help=_("a file, a folder, or a URL of the partner: its base or one of its files"))
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--partner", help=_("name of the partner whose resources these are"))
        whose.add_argument("--organization", help=_("id of the organisation working here whose records these are"))
        parser.add_argument(
            "--allow-origin", action="append", default=[], help=_("another place of the partner's files")
        )
        parser.add_argument("--json", action="store_true", help=_("say what was done as JSON"))

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            self._import(options)
        except BatonError as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt:
            self.stderr.write(_("Stopped. The same command goes on from here."))
            raise SystemExit(130) from None

    def _import(self, options: dict[str, Any]) -> None:
        partner = partners.by_name(options["partner"]) if options["partner"] else None
        organization = options["organization"] or (partner.organization if partner else "")
        if partner is None and not access.is_tenant(organization):
            raise CommandError(_("There is no organisation “%(id)s” working here.") % {"id": organization})
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(file=self.stderr),  # type: ignore[arg-type]
        ) as progress:
            source, folder, hidden = options["source"], None, dict[str, str]()
            if "://" in source:
                if partner is None:
                    raise CommandError(_("A URL can only be imported from a partner."))
                folder, hidden = self._fetch(partner, source, options["allow_origin"], progress)
            found = sources.parts(str(folder or source))
            done = loader.load(
                source if folder else str(Path(source).resolve()),
                found,
                partner=partner,
                organization=organization,
                progress=_Shown(progress, found).show,
            )
        if folder:
            shutil.rmtree(folder)
        self._say(done, hidden, as_json=options["json"])

    def _fetch(
        self, partner: Partner, source: str, origins: Sequence[str], progress: Progress
    ) -> tuple[Path, dict[str, str]]:
        """Where it is now, and what the partner doesn't show (`fetching.fetch`)."""
        folder = fetching.folder_of(settings.BATON_DATA, partner, source)
        bar = progress.add_task(_("Fetching"), total=None)
        if source.rstrip("/").removesuffix("/$export") == partner.base_url:
            tell = lambda words: progress.update(bar, description=_("Fetching %(what)s") % {"what": words})  # noqa: E731
            return folder, fetching.fetch(partner, folder, origins=origins, tell=tell)
        fetching.fetch_file(partner, source, folder)
        return folder, {}

    def _say(self, done: Load, hidden: Mapping[str, str], *, as_json: bool) -> None:
        refused: dict[str, int] = {}
        for category, text in done.refusals.values_list("error_category", "error_text"):
            words = f"{category}: {text}"
            refused[words] = refused.get(words, 0) + 1
        if as_json:
            not_shown = {"not_shown": hidden} if hidden else {}
            self.stdout.write(json.dumps({"load": done.pk, **done.counts, "reasons": refused, **not_shown}))
            return
        for name, number in sorted(done.counts.items()):
            self.stdout.write(f"  {name}: {number}")
        for type_, words in hidden.items():
            told = _("The partner shows no %(type)s: %(words)s") % {"type": type_, "words": words}
            self.stdout.write(self.style.WARNING(f"  {told}"))
        for words, number in sorted(refused.items(), key=lambda each: -each[1])[:20]:
            self.stdout.write(self.style.WARNING(f"  {number} × {words}"))


class _Shown:
    """The progress of a load as bars, one for each phase over the bytes of all parts."""

    def __init__(self, progress: Progress, parts: Sequence[sources.Part]) -> None:
        self.progress, self.total = progress, sum(part.size for part in parts)
        self.bars: dict[str, TaskID] = {}
        self.read: dict[tuple[str, str], int] = {}

    def show(self, phase: str, part: str, read: int) -> None:
        """As `loader.Progress`."""
        if phase not in self.bars:
            self.bars[phase] = self.progress.add_task(_(PHASES[phase]), total=self.total)
        self.read[phase, part] = read
        completed = sum(number for (of, _part), number in self.read.items() if of == phase)
        self.progress.update(self.bars[phase], completed=completed)
