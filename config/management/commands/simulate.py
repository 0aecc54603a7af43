"""``manage.py simulate``: a year of loops with a simulated clock, judged by an independent oracle."""

import json
import multiprocessing
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Any, cast

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from bench.simulate import shards
from bench.simulate.run import FAILURES, Plan
from bench.simulate.shards import Shared
from config import embedded, scratch

MOST_DAYS, MOST_LOOPS, MOST_SEED = 500, 200_000, 2**31 - 1
# Below so many loops a second process costs more than it brings.
LOOPS_FOR_TWO = 200
MOST_PROCESSES = 8


class Command(BaseCommand):
    help = (
        "Play a year of loops through the real workflow with a simulated clock, in a database of its own that is dropped "
        "at the end, and compare every list with an independent oracle's. Ends with an error when something was missed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=whole(1, MOST_DAYS), default=365, metavar="N", help="default 365")
        parser.add_argument("--loops", type=whole(1, MOST_LOOPS), default=2_000, metavar="N", help="default 2000")
        parser.add_argument("--seed", type=whole(0, MOST_SEED), default=7, metavar="S", help="default 7")
        parser.add_argument(
            "--processes", type=whole(1, MOST_PROCESSES), metavar="N", help="default: one for each core, at most 2"
        )
        parser.add_argument("--json", action="store_true", help="print the result as one line of JSON and nothing else")

    def handle(self, *_args: Any, **options: Any) -> None:
        count = options["processes"] or min(2, multiprocessing.cpu_count() if options["loops"] >= LOOPS_FOR_TWO else 1)
        parts = shards.plans(options["days"], options["loops"], options["seed"], count)
        errors = Console(file=cast("IO[str]", self.stderr), highlight=False)
        try:
            with scratch.databases("simulate", count, is_prepared=True) as databases:
                doors = [partial(scratch.use, database) for database in databases]
                shares = _play(parts, doors, errors)
        except (psycopg.Error, embedded.PartError, RuntimeError) as error:
            raise CommandError(str(error).strip().partition("\n")[0]) from error
        found = shards.merged(shares)
        self._print(found, as_json=options["json"])
        if any(found[name] for name in FAILURES):
            _explain(shares, options["seed"], errors)
            raise CommandError(_("The product and the oracle disagree; seed %(seed)s.") % {"seed": options["seed"]})

    def _print(self, found: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        table = Table(show_header=False, box=None)
        for name, value in found.items():
            table.add_row(name.replace("_", " "), str(value))
        Console(file=cast("IO[str]", self.stdout), highlight=False).print(table)


def _play(parts: Sequence[Plan], doors: Sequence[Callable[[], None]], console: Console) -> list[Shared]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(str(_("Simulated days")), total=sum(part.days for part in parts))
        return shards.play_all(parts, doors, lambda days: bars.advance(task, days))


def _explain(shares: Sequence[Shared], seed: int, console: Console) -> None:
    """The seed, what was found, and the shortest history of the first of it."""
    console.print(f"seed {seed}", markup=False)
    for share in shares:
        for finding in share.findings:
            console.print(f"  {finding}", markup=False, soft_wrap=True)
        if share.history:
            console.print(str(_("The shortest history:")))
        for step in share.history:
            console.print(f"    {step}", markup=False, soft_wrap=True)


def whole(least: int, most: int) -> Callable[[str], int]:
    """What argparse makes of a word: a whole number between those, both included."""

    def number(given: str) -> int:
        if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
            raise ValueError(given)
        return int(given)

    number.__name__ = f"whole number from {least} to {most}"
    return number
