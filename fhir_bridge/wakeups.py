"""A nudge after a commit that there is something to send. The truth is the rows; a lost nudge costs a poller's period.

`config` injects the function that sends it (law 8); without one nothing is lost.
"""

from collections.abc import Callable, Iterable
from functools import partial

from django.db import transaction

Wake = Callable[[str, int], None]
_injected: list[Wake] = []


def inject(wake: Wake) -> None:
    """Use ``wake(name, id)``; it must be quick and must not raise."""
    _injected[:] = [wake]


def after_commit(name: str, ids: Iterable[int]) -> None:
    """Once this transaction has committed, wake whoever does ``name`` for each id."""
    for wake in _injected:
        for each in sorted(set(ids)):
            transaction.on_commit(partial(wake, name, each), robust=True)
