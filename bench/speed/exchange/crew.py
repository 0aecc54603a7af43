"""The bridge's workers: processes that do the same work at once and share it by the rows, as Celery's do."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier

from django.db import connections

LOOK_SECONDS = 0.25
READY_SECONDS = 60.0


def race(enter: Callable[[], None], workers: int, work: Callable[[], object], watch: Callable[[], object]) -> float:
    """Seconds from a common start until the last of so many processes has done its work; ``watch`` is called meanwhile.

    Each first calls ``enter``, to go to its database.
    Raises RuntimeError when one of them breaks off, and ends them all when this one is interrupted.
    """
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(workers + 1)
    connections.close_all()  # a process inherits no connection of this one
    processes = [fork.Process(target=_work, args=(enter, work, start), daemon=True) for _each in range(workers)]
    try:
        for process in processes:
            process.start()
        start.wait(READY_SECONDS)
        return _until_done(processes, watch)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _until_done(processes: Sequence[BaseProcess], watch: Callable[[], object]) -> float:
    began = time.monotonic()
    for process in processes:
        while process.is_alive():
            watch()
            process.join(LOOK_SECONDS)
    seconds = time.monotonic() - began
    if any(process.exitcode for process in processes):
        raise RuntimeError("A process of the exchange has ended before its time.")
    watch()
    return seconds


def _work(enter: Callable[[], None], work: Callable[[], object], start: Barrier) -> None:
    enter()
    start.wait(READY_SECONDS)
    work()
