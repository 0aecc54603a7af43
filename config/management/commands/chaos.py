"""``manage.py chaos``: thousands of changes on both sides while workers are killed, and whether any was lost or doubled."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import environ
from celery import Celery
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, transaction
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from bench.chaos import hurry
from bench.chaos.machinery import Machinery
from bench.chaos.people import People
from bench.chaos.run import KINDS, LOOK_SECONDS, SPEED, Plan, Run
from bench.fake_ehr import process as fake_ehr
from config import embedded, scratch, wake
from config.management.commands.simulate import whole
from fhir_bridge.pending import wakeups
from records import clock

ORIGIN = "https://baton.example"
SHOWN = 20


class Command(BaseCommand):
    help = (
        "Change things on both sides of a partnership, thousands of times, while workers are killed, the broker forgets, the "
        "database goes down and replies get lost; then compare both sides with what everybody was told. Everything runs on "
        "a database, a broker and an EHR of its own. Ends with an error when something was lost or is there twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--syncs", type=whole(1, 1_000_000), default=10_000, metavar="N", help="default 10000")
        parser.add_argument("--kills", type=whole(0, 100_000), default=200, metavar="N", help="default 200")
        parser.add_argument("--flushes", type=whole(0, 10_000), default=20, metavar="N", help="default 20")
        parser.add_argument("--restarts", type=whole(0, 10_000), default=20, metavar="N", help="default 20")
        parser.add_argument("--dropped", type=whole(0, 90), default=30, metavar="PERCENT", help="default 30")
        parser.add_argument("--seed", type=whole(0, 2**31 - 1), default=7, metavar="S", help="default 7")
        parser.add_argument("--logs", type=Path, metavar="DIR", help="keep what the workers say here")
        parser.add_argument("--json", action="store_true", help="print the result as one line of JSON and nothing else")

    def handle(self, *_args: Any, **options: Any) -> None:
        numbers = {name: options[name] for name in ("syncs", "kills", "flushes", "restarts", "seed")}
        plan = Plan(**numbers, dropped=options["dropped"] / 100)
        errors = Console(file=cast("IO[str]", self.stderr), highlight=False)
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # what was started is ended
        try:
            with _parts(options["logs"]) as (machinery, remote):
                run = _prepared(plan, machinery, remote)
                _play(run, errors)
                found = run.result()
        except embedded.PartError as error:
            raise CommandError(str(error)) from error
        self._print(found, as_json=options["json"])
        if any(found[kind] for kind in KINDS):
            for finding in run.findings[:SHOWN]:
                errors.print(f"  {finding}", markup=False, soft_wrap=True)
            raise CommandError(_("Something was lost, is there twice or was never settled; seed %d.") % plan.seed)

    def _print(self, found: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        table = Table(show_header=False, box=None)
        for name, value in found.items():
            table.add_row(name, str(value))
        Console(file=cast("IO[str]", self.stdout), highlight=False).print(table)


def _play(run: Run, console: Console) -> None:
    """Play, let it settle, judge. Ctrl-C ends the playing; another one the settling."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with run.machinery.at_work():
        bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        with _ended_by_ctrl_c(run), bars:
            task = bars.add_task(_("Changes"), total=run.plan.syncs)
            run.tell = partial(_say, run, console)
            if console.is_terminal:
                run.tell = lambda number: bars.update(task, completed=number)
            run.play()
        if run.is_over:
            console.print(_("Nothing breaks any more; what was begun is finished. Ctrl-C again ends at once."))
        try:
            with console.status(_("Both sides come to rest …")):
                run.settle()
        except KeyboardInterrupt:
            pass
        run.judge()


@contextmanager
def _ended_by_ctrl_c(run: Run) -> Iterator[None]:
    """Within, Ctrl-C ends the playing between two changes; one more ends everything."""

    def end(_number: int, _frame: object) -> None:
        run.is_over = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _say(run: Run, console: Console, number: int) -> None:
    """A line for every hundredth part, where no bar can be shown."""
    if number % max(run.plan.syncs // 100, 1) == 0:
        told = {name: run.result()[name] for name in ("syncs", "kills", "flushes", "restarts", "seconds")}
        console.print(" · ".join(f"{name} {value}" for name, value in told.items()), soft_wrap=True)


@contextmanager
def _parts(logs: Path | None) -> Iterator[tuple[Machinery, fake_ehr.Remote]]:
    """A database, a broker and an EHR of this run alone, in a folder that is gone with it; this process uses them."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="baton-chaos-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        place = embedded.home(folder)
        stack.callback(shutil.rmtree, place.folder, ignore_errors=True)  # elsewhere, where this one is closed to others
        database = _Database(place, stack.enter_context(embedded.sockets_of(place.account)))
        stack.callback(database.stop)
        broker = stack.enter_context(embedded.broker(place))
        environment = {
            "DATABASE_URL": database.start(),
            "REDIS_URL": broker.url,
            "BATON_DATA": str(folder),
            "TMPDIR": str(folder),  # what killed workers leave behind
            "BATON_BASE_URL": ORIGIN,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **hurry.told(SPEED),
        }
        logs = logs or folder
        logs.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_here(environment))
        remote = stack.enter_context(fake_ehr.running())
        yield Machinery(environment, database.restart, embedded.die_with_parent, logs), remote


class _Database:
    """PostgreSQL at one address, however often it goes down."""

    def __init__(self, place: embedded.Home, sockets: Path) -> None:
        self.place, self.sockets = place, sockets
        self.life = ExitStack()
        self.stop: Callable[[], None] = self.life.close
        self.process: Any = None

    def start(self) -> str:
        """Start it; give its address."""
        part = self.life.enter_context(embedded.postgres_at(self.place, self.sockets))
        self.process = part.process
        return part.url

    def restart(self, is_crash: bool) -> None:
        """Down, in order or so that it must recover from its log, and up again."""
        if is_crash:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        self.life.close()
        self.start()


@contextmanager
def _here(environment: dict[str, str]) -> Iterator[None]:
    """Let this process use that database, broker and clock."""
    before = {name: os.environ.get(name) for name in environment}
    usual, base = {**connections["default"].settings_dict}, settings.BATON_BASE_URL
    os.environ.update(environment)
    scratch.use({**usual, **environ.Env().db_url_config(environment["DATABASE_URL"]), "ENGINE": usual["ENGINE"]})
    settings.BATON_BASE_URL = ORIGIN
    clock.run(hurry.present)
    sender = Celery(broker=environment["REDIS_URL"], set_as_current=False)
    sender.conf.task_default_queue = "baton"
    wakeups.inject(partial(_wake, sender))
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        connections["default"].close()  # the configured one need not be there
        connections["default"].settings_dict.update(usual)
        settings.BATON_BASE_URL = base
        clock.run(hurry.present)
        wakeups.inject(wake.wake)


def _wake(sender: Celery, name: str, identifier: int) -> None:
    transaction.on_commit(partial(sender.send_task, wake.TASKS[name], [identifier], ignore_result=True), robust=True)


def _prepared(plan: Plan, machinery: Machinery, remote: fake_ehr.Remote) -> Run:
    people = People(remote.base_url, ORIGIN, plan.seed, wait=partial(time.sleep, LOOK_SECONDS))
    machinery.chance.seed(f"machinery {plan.seed}")
    return Run(plan, people, machinery, remote, people.found().pk)
