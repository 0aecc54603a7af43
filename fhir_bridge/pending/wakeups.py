"""A nudge after a commit that there is something to exchange. The truth is the rows; a lost nudge costs a round's period.

`config` injects the function that sends it (law 8); without one nothing is lost.
"""

from collections.abc import Callable, Iterable

Wake = Callable[[str, int], None]
_injected: list[Wake] = []


def inject(wake: Wake) -> None:
    """Use ``wake(name, id)``: it waits for the commit of the present transaction by itself, and never raises."""
    _injected[:] = [wake]


def after_commit(name: str, ids: Iterable[int]) -> None:
    """Once this transaction has committed, wake whoever does ``name`` for each id."""
    for wake in _injected:
        for each in sorted(set(ids)):
            wake(name, each)
