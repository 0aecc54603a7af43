"""``manage.py bench``: what the house costs, whether that grows with what it holds, and how fast it exchanges."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import IO, Any, cast

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from bench.fake_ehr import process as fake_ehr
from bench.simulate import run
from bench.simulate.world import START
from bench.speed import growing
from bench.speed.exchange.hearing import KINDS, SKEWS, Hearing
from bench.speed.exchange.measures import Sizes, measure
from bench.speed.exchange.scene import ORIGIN
from bench.speed.measures import BASE, a_place, measures, milliseconds
from config import embedded, scratch, wake
from config.management.commands.simulate import whole
from fhir_bridge.pending import wakeups
from records import clock

ORIGINALS, DAYS, SEED = 120, 40, 7
TIMES = 10
MOST_LOOPS = 5_000_000
PARTS = ("loops", "exchange")
Work = Callable[[scratch.Settings], dict[str, Any]]
FULL = (10_000, 100_000)
"""Resources sent, and changes heard."""
TICK_SECONDS = 0.000_05
"""Between two changes at the EHR: some twenty have the same instant, as it tells milliseconds."""


def _add_sizes(parser: ArgumentParser) -> None:
    """How much of what is measured."""
    parser.add_argument("--loops", type=int, default=100_000, metavar="N", help="of the larger one (default 100000)")
    parser.add_argument(
        "--sent", type=whole(1, 1_000_000), default=2_000, metavar="N", help="resources sent (default 2000)"
    )
    parser.add_argument(
        "--heard", type=whole(1, 10_000_000), default=10_000, metavar="N", help="changes heard (default 10000)"
    )
    parser.add_argument(
        "--changes", type=whole(1, 10_000_000), default=10_000, metavar="N", help="of hearing (default 10000)"
    )


class Command(BaseCommand):
    help = (
        "Time what people and EHRs wait for, on a database of so many loops and on one ten times as large; and the exchange with "
        "an EHR, against a client that does nothing else. All databases are its own and dropped at the end. Figures are ratios "
        "within this run; milliseconds and rates are this machine's."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "what",
            nargs="*",
            choices=(*PARTS, "hearing", []),
            help="loops and exchange by default; hearing tells whether each of many changes is heard once, from two EHRs "
            "with wrong clocks, late commits, shifting pages, expired links and refusals; it ends with an error if not",
        )
        _add_sizes(parser)
        parser.add_argument(
            "--full", action="store_true", help="the sizes that are promised: 10000 sent, 100000 heard or changes"
        )
        parser.add_argument(
            "--seed", type=whole(0, 2**31 - 1), default=SEED, metavar="S", help="of hearing (default 7)"
        )
        parser.add_argument(
            "--connections", type=whole(1, 64), default=4, metavar="N", help="to the EHR at once (default 4)"
        )
        parser.add_argument(
            "--partner",
            default="",
            metavar="URL",
            help="another FHIR R4 server than the one in memory; it is written to",
        )
        parser.add_argument(
            "--service-ms",
            type=whole(0, 10_000),
            default=0,
            metavar="N",
            help="exchange once more with the EHR in memory taking N milliseconds over each request, and over each of a Bundle, as "
            "one that stores does",
        )
        parser.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not ORIGINALS * TIMES <= options["loops"] <= MOST_LOOPS:
            words = {"least": ORIGINALS * TIMES, "most": MOST_LOOPS}
            raise CommandError(_("--loops takes a whole number from %(least)d to %(most)d.") % words)
        said = Console(file=cast("IO[str]", self.stderr), highlight=False, quiet=options["json"])
        found: dict[str, Any] = {}
        try:
            for work in _works(options["what"] or PARTS, options, said):
                found |= _on_its_own(work)
        except (psycopg.Error, embedded.PartError) as error:
            raise CommandError(str(error).strip().partition("\n")[0]) from error
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            self._print(found)
        if any(found.get("hearing", {}).get(kind) for kind in KINDS):
            raise CommandError(_("Something was lost, is there twice or was never applied; seed %d.") % options["seed"])

    def _print(self, found: dict[str, Any]) -> None:
        console = Console(file=cast("IO[str]", self.stdout), highlight=False)
        if "measures" in found:
            console.print(_table(found))
        for name in (name for name in found if name.startswith("exchange")):
            console.print(_rates(name, found[name]))
        for name, value in found.get("hearing", {}).items():
            console.print(f"{name}: {value:,}")


def _works(parts: Sequence[str], options: Mapping[str, Any], said: Console) -> Iterator[Work]:
    """What is to be done, each on a database of its own; the exchange once more with an EHR that takes its time."""
    service_ms = options["service_ms"]
    works: dict[str, list[Work]] = {
        "loops": [lambda _database: _measure(options["loops"], said)],
        "exchange": [
            lambda database: {"exchange": _exchange(database, options, said)},
            lambda database: {f"exchange, {service_ms} ms": _exchange(database, options, said, service_ms=service_ms)},
        ][: 2 if service_ms else 1],
        "hearing": [lambda database: {"hearing": _hear(database, options, said)}],
    }
    return (work for part in parts for work in works[part])


def _on_its_own(work: Work) -> dict[str, Any]:
    """Do it on a database of its own."""
    with scratch.databases("bench", 1) as [database]:
        scratch.use(database)
        return work(database)


def _exchange(
    database: scratch.Settings, options: Mapping[str, Any], said: Console, *, service_ms: int = 0
) -> dict[str, Any]:
    """With the EHR in memory, which takes so long, or with the one that is named."""
    sent, heard = FULL if options["full"] else (options["sent"], options["heard"])
    sizes, partner = Sizes(sent, heard, options["connections"]), options["partner"]
    with (
        _as_ourselves(),
        fake_ehr.running() if not partner else nullcontext(fake_ehr.Remote(partner)) as remote,
        _bars(said) as tell,
    ):
        if not partner:
            remote.behave(tick_seconds=TICK_SECONDS, service_seconds=service_ms / 1000)
        return measure(remote.base_url, partial(scratch.use, database), sizes, tell)


def _hear(database: scratch.Settings, options: Mapping[str, Any], said: Console) -> dict[str, Any]:
    """From two EHRs in memory."""
    changes = FULL[1] if options["full"] else options["changes"]
    with _as_ourselves(), ExitStack() as stack, _bars(said) as tell:
        remotes = [stack.enter_context(fake_ehr.running()) for _skew in SKEWS]
        hearing = Hearing(remotes, changes, options["seed"], tell)
        return hearing.run(partial(scratch.use, database), options["connections"])


@contextmanager
def _as_ourselves() -> Iterator[None]:
    """With an address of our own, and workers that need no waking."""
    base, settings.BATON_BASE_URL = settings.BATON_BASE_URL, ORIGIN
    wakeups.inject(lambda _name, _id: None)
    try:
        yield
    finally:
        settings.BATON_BASE_URL = base
        wakeups.inject(wake.wake)


@contextmanager
def _bars(said: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Gives who shows how far each thing is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=said) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done)

        yield tell


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


def _rates(what: str, found: dict[str, Any]) -> Table:
    right = [Column(name, justify="right") for name in (_("items"), _("a second"), _("bare client"), _("ratio"))]
    table = Table(what, *right, title=_("The exchange with an EHR, against a client that does nothing else"))
    for name, figures in found.items():
        rates = (f"{figures[which]:,.0f}" for which in ("per_second", "bare_per_second"))
        table.add_row(name, f"{figures['items']:,}", *rates, f"{figures['ratio']:.2f}")
    return table


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
