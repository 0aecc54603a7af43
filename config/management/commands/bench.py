"""``manage.py bench``: what the house costs, and whether that grows with what it holds."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import IO, Any, cast

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from rich.console import Console
from rich.table import Column, Table

from bench.simulate import run
from bench.simulate.world import START
from bench.speed import growing
from bench.speed.measures import BASE, a_place, measures, milliseconds
from config import embedded, scratch
from records import clock

ORIGINALS, DAYS, SEED = 120, 40, 7
TIMES = 10
MOST_LOOPS = 5_000_000


class Command(BaseCommand):
    help = (
        "Time what people and EHRs wait for, on a database of so many loops and on one ten times as large, both of its "
        "own and dropped at the end. Figures are ratios within this run; the milliseconds are this machine's."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--loops", type=int, default=100_000, metavar="N", help="of the larger one (default 100000)"
        )
        parser.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not ORIGINALS * TIMES <= options["loops"] <= MOST_LOOPS:
            words = {"least": ORIGINALS * TIMES, "most": MOST_LOOPS}
            raise CommandError(_("--loops takes a whole number from %(least)d to %(most)d.") % words)
        said = Console(file=cast("IO[str]", self.stderr), highlight=False, quiet=options["json"])
        try:
            with scratch.databases("bench", 1) as [database]:
                scratch.use(database)
                found = _measure(options["loops"], said)
        except (psycopg.Error, embedded.PartError) as error:
            raise CommandError(str(error).strip().partition("\n")[0]) from error
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            Console(file=cast("IO[str]", self.stdout), highlight=False).print(_table(found))


def _measure(loops: int, said: Console) -> dict[str, Any]:
    """Grow a simulated month to a tenth of the loops, time everything, grow it to all of them, time it again."""
    with said.status(_("A month of loops goes through the real workflow …")):
        plan = run.Plan(DAYS, ORIGINALS, SEED)
        play = run.prepare(plan)
        run.play_out(play, plan)
    actor = next(iter(play.world.at("s0r0-oak", "coordinator"))).actor
    copies = loops // ORIGINALS
    with clock.at(START + timedelta(days=DAYS)):
        place, small = a_place(actor), copies // TIMES
        figures = []
        for first, last in ((1, small - 1), (small, copies - 1)):
            with said.status(_("%(loops)d loops …") % {"loops": (last + 1) * ORIGINALS}):
                growing.multiply(first, last)
                figures.append({name: milliseconds(work) for name, work in measures(place).items()})
    before, after = figures
    return {
        "loops": [small * ORIGINALS, copies * ORIGINALS],
        "measures": {
            name: {
                "milliseconds": [round(before[name], 3), round(after[name], 3)],
                "growth": round(after[name] / before[name], 2),
                "cost": round(after[name] / after[BASE], 1),
            }
            for name in before
        },
    }


def _table(found: dict[str, Any]) -> Table:
    small, large = (f"{loops:,}" for loops in found["loops"])
    right = [Column(name, justify="right") for name in (small, large, _("growth"), _("cost"))]
    table = Table(
        "", *right, title=_("Milliseconds at so many loops; growth between them; cost in reads of one row by its key")
    )
    for name, figures in found["measures"].items():
        before, after = figures["milliseconds"]
        table.add_row(name, f"{before:.2f}", f"{after:.2f}", f"{figures['growth']:.2f}", f"{figures['cost']:.1f}")
    return table
